"""The app that the tests of the test client talk to."""

from __future__ import annotations

import pytest

from triows import Triows, websocket


@pytest.fixture
def app(app: Triows) -> Triows:
    app.secret_key = "secret"

    @app.websocket("/echo")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    return app
