"""Quart's ``quart.signals``."""

from __future__ import annotations

from ..web.signals import appcontext_popped as appcontext_popped
from ..web.signals import appcontext_pushed as appcontext_pushed
from ..web.signals import appcontext_tearing_down as appcontext_tearing_down
from ..web.signals import before_render_template as before_render_template
from ..web.signals import got_background_exception as got_background_exception
from ..web.signals import got_request_exception as got_request_exception
from ..web.signals import got_serving_exception as got_serving_exception
from ..web.signals import got_websocket_exception as got_websocket_exception
from ..web.signals import message_flashed as message_flashed
from ..web.signals import request_finished as request_finished
from ..web.signals import request_started as request_started
from ..web.signals import request_tearing_down as request_tearing_down
from ..web.signals import signals_available as signals_available
from ..web.signals import template_rendered as template_rendered
from ..web.signals import websocket_finished as websocket_finished
from ..web.signals import websocket_received as websocket_received
from ..web.signals import websocket_sent as websocket_sent
from ..web.signals import websocket_started as websocket_started
from ..web.signals import websocket_tearing_down as websocket_tearing_down
