"""The soak's judge finds what is broken, and its talks find nothing."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from triows.server.serving import serve

from .app import make_app, make_day
from .books import CANCELLED, LOST, RETURNED, TRAFFIC, Books, Page, answered
from .day import Day
from .ledger import ClientSide, Reading, ServerSide, compare, make_message
from .notes import AccessNotes
from .peer import Place
from .robots import half_open, slow_body, slowloris
from .run import Options, Soak
from .talks import TALKS, Client, read_nothing, slow_head
from .visitors import VISITORS, slow_upload, vanished

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
        ({"end": "timeout"}, {}, "not timeout"),
        ({"reason": "no sign of life"}, {}, "the reason is ''"),
        ({"handled": 1}, {}, "5 messages were handled, not 1"),
        ({"faults": ["torn"]}, {}, "the client: torn"),
        ({}, {"faults": ["torn"]}, "the server: torn"),
    ],
)
def test_ledgers_that_do_not_agree_are_faults(client: dict[str, Any], server: dict[str, Any], fault: str) -> None:
    assert fault in " ".join(compare(dataclasses.replace(CLIENT, **client), dataclasses.replace(SERVER, **server)))


def test_a_reset_may_take_a_last_part() -> None:
    lost = dataclasses.replace(SERVER, received=3, sent=3, disconnect=(1006, "lost"))
    assert compare(dataclasses.replace(CLIENT, end="reset", received=2), lost) == []


def record(books: Books, page: Page, line: str, status: int | None, kind: str | None = None, **end: int) -> None:
    """A record of the access log, as the server notes it."""
    method, _, path = line.partition(" ")
    noted = {"client": page.address, "method": method, "path": path, "status": status, "code": None, "kind": kind}
    books.record({**noted, **dict.fromkeys(TRAFFIC), **end})


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def page(books: Books) -> Page:
    return books.open("a talk")


def test_books_of_requests_that_were_answered_are_right(books: Books, page: Page) -> None:
    page.due("GET /").got(200)
    page.due("GET /other").got(404)
    page.dues[-1].visits = ()
    record(books, page, "GET /", 200)
    record(books, page, "GET /other", 404)
    books.visit(page.address, RETURNED)
    assert list(books.check()) == []
    assert list(books.check_stats({"requests": {"2xx": 1, "3xx": 0, "4xx": 1}, "connections_open": 0})) == []


def test_books_of_a_websocket_are_right(books: Books, page: Page) -> None:
    page.handshake("/echo?connection=1")
    end = page.due("GET /echo", (101, 1000, "closed"), visits=())
    end.received, end.sent = 2, (1, 3)
    record(books, page, "GET /echo", 101)
    traffic = {"messages_received": 2, "messages_sent": 1, "bytes_received": 20, "bytes_sent": 10}
    record(books, page, "GET /echo", 101, "closed", code=1000, **traffic)
    assert list(books.check()) == []
    assert list(books.check_stats({"handshakes_accepted": 1, "disconnects": {"closed": 1}, **traffic})) == []


def test_each_connection_has_an_address_of_its_own(books: Books) -> None:
    addresses = [books.open("").address for _ in range(1000)]
    assert len({*addresses, "127.0.0.1"}) == 1001


@pytest.mark.parametrize(
    ("logged", "visit", "fault"),
    [
        (None, None, "the access log has nothing"),
        ((200, "lost"), RETURNED, "the access log has [Record"),
        ((404, None), RETURNED, "the access log has [Record"),
        ((200, None), None, "its handler ended never"),
        ((200, None), CANCELLED, "its handler ended [('cancelled', 'lost')]"),
    ],
)
def test_a_response_that_was_read_is_whole_in_the_log(
    books: Books, page: Page, logged: tuple[int, str | None] | None, visit: Any, fault: str
) -> None:
    page.due("GET /").got(200)
    if logged is not None:
        record(books, page, "GET /", *logged)
    if visit is not None:
        books.visit(page.address, visit)
    assert fault in " ".join(books.check())


def test_records_and_handlers_that_nobody_asked_for_are_faults(books: Books, page: Page) -> None:
    record(books, page, "GET /", 200)
    books.visit(page.address, RETURNED)
    faults = " ".join(books.check())
    assert "the access log has also" in faults
    assert "a handler ran that nobody asked for" in faults


def test_a_handler_must_be_cancelled_when_its_client_leaves(books: Books, page: Page) -> None:
    due = page.due("GET /poll", LOST, visits=(CANCELLED,))
    record(books, page, "GET /poll", None, "lost")
    books.visit(page.address, RETURNED)
    assert "its handler ended [('returned', None)]" in " ".join(books.check())
    due.visits = (RETURNED,)
    assert list(books.check()) == []


def test_what_the_server_may_not_have_seen_is_no_fault(books: Books, page: Page) -> None:
    page.due("GET /").left()
    page.due("GET /").got(200)
    record(books, page, "GET /", 200)
    books.visit(page.address, RETURNED)
    assert list(books.check()) != []  # the first one is taken for it
    page.dues.pop()
    assert list(books.check()) == []


def test_statistics_that_count_otherwise_are_faults(books: Books, page: Page) -> None:
    page.due("GET /", answered(200), visits=())
    record(books, page, "GET /", 200)
    assert list(books.check()) == []
    assert list(books.check_stats({"requests": {"2xx": 2}})) == ["stats() has counted requests 2xx: 2, and 1 are due"]


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


@pytest.fixture
def day() -> Iterator[Day]:
    """Hears of the access log."""
    soak = Day(Options(seed=1))
    logger, handler = logging.getLogger("triows.access"), AccessNotes(soak.note)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield soak
    logger.setLevel(level)
    logger.removeHandler(handler)


async def test_every_visitor_of_a_day_is_in_the_books_as_it_is_due(day: Day) -> None:
    """Each of them once, all at once; but for those that take long."""
    long = (vanished, slowloris, slow_body, half_open, slow_upload)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve, make_day(day.note), "127.0.0.1", 0)
        with trio.fail_after(60):
            async with trio.open_nursery() as talking:
                for number, talk in enumerate(talk for talk in VISITORS if talk not in long):
                    client = Client(Place(server.port), day, day.random(number), str(number), books=day.books)
                    talking.start_soon(day.hold, talk, client)
        server.shutdown()
    day.check_books()
    assert day.faults == []
    assert len(day.books.pages) > 30
