"""Websocket clients of other makes against both servers: every scenario with every client."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from functools import partial
from uuid import uuid4

import pytest

from .clients import LIBRARIES, Library, Refused, Websockets, basic
from .conftest import GUARD, ServerProcess

MESSAGES = {
    "text": "Grüße, 世界 🎈",
    "binary": bytes(range(256)),
    "empty text": "",
    "empty binary": b"",
    "125 bytes": b"x" * 125,
    "126 bytes": b"x" * 126,
    "65535 bytes": b"x" * 65535,
    "65536 bytes": "x" * 65536,
    "1 MiB of text": "ä" * 2**19,
    "1 MiB": bytes(range(256)) * 2**12,
}


@pytest.fixture(params=sorted(LIBRARIES))
def library(request: pytest.FixtureRequest) -> Library:
    library: Library = LIBRARIES[request.param]()
    return library


def get_json(server: ServerProcess, path: str) -> object:
    with urllib.request.urlopen(server.http(path), timeout=GUARD) as response:
        return json.load(response)


def test_messages_come_back_as_they_were_sent(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        async with library.connect(server.ws("/echo")) as client:
            for name, message in MESSAGES.items():
                await client.send(message)
                answer = await client.receive()
                assert type(answer) is type(message), name
                assert answer == message, name

    library.run(scenario)


def test_messages_on_their_way_keep_their_order(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        async with library.connect(server.ws("/echo")) as client:
            for number in range(200):
                await client.send(f"number {number}")
            for number in range(200):
                assert await client.receive() == f"number {number}"

    library.run(scenario)


def test_a_ping_is_answered(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        async with library.connect(server.ws("/echo")) as client:
            await client.ping()
            await client.send("still there")
            assert await client.receive() == "still there"

    library.run(scenario)


def test_a_subprotocol_is_agreed_on(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        async with library.connect(server.ws("/chat"), subprotocols=("chat.v1", "chat.v2")) as client:
            assert client.subprotocol == "chat.v2"
            assert await client.receive() == "offered chat.v1, chat.v2"

    library.run(scenario)


def test_headers_and_query_arrive(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        url = server.ws("/headers?q=a%20b%26c")
        async with library.connect(url, headers={"X-Test": "some value"}) as client:
            assert json.loads(await client.receive()) == {"test": "some value", "query": "a b&c"}

    library.run(scenario)


def test_a_refused_handshake_is_answered_as_http(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        with pytest.raises(Refused) as caught:
            async with library.connect(server.ws("/secret")):
                pytest.fail("accepted")
        refused = caught.value
        assert refused.status == 401
        assert refused.challenge == 'Basic realm="secret"'
        assert refused.body in (b"Who are you?\n", None)

    library.run(scenario)


def test_credentials_open_what_is_refused_without(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        async with library.connect(server.ws("/secret"), headers=basic("ada", "lovelace")) as client:
            assert await client.receive() == "hello ada"

    library.run(scenario)


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/stream", 400)])
def test_a_path_without_a_websocket_is_refused(library: Library, server: ServerProcess, path: str, status: int) -> None:
    async def scenario() -> None:
        with pytest.raises(Refused) as caught:
            async with library.connect(server.ws(path)):
                pytest.fail("accepted")
        assert caught.value.status == status

    library.run(scenario)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "moving on"), (4321, "grüß dich")])
def test_the_close_code_of_the_client_arrives(library: Library, server: ServerProcess, code: int, reason: str) -> None:
    key = uuid4().hex

    async def scenario() -> None:
        async with library.connect(server.ws(f"/tell-ending/{key}")) as client:
            await client.send("a message")
            assert await client.close(code, reason) == code

    library.run(scenario)
    seen = [code, reason, "closed"] if server.kind == "triows" else [1006, "", "lost"]  # hypercorn tells no code
    assert get_json(server, f"/endings/{key}") == seen


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1013, "later, please"), (4999, "ünd tschüß")])
def test_the_close_code_of_the_server_arrives(library: Library, server: ServerProcess, code: int, reason: str) -> None:
    async def scenario() -> None:
        query = urllib.parse.urlencode({"code": code, "reason": reason})
        async with library.connect(server.ws(f"/close?{query}")) as client:
            assert await client.wait_closed() == (code, reason)

    library.run(scenario)


def test_a_handler_that_returns_closes_with_1000(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        async with library.connect(server.ws("/greeting")) as client:
            assert await client.receive() == "hello"
            assert await client.wait_closed() == (1000, "")

    library.run(scenario)


def test_a_handler_that_fails_closes_with_1011(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        async with library.connect(server.ws("/fail")) as client:
            await client.send("please")
            assert (await client.wait_closed())[0] == 1011

    library.run(scenario)
    server.wait_for_output("ValueError: asked for by a test")
    server.take_complaints()


def test_fifty_clients_at_once(library: Library, server: ServerProcess) -> None:
    done = []

    async def talk(number: int) -> None:
        async with library.connect(server.ws("/echo")) as client:
            for count in range(20):
                message = f"client {number}, message {count}"
                await client.send(message)
                assert await client.receive() == message
        done.append(number)

    async def scenario() -> None:
        await library.together([partial(talk, number) for number in range(50)])

    library.run(scenario)
    assert sorted(done) == list(range(50))


def test_two_clients_talk_to_each_other(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        url = server.ws(f"/rooms/{uuid4().hex}")
        async with library.connect(url) as ada, library.connect(url) as grace:
            for client in (ada, grace):
                assert await client.receive() == "welcome"
            for speaker, text in ((ada, "Good morning!"), (grace, "Hello, Ada.")):
                await speaker.send(text)
                for client in (ada, grace):
                    assert await client.receive() == text

    library.run(scenario)


def test_one_of_two_clients_leaves_and_the_other_talks_on(library: Library, server: ServerProcess) -> None:
    async def scenario() -> None:
        url = server.ws(f"/rooms/{uuid4().hex}")
        async with library.connect(url) as ada:
            assert await ada.receive() == "welcome"
            async with library.connect(url) as grace:
                assert await grace.receive() == "welcome"
            await ada.send("Anybody here?")
            assert await ada.receive() == "Anybody here?"

    library.run(scenario)


# What only websockets can send


@pytest.mark.parametrize("pieces", [["one ", "two ", "three"], [b"\x00" * 70000, b"", b"\xff"], ["", ""]])
def test_a_message_in_fragments_arrives_whole(server: ServerProcess, pieces: list[str] | list[bytes]) -> None:
    library = Websockets()

    async def scenario() -> None:
        async with library.connect(server.ws("/echo")) as client:
            await client.connection.send(pieces)
            whole = pieces[0][:0].join(pieces)  # type: ignore[arg-type]
            assert await client.receive() == whole

    library.run(scenario)


def test_a_ping_between_fragments_is_answered_at_once(server: ServerProcess) -> None:
    # wsproto, which hypercorn uses, loses track of a compressed message when a Ping comes between its fragments.
    library = Websockets(compression=None)

    async def scenario() -> None:
        async with library.connect(server.ws("/echo")) as client:

            async def fragments() -> AsyncIterator[str]:
                yield "before "
                await client.ping()
                yield "after"

            await client.connection.send(fragments())
            assert await client.receive() == "before after"

    library.run(scenario)
