"""Text of a client's, made safe for a line of a log."""

from __future__ import annotations

from triows.protocol.text import printable, visible


def test_text_of_a_clients_is_made_safe_for_a_line() -> None:
    assert printable('a"\n\u2028\u202e\x1b\x7fä\\') == r"a\"\n\u2028\u202e\x1b\x7f\xe4" + "\\\\"
    assert printable("a" * 11, limit=10) == "a" * 10 + "..."
    assert visible("ä\u2028\u202e\x1b\x00\ud800") == r"ä\u2028\u202e\x1b\x00\ud800"
