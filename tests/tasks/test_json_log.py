"""Log records as JSON."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triows import JSONFormatter, Triows
from triows.tasks.default_handler import DefaultHandler, default_handler

from .test_default_handler import no_logging_set_up


def entry_of(**attributes: Any) -> dict[str, Any]:
    record = logging.makeLogRecord({"name": "chat", "levelname": "INFO", "msg": "hello", **attributes})
    line = JSONFormatter().format(record)
    assert len(line.splitlines()) == 1
    assert line.isascii()
    entry = json.loads(line, parse_constant=pytest.fail)
    assert isinstance(entry, dict)
    return entry


def test_the_fields_of_every_record() -> None:
    entry = entry_of(created=1772366400.123456, msg="%s says %r", args=("ann", "hi"))
    assert entry == {
        "time": "2026-03-01T12:00:00.123Z",
        "level": "INFO",
        "logger": "chat",
        "message": "ann says 'hi'",
    }
    assert list(entry) == ["time", "level", "logger", "message"]


def test_what_a_call_adds_is_under_its_own_names() -> None:
    entry = entry_of(request_id="mine", room={"name": "lobby", "members": [1, 2.5, True]}, size=None)
    assert (entry["request_id"], entry["room"]) == ("mine", {"name": "lobby", "members": [1, 2.5, True]})
    assert "size" not in entry


def test_what_a_call_adds_replaces_nothing() -> None:
    entry = entry_of(level="mine", time=1, logger="x", traceback="y")
    assert (entry["level"], entry["level_"], entry["time_"]) == ("INFO", "mine", 1)
    assert (entry["logger_"], entry["traceback_"], "traceback" in entry) == ("x", "y", False)


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def loop() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (b"bytes", "b'bytes'"),
        ({1}, "{1}"),
        ([b"x"], ["b'x'"]),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (loop(), "[[...]]"),
        ("line\nbreak\u2028\x85", "line\nbreak\u2028\x85"),
        ("\ud800", "\ud800"),
    ],
)
def test_values_that_json_has_no_form_for(value: Any, written: Any) -> None:
    assert entry_of(value=value)["value"] == written


def test_a_value_without_a_repr() -> None:
    assert "Broken object" in entry_of(value=Broken())["value"]
    assert "no repr" in entry_of(msg="%s %r", args=("a", Broken()))["message"]


def test_arguments_that_do_not_suit() -> None:
    assert entry_of(msg="%d of %s", args=("one",))["message"].startswith("%d of %s ('one',) (TypeError: ")


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.floats() | st.text() | st.binary(), st.lists)))
def test_no_content_breaks_a_line(extra: dict[str, Any]) -> None:
    entry = entry_of(**{f"x{name}": value for name, value in extra.items()})
    assert entry["message"] == "hello"


def test_tracebacks_and_stacks_are_text() -> None:
    try:
        raise LookupError("out of ideas")
    except LookupError:
        entry = entry_of(exc_info=sys.exc_info(), stack_info="Stack:\n  here")
    assert entry["traceback"].startswith("Traceback (most recent call last):\n")
    assert entry["traceback"].endswith("\nLookupError: out of ideas")
    assert entry["stack"] == "Stack:\n  here"
    assert entry_of(exc_text="was formatted before")["traceback"] == "was formatted before"


# The default handler


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> logging.Logger:
    logger = logging.getLogger(f"json_log.{request.node.name}")
    DefaultHandler().add_to(logger)
    return logger


def output_of(logger: logging.Logger) -> str:
    with no_logging_set_up() as stderr:
        handler = DefaultHandler()
        logger.handlers = [handler]
        logger.warning("here", extra={"room": "lobby"})
        logger.warning("again", extra={"request_id": "mine"})
        return stderr.getvalue()


def test_the_variable_chooses_json(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOWS_LOG_FORMAT", "json")
    first, second = map(json.loads, output_of(logger).splitlines())
    assert (first["message"], first["room"], second["request_id"]) == ("here", "lobby", "mine")
    assert "written_by_default" not in first


@pytest.mark.parametrize("value", ["", "text"])
def test_text_has_the_request_id_behind_the_line(
    value: str, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIOWS_LOG_FORMAT", value)
    first, second = output_of(logger).splitlines()
    assert first.endswith(f" WARNING {logger.name}: here")
    assert second.endswith(f" WARNING {logger.name}: again [mine]")


def test_a_variable_with_another_value_is_told_once(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOWS_LOG_FORMAT", "yaml")
    told, first, second = output_of(logger).splitlines()
    assert told == "TRIOWS_LOG_FORMAT is 'yaml'; it must be 'text' or 'json'"
    assert first.endswith("here")
    assert second.endswith("again [mine]")


async def test_the_setting_of_an_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_handler, "log_format", None)
    app = Triows("json_log.app")
    with no_logging_set_up() as stderr:
        app.logger.warning("before")
        app.config["LOG_FORMAT"] = "json"

        @app.get("/")
        async def index() -> str:
            app.logger.warning("here")
            raise LookupError("out of ideas")

        app.config["PROPAGATE_EXCEPTIONS"] = False
        await app.test_client().get("/")
        text, *lines = stderr.getvalue().splitlines()
    assert text.endswith("before")
    here, error = map(json.loads, lines)
    assert (here["logger"], here["message"]) == ("json_log.app", "here")
    assert "frames of" in error["traceback"]  # folded, as in text


def test_a_setting_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Triows(__name__)
    with pytest.raises(ValueError, match="LOG_FORMAT is 'yaml'; it must be 'text' or 'json', or None"):
        app.config["LOG_FORMAT"] = "yaml"
    monkeypatch.setenv("TRIOWS_LOG_FORMAT", "json")
    app.config.from_prefixed_env()
    assert app.config["LOG_FORMAT"] == "json"


def test_the_formatter_of_a_program_s_own_handler() -> None:
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(JSONFormatter())
    logger = logging.getLogger("json_log.own")
    logger.addHandler(handler)
    logger.error("here")
    logger.removeHandler(handler)
    assert json.loads(output.getvalue())["message"] == "here"
