"""Quart's ``quart.wrappers.request``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...web.clientless import FedBody
from ...web.quart_names import refuse_imports as _refuse_imports
from ...web.request import Request as Request

Body = FedBody

if not TYPE_CHECKING:
    __getattr__ = _refuse_imports(
        __name__,
        {
            "SERVER_PUSH_HEADERS_TO_COPY": "push promises do nothing",
        },
    )
