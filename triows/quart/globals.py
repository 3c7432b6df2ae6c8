"""Quart's ``quart.globals``."""

from __future__ import annotations

from ..app import current_app as current_app
from ..web.globals import app_ctx as app_ctx
from ..web.globals import g as g
from ..web.globals import request as request
from ..web.globals import request_ctx as request_ctx
from ..web.globals import session as session
from ..web.globals import websocket as websocket
from ..web.globals import websocket_ctx as websocket_ctx
