"""The handler of programs that have set up no logging. Whole programs are in tests/test_logging.py."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import pytest
import trio

from triows.tasks.default_handler import DefaultHandler, has_level_handler


@contextmanager
def no_logging_set_up() -> Iterator[io.StringIO]:
    """In the block, the program has set up no logging, and this is its stderr."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = []
    root.setLevel(logging.WARNING)
    try:
        with redirect_stderr(io.StringIO()) as output:
            yield output
    finally:
        root.handlers = handlers
        root.setLevel(level)


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> logging.Logger:
    return logging.getLogger(f"default_handler.{request.node.name}")


def written(output: io.StringIO) -> list[str]:
    return [line.partition(": ")[2] for line in output.getvalue().splitlines()]


def test_what_nobody_takes_is_written_with_time_level_and_name(logger: logging.Logger) -> None:
    with no_logging_set_up() as stderr:
        DefaultHandler().add_to(logger)
        logger.warning("here")
        assert stderr.getvalue().endswith(f" WARNING {logger.name}: here\n")


def test_it_is_not_added_where_a_handler_takes_everything(logger: logging.Logger) -> None:
    with no_logging_set_up():
        logging.getLogger().addHandler(logging.StreamHandler(io.StringIO()))
        DefaultHandler().add_to(logger)
        assert logger.handlers == []


def test_it_is_added_beside_a_handler_of_errors_alone(logger: logging.Logger) -> None:
    with no_logging_set_up() as stderr:
        errors = logging.StreamHandler(io.StringIO())
        errors.setLevel(logging.ERROR)
        logging.getLogger().addHandler(errors)
        handler = DefaultHandler()
        handler.add_to(logger)
        logger.error("here")
        assert logger.handlers == [handler]
        assert written(stderr) == ["here"]


def test_it_writes_no_record_twice(logger: logging.Logger) -> None:
    with no_logging_set_up() as stderr:
        handler = DefaultHandler()
        handler.add_to(logger)
        assert logger.parent is not None
        handler.add_to(logger.parent)
        try:
            logger.warning("here")
        finally:
            logger.parent.removeHandler(handler)
        assert written(stderr) == ["here"]


def test_it_is_silent_once_the_program_has_set_up_its_logging(logger: logging.Logger) -> None:
    with no_logging_set_up() as stderr:
        DefaultHandler().add_to(logger)
        own = io.StringIO()
        logging.basicConfig(stream=own, format="own: %(message)s")
        logger.warning("here")
        assert (written(stderr), written(own)) == ([], ["here"])


def test_a_handler_above_counts_as_far_as_records_come_to_it(logger: logging.Logger) -> None:
    with no_logging_set_up():
        logging.getLogger().addHandler(logging.StreamHandler(io.StringIO()))
        assert has_level_handler(logger)
        logger.propagate = False
        assert not has_level_handler(logger)


def test_a_level_is_set_where_there_is_none(logger: logging.Logger) -> None:
    with no_logging_set_up():
        DefaultHandler().set_level(logger, logging.INFO)
        assert logger.level == logging.INFO


@pytest.mark.parametrize("which", ["own", "above", "root"])
def test_a_level_that_the_program_has_set_stays(logger: logging.Logger, which: str) -> None:
    with no_logging_set_up():
        parent = logger.parent
        assert parent is not None
        {"own": logger, "above": parent, "root": logging.getLogger()}[which].setLevel(logging.ERROR)
        DefaultHandler().set_level(logger, logging.INFO)
        found = logger.level
        parent.setLevel(logging.NOTSET)
        assert found == (logging.ERROR if which == "own" else logging.NOTSET)


def test_no_level_is_set_where_the_program_has_set_up_its_logging(logger: logging.Logger) -> None:
    with no_logging_set_up():
        logging.basicConfig()
        DefaultHandler().set_level(logger, logging.INFO)
        assert logger.level == logging.NOTSET


def test_the_levels_it_has_set_are_withdrawn_when_the_program_sets_up_its_logging(logger: logging.Logger) -> None:
    with no_logging_set_up():
        handler = DefaultHandler()
        handler.set_level(logger, logging.INFO)
        handler.withdraw()
        assert logger.level == logging.INFO
        logging.basicConfig()
        handler.withdraw()
        assert logger.level == logging.NOTSET


def test_a_level_that_the_program_has_set_since_is_not_withdrawn(logger: logging.Logger) -> None:
    with no_logging_set_up():
        handler = DefaultHandler()
        handler.set_level(logger, logging.INFO)
        logger.setLevel(logging.DEBUG)
        logging.basicConfig()
        handler.withdraw()
        assert logger.level == logging.DEBUG


def failure(logger: logging.Logger) -> None:
    try:
        trio.run(trio.sleep, -1)  # raises before it waits
    except ValueError:
        logger.exception("here")


def test_tracebacks_are_folded_and_the_record_is_left_to_other_handlers_as_it_was(logger: logging.Logger) -> None:
    with no_logging_set_up() as stderr:
        whole = io.StringIO()
        other = logging.StreamHandler(whole)
        other.setLevel(logging.ERROR)
        DefaultHandler().add_to(logger)
        logger.addHandler(other)
        failure(logger)
    assert " of trio, to " in stderr.getvalue()
    assert "in sleep" in whole.getvalue()
    assert " of trio, to " not in whole.getvalue()


def test_a_variable_keeps_the_frames_of_frameworks(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOWS_FULL_TRACEBACKS", "1")
    with no_logging_set_up() as stderr:
        DefaultHandler().add_to(logger)
        failure(logger)
    assert " of trio, to " not in stderr.getvalue()
    assert "in sleep" in stderr.getvalue()
