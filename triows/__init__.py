"""triows: a web framework for Trio, with WebSockets first."""

from .app import Server as Server
from .app import Triows as Triows
from .app import current_app as current_app
from .connection.limits import ServerLimits as ServerLimits
from .connection.limits import WebSocketLimits as WebSocketLimits
from .connection.stats import Stats as Stats
from .errors import CancelledSwallowedError as CancelledSwallowedError
from .errors import JSONMessageError as JSONMessageError
from .errors import LifespanError as LifespanError
from .errors import ListenError as ListenError
from .errors import TriowsError as TriowsError
from .errors import WebSocketClosed as WebSocketClosed
from .errors import WebsocketResponseError as WebsocketResponseError
from .errors import WebSocketStateError as WebSocketStateError
from .framework.background import BackgroundNursery as BackgroundNursery
from .framework.config import Config as Config
from .framework.routes.blueprints import Blueprint as Blueprint
from .protocol.disconnect import Disconnect as Disconnect
from .protocol.websocket.compression import Compression as Compression
from .web.body import Body as Body
from .web.context import has_app_context as has_app_context
from .web.context import has_request_context as has_request_context
from .web.context import has_websocket_context as has_websocket_context
from .web.forms import FileStorage as FileStorage
from .web.globals import g as g
from .web.globals import request as request
from .web.globals import session as session
from .web.globals import websocket as websocket
from .web.helpers import abort as abort
from .web.helpers import after_this_request as after_this_request
from .web.helpers import copy_current_app_context as copy_current_app_context
from .web.helpers import copy_current_request_context as copy_current_request_context
from .web.helpers import copy_current_websocket_context as copy_current_websocket_context
from .web.helpers import jsonify as jsonify
from .web.helpers import make_response as make_response
from .web.helpers import redirect as redirect
from .web.helpers import stream_with_context as stream_with_context
from .web.helpers import url_for as url_for
from .web.json import JSONProvider as JSONProvider
from .web.request import Request as Request
from .web.response import Response as Response
from .web.sessions import SessionInterface as SessionInterface
from .web.sessions import SessionMixin as SessionMixin
from .web.websocket import WebSocket as WebSocket

__version__ = "0.1.0"
