"""The statistics of an app as metrics for Prometheus; needs the extra ``metrics``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .framework.application import App
from .web.globals import request

try:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector
except ModuleNotFoundError as _error:
    raise ImportError('triows.metrics needs prometheus-client: pip install "triows[metrics]"') from _error


__all__ = ["Metrics"]


class Metrics(Collector):
    """Answers Prometheus with the figures of :meth:`triows.Triows.stats`: ``Metrics(app)``.

    :param path: the path that answers ``GET``, in the text format or in OpenMetrics, as the Accept header asks for.
    :param registry: the registry for the metrics, which may hold others of the program; by default a new one.
    :raises ValueError: if the metrics of another app are in the registry already.

    Anybody who can reach the path can read the figures: let the proxy in front keep it from strangers, or a
    ``before_request`` hook.
    """

    def __init__(self, app: App, path: str = "/metrics", *, registry: CollectorRegistry | None = None) -> None:
        self._app = app
        self.registry: CollectorRegistry = CollectorRegistry() if registry is None else registry
        self.registry.register(self)
        app.add_url_rule(path, "triows.metrics", self.view)

    async def view(self) -> tuple[bytes, dict[str, str]]:
        """Answer a scrape."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return encode(self.registry), {"Content-Type": content_type}

    def describe(self) -> Iterable[Metric]:
        """Return the same metrics as :meth:`collect`, by which a registry finds out that it has them already."""
        return self.collect()

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now; Prometheus' client calls it."""
        stats = self._app.stats()
        yield GaugeMetricFamily("triows_connections_open", "Clients connected.", stats.connections_open)
        yield GaugeMetricFamily("triows_http_requests_open", "HTTP requests being handled.", stats.requests_open)
        yield GaugeMetricFamily("triows_websockets_open", "Websockets open.", stats.websockets_open)
        yield CounterMetricFamily(
            "triows_connections_refused", "Clients turned away at max_connections.", stats.connections_refused
        )
        yield CounterMetricFamily(
            "triows_client_connections_refused",
            "Clients turned away at max_connections_per_client.",
            stats.client_connections_refused,
        )
        yield _counters("triows_http_requests", "HTTP requests ended, by class of status.", "status", stats.requests)
        yield _counters(
            "triows_websocket_handshakes",
            "Websocket handshakes, by what became of them.",
            "result",
            {
                "accepted": stats.handshakes_accepted,
                "refused": stats.handshakes_refused,
                "abandoned": stats.handshakes_abandoned,
            },
        )
        yield CounterMetricFamily(
            "triows_websocket_handshakes_over_rate",
            "Handshakes refused beyond max_handshake_rate.",
            stats.handshakes_over_rate,
        )
        yield CounterMetricFamily(
            "triows_receive_pauses", "Waits of handlers because of max_message_rate.", stats.receive_pauses
        )
        yield _counters("triows_websocket_disconnects", "Websockets ended, by kind.", "kind", stats.disconnects)
        yield _counters(
            "triows_messages",
            "Messages of websockets.",
            "direction",
            {"received": stats.messages_received, "sent": stats.messages_sent},
        )
        yield _counters(
            "triows_message_bytes",
            "Bytes of payload in messages of websockets.",
            "direction",
            {"received": stats.bytes_received, "sent": stats.bytes_sent},
        )
        yield CounterMetricFamily("triows_handler_errors", "Errors that no error handler took.", stats.handler_errors)
        yield CounterMetricFamily(
            "triows_swallowed_cancellations",
            "Handlers that swallowed the cancellation of their disconnect.",
            stats.swallowed_cancellations,
        )
        yield CounterMetricFamily("triows_stalls", "Handlers that held the event loop for too long.", stats.stalls)


def _counters(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
