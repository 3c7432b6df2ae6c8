"""Handshakes of the test client that are rejected."""

from __future__ import annotations

from typing import Any

import pytest

from triows import Response, Triows
from triows.testing import WebsocketResponseError


async def rejection(app: Triows, path: str = "/", **options: Any) -> Response:
    """The response that the handshake is rejected with."""
    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket(path, **options) as ws:
            await ws.receive()
    response: Response = caught.value.response
    return response
