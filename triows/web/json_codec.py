"""What requests, responses and websockets read and write JSON with, as long as no app gives them its provider."""

from __future__ import annotations

import json
from typing import Any, Protocol


class JSONCodec(Protocol):
    """Reads and writes JSON; :class:`triows.JSONProvider` is one."""

    def dumps(self, obj: Any) -> str: ...
    def loads(self, text: str | bytes) -> Any: ...


class StandardJSON:
    """The standard library's :mod:`json`."""

    def dumps(self, obj: Any) -> str:
        return json.dumps(obj)

    def loads(self, text: str | bytes) -> Any:
        return json.loads(text)
