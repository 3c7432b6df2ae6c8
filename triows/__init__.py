"""triows: a web framework for Trio, with WebSockets first."""

# The proxies `request` and `websocket` have the names of submodules: those must be bound first, or type checkers
# (and an import that comes late) would see the submodules.
# isort: off
from .request import FileStorage as FileStorage
from .request import Request as Request
from .websocket import WebSocket as WebSocket

# isort: on
from .app import Triows as Triows
from .blueprints import Blueprint as Blueprint
from .config import Config as Config
from .context import current_app as current_app
from .context import g as g
from .context import has_app_context as has_app_context
from .context import has_request_context as has_request_context
from .context import has_websocket_context as has_websocket_context
from .context import request as request
from .context import session as session
from .context import websocket as websocket
from .ends import Disconnect as Disconnect
from .errors import CancelledSwallowedError as CancelledSwallowedError
from .errors import JSONMessageError as JSONMessageError
from .errors import LifespanError as LifespanError
from .errors import TriowsError as TriowsError
from .errors import WebSocketClosed as WebSocketClosed
from .errors import WebsocketResponseError as WebsocketResponseError
from .errors import WebSocketStateError as WebSocketStateError
from .helpers import abort as abort
from .helpers import after_this_request as after_this_request
from .helpers import copy_current_app_context as copy_current_app_context
from .helpers import copy_current_request_context as copy_current_request_context
from .helpers import copy_current_websocket_context as copy_current_websocket_context
from .helpers import jsonify as jsonify
from .helpers import make_response as make_response
from .helpers import redirect as redirect
from .helpers import stream_with_context as stream_with_context
from .helpers import url_for as url_for
from .json import JSONProvider as JSONProvider
from .limits import ServerLimits as ServerLimits
from .limits import WebSocketLimits as WebSocketLimits
from .protocol.deflate import Compression as Compression
from .response import Response as Response
from .sessions import SessionInterface as SessionInterface
from .stats import Stats as Stats

__version__ = "0.1.0"
