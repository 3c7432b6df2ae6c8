"""Quart's ``quart.views``."""

from __future__ import annotations

from ..framework.routes.class_views import MethodView as MethodView
from ..framework.routes.class_views import View as View
from ..framework.routes.class_views import http_method_funcs as http_method_funcs
