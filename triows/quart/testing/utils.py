"""Quart's ``quart.testing.utils``."""

from __future__ import annotations

from werkzeug.datastructures import Headers

from ...testing.content import UNSET
from ...testing.content import make_test_body_with_headers as make_test_body_with_headers
from ...testing.content import make_test_headers_path_and_query_string as make_test_headers_path_and_query_string
from ...testing.content import make_test_scope as make_test_scope

sentinel = UNSET


async def no_op_push(path: str, headers: Headers) -> None:
    """Push nothing: for requests that a test makes without a server."""
