"""Colours, where a terminal shows them."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from triows.tasks.default_handler import DefaultHandler
from triows.tasks.terminal import shows_colours, styled


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("stream", "variables", "coloured"),
    [
        (Terminal(), {}, True),
        (io.StringIO(), {}, False),
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_a_terminal_shows_colours_unless_it_is_told_not_to(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, variables: dict[str, str], coloured: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert shows_colours(stream) is coloured
    assert styled("text", "error", stream) == ("\x1b[31mtext\x1b[0m" if coloured else "text")


def test_a_closed_stream_shows_none() -> None:
    stream = open(sys.executable)  # noqa: SIM115 - closed here
    stream.close()
    assert not shows_colours(stream)


def lines(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(sys, "stderr", stream)
    handler = DefaultHandler()
    for level in (logging.WARNING, 15):
        handler.emit(logging.LogRecord("triows.error", level, __file__, 1, "50%% of %s", ("it",), None))
    return [line.split(" ", 2)[2] for line in stream.getvalue().splitlines()]


def test_the_level_of_a_record_is_coloured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(Terminal(), monkeypatch) == [
        "\x1b[33mWARNING\x1b[0m \x1b[2mtriows.error\x1b[0m: 50% of it",
        "Level 15 triows.error: 50% of it",
    ]


def test_a_record_is_plain_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(io.StringIO(), monkeypatch)[0] == "WARNING triows.error: 50% of it"
