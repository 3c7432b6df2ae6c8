"""Quart's ``quart.wrappers.websocket``."""

from __future__ import annotations

from ...web.websocket import WebSocket

Websocket = WebSocket
