"""Quart's ``quart.ctx``."""

from __future__ import annotations

from ..framework.contexts import AsyncContext
from ..framework.pipeline.contexts import RequestContext as RequestContext
from ..framework.pipeline.contexts import WebSocketContext
from ..tasks.context import Namespace
from ..web.context import has_app_context as has_app_context
from ..web.context import has_request_context as has_request_context
from ..web.context import has_websocket_context as has_websocket_context
from ..web.helpers import after_this_request as after_this_request
from ..web.helpers import after_this_websocket as after_this_websocket
from ..web.helpers import copy_current_app_context as copy_current_app_context
from ..web.helpers import copy_current_request_context as copy_current_request_context
from ..web.helpers import copy_current_websocket_context as copy_current_websocket_context

AppContext = AsyncContext
WebsocketContext = WebSocketContext
_AppCtxGlobals = Namespace
