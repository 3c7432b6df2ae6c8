"""Tools for testing apps: a client that speaks HTTP and WebSocket to the app's own server, over streams in memory.

Client and server run in the test's own Trio run, without sockets and threads, and in virtual time under
``trio.testing.MockClock`` (pytest-trio's ``autojump_clock``).
"""

from ..errors import HTTPDisconnectError, LifespanError, WebsocketDisconnectError, WebsocketResponseError
from ..web.forms import FileStorage
from .app import TestApp
from .client import TestClient
from .commands import TestCliRunner
from .content import make_test_body_with_headers, make_test_headers_path_and_query_string, make_test_scope
from .http import TestHTTPConnection
from .streams import MemoryStream, memory_stream_pair
from .websocket import TestWebSocket

__all__ = [
    "FileStorage",
    "HTTPDisconnectError",
    "LifespanError",
    "MemoryStream",
    "TestApp",
    "TestCliRunner",
    "TestClient",
    "TestHTTPConnection",
    "TestWebSocket",
    "WebsocketDisconnectError",
    "WebsocketResponseError",
    "make_test_body_with_headers",
    "make_test_headers_path_and_query_string",
    "make_test_scope",
    "memory_stream_pair",
]
