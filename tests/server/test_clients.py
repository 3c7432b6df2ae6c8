"""max_connections_per_client: how many connections one address may have."""

from __future__ import annotations

import pytest
import trio

from triows import ServerLimits, Triows
from triows.server.clients import ClientCounts
from triows.server.service import Endpoints
from triows.server.serving import Server

from ..support.http import ask, get
from ..support.wire import Wire


def end(address: str | None) -> Endpoints:
    return Endpoints(None if address is None else (address, 1))


LIMITS = ServerLimits(max_connections_per_client=2, trusted_proxies=("10.0.0.0/8",))


def test_connections_of_one_network_are_counted_together() -> None:
    counts = ClientCounts()
    ends = [end("2001:db8::1"), end("2001:db8::2")]
    assert all(counts.admit(one, LIMITS) for one in ends)
    assert not counts.admit(end("2001:db8::3"), LIMITS)
    assert counts.admit(end("2001:db8:0:1::1"), LIMITS)
    counts.remove(ends[0])
    counts.remove(ends[0])
    assert counts.admit(end("2001:db8::3"), LIMITS)
    assert not counts.admit(end("2001:db8::4"), LIMITS)


@pytest.mark.parametrize("address", ["10.1.2.3", None, "somewhere"])
def test_proxies_and_clients_without_an_address_are_not_counted(address: str | None) -> None:
    counts = ClientCounts()
    assert all(counts.admit(end(address), LIMITS) for _ in range(5))


def test_addresses_are_forgotten() -> None:
    counts = ClientCounts()
    one = end("192.0.2.7")
    counts.admit(one, LIMITS)
    counts.remove(one)
    assert not counts._counts
    assert not counts._counted
    counts.remove(end("192.0.2.7"))


@pytest.mark.parametrize("use_reactor", [None, False])
async def test_the_one_too_many_gets_429(use_reactor: bool | None) -> None:
    app = Triows(__name__, max_connections_per_client=2)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server = Server(app, use_reactor=use_reactor)
        await nursery.start(server.run, listeners)

        async def connect() -> Wire:
            return Wire(await trio.open_tcp_stream("127.0.0.1", server.port))

        with trio.fail_after(30):
            wires = [await connect(), await connect()]
            for wire in wires:
                assert (await ask(wire, get())).status == 404
            third = await connect()
            response = await third.read_response()
            assert (response.status, response.headers["retry-after"]) == (429, "10")
            assert app.stats().client_connections_refused == 1
            await wires[0].stream.aclose()
            while app.stats().connections_open == 2:
                await trio.sleep(0)
            fourth = await connect()
            assert (await ask(fourth, get())).status == 404
            for wire in (wires[1], third, fourth):
                await wire.stream.aclose()
        server.shutdown()
