"""Fields of a head: all values of a name, and the members of a list."""

from __future__ import annotations

from triows.protocol.headers import list_values, values


def test_values_are_those_of_all_fields_of_the_name() -> None:
    assert values([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")], b"a") == [b"1", b"3"]


def test_list_members_are_stripped_and_empty_ones_left_out() -> None:
    assert list_values([(b"a", b" x ,\t, y,"), (b"a", b""), (b"a", b"z")], b"a") == ["x", "y", "z"]
