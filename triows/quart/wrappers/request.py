"""Quart's ``quart.wrappers.request``."""

from __future__ import annotations

from ...web.clientless import FedBody
from ...web.request import Request as Request

Body = FedBody
