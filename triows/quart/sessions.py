"""Quart's ``quart.sessions``."""

from __future__ import annotations

from ..web.sessions import NullSession as NullSession
from ..web.sessions import SecureCookieSession as SecureCookieSession
from ..web.sessions import SecureCookieSessionInterface as SecureCookieSessionInterface
from ..web.sessions import SessionInterface as SessionInterface
from ..web.sessions import SessionMixin as SessionMixin

session_json_serializer = SecureCookieSessionInterface.serializer
