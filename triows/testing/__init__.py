"""Tools for testing apps: a client that speaks HTTP and WebSocket to the app's own server, over streams in memory.

Everything happens in the test's own Trio run, without sockets and threads, and in virtual time under
``trio.testing.MockClock`` (pytest-trio's ``autojump_clock``).
"""

from ..errors import HTTPDisconnectError as HTTPDisconnectError
from ..errors import LifespanError as LifespanError
from ..errors import WebsocketDisconnectError as WebsocketDisconnectError
from ..errors import WebsocketResponseError as WebsocketResponseError
from ..formdata import FileStorage as FileStorage
from .app import TestApp as TestApp
from .client import TestClient as TestClient
from .content import make_test_body_with_headers as make_test_body_with_headers
from .content import make_test_headers_path_and_query_string as make_test_headers_path_and_query_string
from .content import make_test_scope as make_test_scope
from .http import TestHTTPConnection as TestHTTPConnection
from .streams import MemoryStream as MemoryStream
from .streams import memory_stream_pair as memory_stream_pair
from .websocket import TestWebSocket as TestWebSocket
