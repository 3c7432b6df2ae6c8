"""aiohttp's HTTP client against both servers. Its websockets are in test_websocket_clients.py."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp

from .conftest import GUARD, ServerProcess


def run(scenario: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(GUARD), aiohttp.ClientSession() as session:
            await scenario(session)

    asyncio.run(main())


def test_get_and_head(server: ServerProcess) -> None:
    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.get(server.http("/")) as response:
            assert (response.status, await response.text()) == (200, "hello\n")
        async with session.head(server.http("/")) as response:
            assert (response.headers["Content-Length"], await response.read()) == ("6", b"")

    run(scenario)


def test_a_body_in_pieces_arrives_whole(server: ServerProcess) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            yield bytes([number]) * 10_000

    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.post(server.http("/upload"), data=pieces()) as response:
            answer = await response.json()
        body = b"".join(bytes([number]) * 10_000 for number in range(100))
        assert answer["sha256"] == hashlib.sha256(body).hexdigest()
        assert answer["length"] is None

    run(scenario)


def test_a_body_that_waits_for_100_continue_arrives_whole(server: ServerProcess) -> None:
    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.post(server.http("/upload"), data=b"x" * 500_000, expect100=True) as response:
            answer = await response.json()
        assert (answer["size"], answer["expect"]) == (500_000, "100-continue")

    run(scenario)


def test_a_streamed_response_arrives_whole(server: ServerProcess) -> None:
    async def scenario(session: aiohttp.ClientSession) -> None:
        async with session.get(server.http("/stream")) as response:
            lines = [int(line) async for line in response.content]
        assert lines == list(range(1000))

    run(scenario)


def test_a_connection_serves_one_request_after_the_other(server: ServerProcess) -> None:
    async def scenario(_: aiohttp.ClientSession) -> None:
        opened = []

        async def note(*what: object) -> None:
            opened.append(what)

        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(note)
        async with aiohttp.ClientSession(trace_configs=[trace]) as traced:
            for path in ("/", "/stream", "/nowhere", "/version"):
                async with traced.get(server.http(path)) as response:
                    await response.read()
        assert len(opened) == 1

    run(scenario)


def test_a_hundred_requests_at_once(server: ServerProcess) -> None:
    async def scenario(session: aiohttp.ClientSession) -> None:
        async def get(number: int) -> int:
            async with session.get(server.http("/"), params={"number": number}) as response:
                await response.read()
                return response.status

        assert await asyncio.gather(*map(get, range(100))) == [200] * 100

    run(scenario)


def test_no_request_behind_a_refused_upload_is_lost(triows_server: ServerProcess) -> None:
    server = triows_server  # hypercorn does not announce that it closes
    sizes = (100_000, 400_000, 900_000)  # of the first the connection is kept

    async def scenario(session: aiohttp.ClientSession) -> None:
        for number in range(100):
            async with session.post(server.http("/refuse"), data=b"x" * sizes[number % 3]) as response:
                assert (response.status, await response.text()) == (403, "no, thank you\n")
            async with session.post(server.http("/upload"), data=b"x") as response:
                assert (await response.json())["size"] == 1

    run(scenario)
