"""Quart's ``quart.wrappers.base``."""

from __future__ import annotations

from ...web.request import RequestBase

BaseRequestWebsocket = RequestBase
