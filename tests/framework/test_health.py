"""app.health(): the answers to the probes of orchestrators and load balancers."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from triows import Triows, current_app, session

from ..support.asgi import http, ws
from ..support.http import ask, get
from ..support.served import served


def make_app(**options: Any) -> Triows:
    app = Triows(__name__)
    app.health(**options)

    @app.get("/")
    async def index() -> str:
        return "hello"

    @app.get("/slow")
    async def slow() -> str:
        await trio.sleep(5)
        return "done"

    return app


async def probe(app: Triows, path: str = "/readyz", method: str = "GET") -> tuple[int, Any]:
    response = await app.test_client().open(path, method=method)
    return response.status_code, await response.get_json()


async def test_the_default_paths_answer() -> None:
    app = make_app()
    assert await probe(app, "/livez") == (200, {"status": "live"})
    assert await probe(app, "/readyz") == (200, {"status": "ready"})
    response = await app.test_client().get("/readyz")
    assert response.headers["Cache-Control"] == "no-store"
    assert await (await app.test_client().get("/")).get_data() == b"hello"


async def test_paths_may_be_chosen_or_left_out() -> None:
    app = make_app(live=None, ready="/health/ready")
    assert (await probe(app, "/health/ready"))[0] == 200
    assert (await app.test_client().get("/livez")).status_code == 404


async def test_head_has_the_status_and_no_body(autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        response = await ask(target.connect(), get("/livez", "Connection: close", method="HEAD"))
    assert (response.status, response.body) == (200, b"")
    assert int(response.headers["content-length"]) > 0


async def test_other_methods_are_405() -> None:
    response = await make_app().test_client().post("/livez")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


async def test_no_host_hook_or_session_is_in_the_way() -> None:
    app = make_app()
    app.secret_key = "secret"
    app.config["TRUSTED_HOSTS"] = ["example.com"]

    @app.before_request
    async def refuse() -> tuple[str, int]:
        session["seen"] = True
        return "log in", 401

    response = await app.test_client().get("/readyz", headers={"Host": "10.1.2.3:8000"})
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers


async def test_a_draining_server_is_not_ready_and_still_lives(autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        busy, probe, other = target.connect(), target.connect(), target.connect()
        await busy.send(get("/slow"))
        await wait_all_tasks_blocked()
        target.server.shutdown()
        response = await ask(probe, get("/readyz"))
        assert (response.status, json.loads(response.body)) == (503, {"status": "stopping"})
        assert response.headers["connection"] == "close"
        assert (await ask(other, get("/livez"))).status == 200
        assert (await busy.read_response()).body == b"done"


async def test_it_is_not_ready_from_the_moment_of_the_call(autojump_clock: MockClock) -> None:
    async with served(make_app()) as target:
        wire = target.connect()
        assert (await ask(wire, get("/readyz"))).status == 200
        await wire.send(get("/readyz"))
        target.server.shutdown()
        assert (await wire.read_response()).status == 503


async def test_the_start_up_comes_first_and_the_shutdown_counts(autojump_clock: MockClock) -> None:
    app = make_app()
    statuses = []

    @app.while_serving
    async def look() -> Any:
        statuses.append(await asgi_probe(app))
        yield
        statuses.append(await asgi_probe(app))

    async with app.test_app():
        statuses.append(await asgi_probe(app))
    assert statuses == [503, 200, 503]


async def asgi_probe(app: Triows) -> int:
    async with http(app, "/readyz") as server:
        server.put("http.request", body=b"", more_body=False)
        return int((await server.next())["status"])


async def test_a_path_below_the_root_path_of_an_asgi_server() -> None:
    async with http(make_app(), "/app/livez", root_path="/app") as server:
        server.put("http.request", body=b"", more_body=False)
        assert (await server.next())["status"] == 200


async def test_a_websocket_of_that_path_is_the_app_s() -> None:
    async with ws(make_app(), "/livez") as server:
        server.put("websocket.connect")
        assert (await server.next())["status"] == 404


# Checks


async def test_checks_that_are_well(autojump_clock: MockClock) -> None:
    names = []

    async def database() -> None:
        await trio.sleep(1)
        names.append(current_app.name)

    async def cache() -> bool:
        return True

    app = make_app(checks={"database": database, "cache": cache})
    assert await probe(app) == (200, {"status": "ready", "checks": {"database": "ok", "cache": "ok"}})
    assert names == [app.name]


async def test_checks_that_are_not_well(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        raise OSError("password in the URL")

    async def false() -> bool:
        return False

    async def hangs() -> None:
        await trio.sleep_forever()

    async def well() -> None:
        pass

    app = make_app(checks={"broken": broken, "false": false, "hangs": hangs, "well": well}, timeout=0.5)
    began = trio.current_time()
    results = {"broken": "failed", "false": "failed", "hangs": "timeout", "well": "ok"}
    assert await probe(app) == (503, {"status": "failing", "checks": results})
    assert trio.current_time() - began == 0.5
    await probe(app)
    # Once a minute, with the error.
    assert sorted(record.getMessage().split("'")[1] for record in caplog.records) == ["broken", "false", "hangs"]
    assert "password in the URL" in caplog.text


async def test_checks_are_not_asked_while_draining(autojump_clock: MockClock) -> None:
    async def check() -> None:
        raise AssertionError

    async with served(make_app(checks={"check": check})) as target:
        target.server.shutdown()
        assert (await ask(target.connect(), get("/readyz"))).status == 503


# The log, and the statistics


async def test_only_what_is_not_well_is_in_the_access_log(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "triows.access")

    async def check() -> bool:
        return False

    app = make_app(live="/livez", ready="/readyz", checks={"check": check})
    async with served(app) as target:
        wire = target.connect()
        for path in ("/livez", "/readyz", "/"):
            await ask(wire, get(path))
        await wire.stream.aclose()
    lines = [record.getMessage() for record in caplog.records if record.name == "triows.access"]
    assert [line.split('"')[1].split()[1] for line in lines] == ["/readyz", "/"]
    assert (app.stats().requests["2xx"], app.stats().requests["5xx"], app.stats().requests_open) == (2, 1, 0)


# Mistakes


def sync_check() -> bool:
    return True


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"checks": {"database": sync_check}}, TypeError, "'database' is sync_check.*async function"),
        ({"checks": {"database": None}}, TypeError, "'database' is None"),
        ({"timeout": None}, TypeError, "timeout is None"),
        ({"timeout": -1}, ValueError, "timeout is -1"),
        ({"live": "livez"}, ValueError, "'livez' is no path"),
        ({"live": "/readyz"}, ValueError, "each has its own"),
    ],
)
def test_mistakes(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make_app(**options)


def test_a_path_that_has_a_route() -> None:
    app = Triows(__name__)
    app.add_url_rule("/livez", "mine", view_func=sync_check)
    with pytest.raises(ValueError, match="'/livez' is the path of 'mine' already"):
        app.health()


async def test_too_late(autojump_clock: MockClock) -> None:
    app = Triows(__name__)
    with app.served_natively(), pytest.raises(RuntimeError, match=r"health\(\) is called while the app is served"):
        app.health()
