"""How many connections each client has, for ``max_connections_per_client``."""

from __future__ import annotations

from collections import Counter

from ..connection.limits import ServerLimits
from ..protocol.clients import client_network
from ..protocol.forwarded import trusts
from .service import Endpoints


class ClientCounts:
    """Counts connections by their clients' addresses; it knows those alone that have a connection now."""

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()
        self._counted: dict[int, bytes] = {}  # by the id() of the endpoints, which live as long as the connection

    def admit(self, endpoints: Endpoints, limits: ServerLimits) -> bool:
        """Count a connection, and return True, unless its client has as many already as the limits allow."""
        most = limits.max_connections_per_client
        client = None if endpoints.client is None else endpoints.client[0]
        if most is None or client is None or trusts(client, limits.trusted_proxies):
            return True
        network = client_network(client)
        if network is None:
            return True
        if self._counts[network] >= most:
            return False
        self._counts[network] += 1
        self._counted[id(endpoints)] = network
        return True

    def remove(self, endpoints: Endpoints) -> None:
        """The connection has ended. One that was not counted, or has been removed already, is passed by."""
        network = self._counted.pop(id(endpoints), None)
        if network is not None:
            self._counts[network] -= 1
            if not self._counts[network]:
                del self._counts[network]
