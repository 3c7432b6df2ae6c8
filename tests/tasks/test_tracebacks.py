"""Tracebacks with the user's frames alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from triows import Triows
from triows.tasks.tracebacks import user_traceback


def raised(function: Callable[[], Any]) -> str:
    with pytest.raises(Exception) as caught:
        function()
    return user_traceback(caught.value)


def files(text: str) -> list[str]:
    return [
        line.split('"')[1].rpartition("/")[2] for line in text.splitlines() if line.lstrip(" |+-").startswith("File")
    ]


def test_frames_of_triows_and_of_the_standard_library_are_left_out() -> None:
    text = raised(lambda: Triows("chat").add_url_rule("/<nothing:x>", "x", print))
    assert set(files(text)) == {"test_tracebacks.py"}
    assert text.splitlines()[-1].startswith("LookupError: ")
    assert set(files(raised(lambda: json.loads("{")))) == {"test_tracebacks.py"}


def test_causes_are_shortened_too() -> None:
    def fail() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise LookupError("outer") from error

    text = raised(fail)
    assert set(files(text)) == {"test_tracebacks.py"}
    assert text.index("JSONDecodeError") < text.index("direct cause") < text.index("LookupError: outer")


def test_the_errors_of_a_group_are_shortened_too() -> None:
    def fail() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise ExceptionGroup("several", [error]) from None

    text = raised(fail)
    assert set(files(text)) == {"test_tracebacks.py"}
    assert "JSONDecodeError" in text


def test_an_error_without_a_frame_of_the_users_has_the_last_one() -> None:
    with pytest.raises(ValueError) as caught:
        json.loads("{")
    caught.value.__traceback__ = caught.value.__traceback__.tb_next  # type: ignore[union-attr]
    assert files(user_traceback(caught.value)) == ["decoder.py"]


def test_a_syntax_error_says_itself_where_it_is() -> None:
    with pytest.raises(SyntaxError) as caught:
        compile("a = ", "chat.py", "exec")
    caught.value.__traceback__ = None
    assert user_traceback(caught.value).startswith('  File "chat.py", line 1\n')


def test_an_error_that_was_never_raised_has_no_frames() -> None:
    assert user_traceback(ValueError("wrong")) == "ValueError: wrong\n"
