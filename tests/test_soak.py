"""The soak's judge finds what is broken, and its talks find nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import trio

from triows.server.serving import serve

from .soak.app import make_app
from .soak.ledger import ClientSide, Reading, ServerSide, compare, make_message
from .soak.peer import Place
from .soak.run import Options, Soak
from .soak.talks import TALKS, Client, read_nothing, slow_head

CLIENT = ClientSide("c", "/echo", "close", sent=5, received=4, code=1000, close=1000, answers=True)
SERVER = ServerSide("c", received=5, sent=5, disconnect=(1000, "closed"))


def reading(*messages: str | bytes) -> Reading:
    found = Reading("c")
    for message in messages:
        found.read(message)
    return found


@pytest.mark.parametrize("text", [False, True])
def test_messages_in_order_are_counted(text: bool) -> None:
    found = reading(*(make_message("c", number, number * 1000, text=text) for number in range(5)))
    assert (found.count, found.faults) == (5, [])


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([make_message("c", 1, 5, text=False)], "message 1 came instead of 0"),
        ([make_message("c", 0, 5, text=False)] * 2, "message 0 came instead of 1"),
        ([make_message("d", 0, 5, text=False)], "message of d"),
        ([make_message("c", 0, 5, text=False)[:-1]], "torn"),
        ([make_message("c", 0, 500, text=False)[:-1] + b"\xff"], "torn"),
        (["something"], "no message of ours"),
    ],
    ids=["hole", "double", "another's", "short", "spoilt", "strange"],
)
def test_other_messages_are_faults(messages: list[Any], fault: str) -> None:
    assert fault in reading(*messages).faults[0]


def test_ledgers_that_agree_are_right() -> None:
    assert compare(CLIENT, SERVER) == []


@pytest.mark.parametrize(
    ("client", "server", "fault"),
    [
        ({}, {"received": 4, "sent": 4}, "only 4 of 5"),
        ({}, {"received": 6, "sent": 6}, "6 messages received of 5 sent"),
        ({"received": 6}, {}, "6 answers received of 5 sent"),
        ({}, {"sent": 3}, "5 messages were answered by 3"),
        ({"close": 1011}, {}, "has 1011, not 1000"),
        ({"close": None}, {}, "has None, not 1000"),
        ({}, {"disconnect": (1006, "lost")}, "not closed"),
        ({}, {"disconnect": (1001, "closed")}, "not the code 1000"),
        ({}, {"disconnect": None}, "not closed"),
        ({"end": "fin"}, {"received": 4, "disconnect": (1006, "lost")}, "only 4 of 5"),
        ({"end": "reset"}, {}, "not a lost client"),
        (
            {"end": "fault", "code": 1002, "close": 1002, "received": 3},
            {"disconnect": (1002, "protocol_error")},
            "only 3 of 5",
        ),
        ({"end": "server"}, {"disconnect": None}, "only 4 of 5"),
        ({"faults": ["torn"]}, {}, "the client: torn"),
        ({}, {"faults": ["torn"]}, "the server: torn"),
    ],
)
def test_ledgers_that_do_not_agree_are_faults(client: dict[str, Any], server: dict[str, Any], fault: str) -> None:
    assert fault in " ".join(compare(dataclasses.replace(CLIENT, **client), dataclasses.replace(SERVER, **server)))


def test_a_reset_may_take_a_last_part() -> None:
    lost = dataclasses.replace(SERVER, received=3, sent=3, disconnect=(1006, "lost"))
    assert compare(dataclasses.replace(CLIENT, end="reset", received=2), lost) == []


async def test_every_talk_ends_as_it_is_due() -> None:
    """Each of them once, all at once; but for those that have to wait for a timeout."""
    soak = Soak(Options(seed=1))
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, make_app(soak.note), "127.0.0.1", 0)
        with trio.fail_after(60):
            async with trio.open_nursery() as talking:
                for number, talk in enumerate(talk for talk in TALKS if talk not in (read_nothing, slow_head)):
                    client = Client(Place(server.port), soak, soak.random(number), str(number))
                    talking.start_soon(soak.hold, talk, client)
        server.shutdown()
    assert soak.faults == []
    assert soak.messages > 100
