"""Quart's ``quart.testing.connections``."""

from __future__ import annotations

from ...errors import HTTPDisconnectError as HTTPDisconnectError
from ...errors import WebsocketDisconnectError as WebsocketDisconnectError
from ...errors import WebsocketResponseError as WebsocketResponseError
from ...testing.http import TestHTTPConnection as TestHTTPConnection
from ...testing.websocket import TestWebSocket

TestWebsocketConnection = TestWebSocket
