"""Prometheus' metrics and OpenTelemetry's spans."""

from collections.abc import Iterable
from typing import assert_type

from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry, Metric

from triows import Triows
from triows.metrics import Metrics
from triows.tracing import Tracing

app = Triows(__name__)

metrics = Metrics(app, "/metrics", registry=CollectorRegistry())
assert_type(metrics.registry, CollectorRegistry)
assert_type(metrics.collect(), Iterable[Metric])
Metrics("app")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Metrics(app, registry={})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def scrape() -> None:
    assert_type(await metrics.view(), tuple[bytes, dict[str, str]])


def trace(provider: TracerProvider) -> None:
    assert_type(Tracing(app), Tracing)
    Tracing(app, provider)
    Tracing(app, "provider")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Tracing()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
