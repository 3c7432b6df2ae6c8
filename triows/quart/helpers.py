"""Quart's ``quart.helpers``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ..framework.environment import get_debug_flag as get_debug_flag
from ..framework.environment import get_load_dotenv as get_load_dotenv
from ..framework.folders import root_path_of
from ..web.files import safe_join as safe_join
from ..web.files import send_file as send_file
from ..web.files import send_from_directory as send_from_directory
from ..web.flashes import flash as flash
from ..web.flashes import get_flashed_messages as get_flashed_messages
from ..web.globals import request as _request
from ..web.helpers import abort as abort
from ..web.helpers import make_response as make_response
from ..web.helpers import redirect as redirect
from ..web.helpers import stream_with_context as stream_with_context
from ..web.helpers import url_for as url_for
from ..web.quart_names import refuse_imports as _refuse_imports
from ..web.templates import get_template_attribute as get_template_attribute

DEFAULT_MIMETYPE = "application/octet-stream"
get_root_path = root_path_of
locked_cached_property = cached_property


async def make_push_promise(path: str) -> None:
    """Ask the server to push another resource to the client, as :meth:`triows.Request.send_push_promise` does."""
    await _request.send_push_promise(path)


if not TYPE_CHECKING:
    __getattr__ = _refuse_imports(__name__, {"find_package": "importlib.util.find_spec() finds one"})
