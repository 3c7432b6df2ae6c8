"""The inbox: what its size counts, and when it falls to 0."""

from __future__ import annotations

from sys import getsizeof

from triows.protocol.websocket.inbox import MESSAGE_COST, Inbox


def test_a_message_counts_with_its_payload_and_its_cost() -> None:
    inbox = Inbox()
    inbox.put("é", 2)
    inbox.put(b"", 0)
    assert list(inbox) == ["é", b""]
    assert (inbox.size, inbox.messages, inbox.bytes) == (2 + 2 * MESSAGE_COST, 2, 2)


def test_the_size_stays_until_the_last_message_is_taken() -> None:
    inbox = Inbox()
    inbox.put(b"one", 3)
    inbox.put(b"two", 3)
    assert inbox.popleft() == b"one"
    assert inbox.size == 6 + 2 * MESSAGE_COST
    assert inbox.reset_size() == 6 + 2 * MESSAGE_COST
    assert inbox.popleft() == b"two"
    assert (inbox.size, inbox.messages, inbox.bytes) == (0, 2, 6)


def test_a_streamed_message_that_is_put_back_is_next_and_counted_once() -> None:
    inbox = Inbox()
    inbox.put(b"later", 5)
    inbox.count_streamed(5)
    inbox.put_back(b"first", 5)
    assert list(inbox) == [b"first", b"later"]
    assert (inbox.size, inbox.messages, inbox.bytes) == (10 + 2 * MESSAGE_COST, 2, 10)


def test_a_cleared_inbox_has_no_size_and_keeps_its_counts() -> None:
    inbox = Inbox()
    inbox.put(b"one", 3)
    inbox.clear()
    assert (list(inbox), inbox.size, inbox.messages, inbox.bytes) == ([], 0, 1, 3)


def test_text_that_python_widens_counts_with_its_memory() -> None:
    text = "x" * 999 + "\N{GRINNING FACE}"
    inbox = Inbox()
    inbox.put(text, len(text.encode()))
    assert inbox.memory(2000) == getsizeof(text) > 4000


def test_memory_is_the_size_where_the_limit_is_far_or_reached() -> None:
    inbox = Inbox()
    inbox.put("x" * 1000, 1000)
    assert inbox.memory(1_000_000) == inbox.memory(500) == 1000 + MESSAGE_COST
