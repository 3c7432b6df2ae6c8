"""Which responses have content, and what length they tell."""

from __future__ import annotations

import pytest

from triows.protocol.content import has_content, length_to_tell, told_length


@pytest.mark.parametrize(
    ("method", "status", "has"),
    [("GET", 200, True), ("POST", 404, True), ("HEAD", 200, False), ("GET", 204, False), ("GET", 304, False)],
)
def test_head_204_and_304_have_no_content(method: str, status: int, has: bool) -> None:
    assert has_content(method, status) is has


@pytest.mark.parametrize(
    ("status", "told", "size", "length"),
    [
        (200, None, 5, 5),
        (200, None, None, None),
        (200, 7, None, 7),
        (204, None, 5, None),
        (204, 5, 5, None),
        (304, None, 0, None),
        (304, 1000, 0, 1000),
    ],
)
def test_the_length_is_told_as_the_status_allows(
    status: int, told: int | None, size: int | None, length: int | None
) -> None:
    assert length_to_tell(status, told, size) == length


def test_a_length_is_one_number() -> None:
    assert told_length([(b"x", b"y")]) is None
    assert told_length([(b"content-length", b"5"), (b"content-length", b"5")]) == 5
    with pytest.raises(ValueError, match="not one number"):
        told_length([(b"content-length", b"5"), (b"content-length", b"6")])
