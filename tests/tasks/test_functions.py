"""Functions as they are described in logs and messages."""

from __future__ import annotations

from triows.tasks.functions import describe


def test_a_function_is_described_by_its_name_and_place() -> None:
    line = test_a_function_is_described_by_its_name_and_place.__code__.co_firstlineno
    expected = f"test_a_function_is_described_by_its_name_and_place() ({__file__}:{line})"
    assert describe(test_a_function_is_described_by_its_name_and_place) == expected


def test_a_callable_without_code_is_described_by_its_representation() -> None:
    class Callable_:
        def __call__(self) -> None: ...

        def __repr__(self) -> str:
            return "<a callable>"

    assert describe(Callable_()) == "<a callable>"
