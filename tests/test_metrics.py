"""The figures for Prometheus."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from trio.testing import MockClock

from triows import Triows, websocket
from triows.metrics import Metrics


def make_app() -> Triows:
    app = Triows(__name__)

    @app.websocket("/ws")
    async def echo() -> None:
        async for message in websocket:
            await websocket.send(message)

    return app


async def scrape(app: Triows, path: str = "/metrics", **headers: str) -> tuple[str, str]:
    response = await app.test_client().get(path, headers=headers)
    assert response.status_code == 200
    return response.headers["Content-Type"], (await response.get_data()).decode()


def samples(families: Any) -> dict[Any, float]:
    """The samples by name and label's value, without the times when counters were made."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


async def test_what_the_app_counts_is_there_for_prometheus(autojump_clock: MockClock) -> None:
    app = make_app()
    Metrics(app)
    client = app.test_client()
    async with client.websocket("/ws") as ws:
        await ws.send("ä")
        await ws.receive()
        await ws.close(1001)
        await ws.wait_closed()
    await client.get("/missing")
    app.counters.stalls = 3
    async with client.websocket("/ws") as ws:
        await ws.send("b")
        await ws.receive()
        content_type, text = await scrape(app)
    assert content_type.startswith("text/plain; version=")
    assert samples(parse_text(text)) == {
        ("triows_connections_open",): 2,
        ("triows_connections_refused_total",): 0,
        ("triows_client_connections_refused_total",): 0,
        ("triows_websocket_handshakes_over_rate_total",): 0,
        ("triows_receive_pauses_total",): 0,
        ("triows_http_requests_open",): 1,
        ("triows_http_requests_total", "1xx"): 0,
        ("triows_http_requests_total", "2xx"): 0,
        ("triows_http_requests_total", "3xx"): 0,
        ("triows_http_requests_total", "4xx"): 1,
        ("triows_http_requests_total", "5xx"): 0,
        ("triows_http_requests_total", "none"): 0,
        ("triows_websockets_open",): 1,
        ("triows_websocket_handshakes_total", "accepted"): 2,
        ("triows_websocket_handshakes_total", "refused"): 0,
        ("triows_websocket_handshakes_total", "abandoned"): 0,
        ("triows_websocket_disconnects_total", "closed"): 1,
        ("triows_websocket_disconnects_total", "lost"): 0,
        ("triows_websocket_disconnects_total", "protocol_error"): 0,
        ("triows_websocket_disconnects_total", "timeout"): 0,
        ("triows_websocket_disconnects_total", "shutdown"): 0,
        ("triows_websocket_disconnects_total", "server"): 0,
        ("triows_websocket_disconnects_total", "error"): 0,
        ("triows_messages_total", "received"): 2,
        ("triows_messages_total", "sent"): 2,
        ("triows_message_bytes_total", "received"): 3,
        ("triows_message_bytes_total", "sent"): 3,
        ("triows_handler_errors_total",): 0,
        ("triows_swallowed_cancellations_total",): 0,
        ("triows_stalls_total",): 3,
    }


async def test_openmetrics_is_spoken_where_it_is_asked_for(autojump_clock: MockClock) -> None:
    app = make_app()
    Metrics(app)
    content_type, text = await scrape(app, Accept="application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=")
    assert samples(parse_openmetrics(text))["triows_http_requests_open",] == 1


async def test_they_are_at_the_path_of_the_users_choice(autojump_clock: MockClock) -> None:
    app = make_app()
    Metrics(app, "/internal/figures")
    assert "triows_stalls_total 0.0" in (await scrape(app, "/internal/figures"))[1]
    assert (await app.test_client().get("/metrics")).status_code == 404


async def test_there_are_none_unless_they_are_asked_for(autojump_clock: MockClock) -> None:
    assert (await make_app().test_client().get("/metrics")).status_code == 404


async def test_a_hook_can_keep_them_from_strangers(autojump_clock: MockClock) -> None:
    app = make_app()
    Metrics(app)

    @app.before_request
    async def refuse() -> tuple[str, int]:
        return "no", 403

    assert (await app.test_client().get("/metrics")).status_code == 403


async def test_a_registry_of_the_programs_may_hold_other_metrics_too(autojump_clock: MockClock) -> None:
    app, registry = make_app(), CollectorRegistry()
    Counter("orders", "Orders taken.", registry=registry).inc(2)
    assert Metrics(app, registry=registry).registry is registry
    text = (await scrape(app))[1]
    assert "orders_total 2.0" in text
    assert "triows_stalls_total 0.0" in text


async def test_two_apps_have_their_own(autojump_clock: MockClock) -> None:
    one, other = make_app(), make_app()
    Metrics(one)
    Metrics(other)
    one.counters.stalls = 1
    assert "triows_stalls_total 1.0" in (await scrape(one))[1]
    assert "triows_stalls_total 0.0" in (await scrape(other))[1]


def test_two_apps_in_one_registry_are_an_error() -> None:
    registry = CollectorRegistry()
    Metrics(make_app(), registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Metrics(make_app(), registry=registry)


@pytest.mark.parametrize(
    ("module", "missing", "extra"),
    [("metrics", "prometheus_client", "metrics"), ("tracing", "opentelemetry", "otel")],
)
def test_without_its_extra_the_import_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, module: str, missing: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, f"triows.{module}", raising=False)
    with pytest.raises(ImportError, match=rf'pip install "triows\[{extra}\]"'):
        importlib.import_module(f"triows.{module}")


def test_an_app_without_them_loads_neither() -> None:
    code = "import sys, triows, triows.asgi, triows.server.serving; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("prometheus_client", "opentelemetry"))]
