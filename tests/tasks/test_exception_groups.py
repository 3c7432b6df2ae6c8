"""Exception groups, as nurseries raise them: what is in them, and what they amount to."""

from __future__ import annotations

import pytest
import trio

from triows.tasks.exception_groups import (
    closes_coroutine,
    ends_program,
    foreign_cancellation,
    is_error,
    leaves,
    split_cancelled,
    unwrap_group,
)


async def cancelled() -> trio.Cancelled:
    """One that Trio has raised."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            return error
    raise AssertionError


def test_leaves_are_the_exceptions_of_all_depths_in_order() -> None:
    errors = [ValueError(), KeyError(), OSError()]
    group = ExceptionGroup("", [errors[0], ExceptionGroup("", [errors[1], ExceptionGroup("", [errors[2]])])])
    assert [*leaves(group)] == errors
    assert [*leaves(errors[0])] == errors[:1]


def test_groups_of_one_are_unwrapped_and_others_are_not() -> None:
    error = ValueError()
    several = ExceptionGroup("", [error, KeyError()])
    assert unwrap_group(ExceptionGroup("", [ExceptionGroup("", [error])])) is error
    assert unwrap_group(ExceptionGroup("", [several])) is several
    assert unwrap_group(error) is error


async def test_the_cancellation_is_split_from_everything_else() -> None:
    gone, error = await cancelled(), ValueError()
    assert split_cancelled(gone) == (gone, None)
    assert split_cancelled(error) == (None, error)
    of_group, rest = split_cancelled(BaseExceptionGroup("", [gone, error]))
    assert of_group is not None
    assert rest is not None
    assert ([*leaves(of_group)], [*leaves(rest)]) == ([gone], [error])


@pytest.mark.parametrize("ends", [KeyboardInterrupt(), SystemExit(1)])
def test_what_ends_the_program_is_found_in_groups_and_is_no_error(ends: BaseException) -> None:
    for raised in (ends, BaseExceptionGroup("", [ValueError(), ends])):
        assert ends_program(raised)
        assert not is_error(raised)


async def test_what_has_failed_is_an_error() -> None:
    assert is_error(ValueError())
    assert is_error(ExceptionGroup("", [ValueError(), KeyError()]))
    assert not is_error(await cancelled())
    assert not is_error(BaseExceptionGroup("", [ValueError(), await cancelled()]))


async def test_a_generator_exit_in_a_running_task_is_an_error() -> None:
    assert not closes_coroutine(GeneratorExit())
    assert is_error(GeneratorExit())


def test_a_generator_exit_outside_of_trio_closes_the_coroutine() -> None:
    assert closes_coroutine(GeneratorExit())
    assert not is_error(GeneratorExit())
    assert not closes_coroutine(ValueError())


async def test_a_cancelled_that_nobody_here_has_asked_for_is_an_error_with_its_cause() -> None:
    kept = await cancelled()
    error = foreign_cancellation(kept)
    assert error is not None
    assert error.__cause__ is kept
    assert foreign_cancellation(BaseExceptionGroup("", [kept, kept])) is not None


async def test_other_errors_are_no_foreign_cancellation() -> None:
    assert foreign_cancellation(ValueError()) is None
    assert foreign_cancellation(BaseExceptionGroup("", [await cancelled(), ValueError()])) is None


async def test_a_cancelled_where_something_is_cancelled_is_not_foreign() -> None:
    kept = await cancelled()
    with trio.CancelScope() as scope:
        scope.cancel()
        assert foreign_cancellation(kept) is None
