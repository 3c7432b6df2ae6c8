"""Quart-Rate-Limiter: 429 for those who ask too often, with the headers that say when to come back.

Its times are those of the machine: limits are of hours here, so that no test depends on how long it takes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from quart import Blueprint, Quart, request
from quart_rate_limiter import RateLimit, RateLimiter, limit_blueprint, rate_exempt, rate_limit

pytestmark = pytest.mark.extensions

HOUR = timedelta(hours=1)


@pytest.fixture
def app() -> Quart:
    return Quart(__name__)


async def statuses(app: Quart, path: str, times: int, **options: Any) -> list[int]:
    return [(await app.test_client().get(path, **options)).status_code for _ in range(times)]


async def test_a_route_is_limited(app: Quart) -> None:
    RateLimiter(app)

    @app.get("/")
    @rate_limit(2, HOUR)
    async def handler() -> str:
        return "hello"

    async with app.test_app():
        client = app.test_client()
        first = await client.get("/")
        assert (first.status_code, first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == (
            200,
            "2",
            "1",
        )
        assert (await client.get("/")).status_code == 200
        refused = await client.get("/")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 3600


async def test_one_client_does_not_use_up_the_limit_of_another(app: Quart) -> None:
    RateLimiter(app)

    @app.get("/")
    @rate_limit(limits=[RateLimit(1, HOUR), RateLimit(20, 2 * HOUR)])
    async def handler() -> str:
        return "hello"

    async with app.test_app():
        assert await statuses(app, "/", 2) == [200, 429]
        assert await statuses(app, "/", 2, scope_base={"client": ("192.0.2.1", 1)}) == [200, 429]


async def test_a_key_function_tells_clients_apart(app: Quart) -> None:
    async def key_function() -> str:
        return request.headers["X-User"]

    RateLimiter(app, key_function=key_function, default_limits=[RateLimit(1, HOUR)])

    @app.get("/")
    async def handler() -> str:
        return "hello"

    @app.get("/exempt")
    @rate_exempt
    async def exempt() -> str:
        return "hello"

    async with app.test_app():
        assert await statuses(app, "/", 2, headers={"X-User": "a"}) == [200, 429]
        assert await statuses(app, "/", 1, headers={"X-User": "b"}) == [200]
        assert await statuses(app, "/exempt", 2, headers={"X-User": "a"}) == [200, 200]


async def test_static_files_are_skipped(app: Quart) -> None:
    async def skip_static() -> bool:
        return request.endpoint == "files"

    RateLimiter(app, skip_function=skip_static, default_limits=[RateLimit(1, HOUR)])

    @app.get("/files")
    async def files() -> str:
        return "hello"

    async with app.test_app():
        assert await statuses(app, "/files", 2) == [200, 200]


async def test_a_blueprint_is_limited(app: Quart) -> None:
    RateLimiter(app)
    blueprint = Blueprint("name", __name__)
    limit_blueprint(blueprint, 1, HOUR)

    @blueprint.get("/in")
    async def inside() -> str:
        return "hello"

    @app.get("/out")
    async def outside() -> str:
        return "hello"

    app.register_blueprint(blueprint)
    async with app.test_app():
        assert await statuses(app, "/in", 2) == [200, 429]
        assert await statuses(app, "/out", 2) == [200, 200]
