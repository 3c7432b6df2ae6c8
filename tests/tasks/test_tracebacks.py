"""Tracebacks with the frames of frameworks folded."""

from __future__ import annotations

import contextlib
import linecache
import sys
import traceback
from collections.abc import Callable
from traceback import FrameSummary

import pytest
import trio

from triows import Triows
from triows.tasks import tracebacks
from triows.tasks.tracebacks import Fold, folded, format_exception, format_from_app

TRIO, TRIOWS = trio.__file__, tracebacks.__file__


def frames(*files: str) -> list[FrameSummary]:
    return [FrameSummary(file, number, f"function{number}", line="") for number, file in enumerate(files, 1)]


def shapes(*files: str) -> list[str]:
    return [str(piece) if isinstance(piece, Fold) else piece.filename for piece in folded(frames(*files))]


def test_runs_of_frames_of_frameworks_are_folded_and_the_apps_stay() -> None:
    assert shapes(TRIO, TRIOWS, "/app/views.py", TRIOWS, "/app/models.py", TRIO) == [
        "2 frames of trio and triows",
        "/app/views.py",
        "1 frame of triows",
        "/app/models.py",
        "1 frame of trio",
    ]


def test_what_stands_between_frames_of_frameworks_is_folded_with_them() -> None:
    assert shapes("app.py", TRIO, contextlib.__file__, "<frozen importlib._bootstrap>", TRIO) == [
        "app.py",
        "4 frames of trio",
    ]
    assert shapes("app.py", contextlib.__file__) == ["app.py", "1 frame of Python"]


def test_a_stack_of_a_framework_alone_is_folded_too() -> None:
    assert shapes(TRIO, TRIOWS) == ["2 frames of trio and triows"]


def test_a_folder_whose_name_begins_like_a_frameworks_is_the_apps() -> None:
    place = TRIO.removesuffix("__init__.py").rstrip("/\\")
    assert shapes(f"{place}_app/app.py") == [f"{place}_app/app.py"]


async def raised(view: Callable[[], object]) -> BaseException:
    app = Triows(__name__)
    app.add_url_rule("/", "index", view)
    with pytest.raises(BaseException) as info:
        await app.test_client().get("/")
    return info.value


async def test_an_error_is_written_as_python_does_with_folds() -> None:
    async def view() -> object:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(broken)
        return ""

    async def broken() -> None:
        raise LookupError("lost")

    lines = format_exception(await raised(view)).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert sum("frames of" in line or "frame of" in line for line in lines) == 2  # the framework's, and the stack's
    assert [line for line in lines if "in view" in line or "in broken" in line or "in raised" in line] == [
        f'  File "{__file__}", line {number}, in {name}'
        for number, name in ((line_of('.get("/")'), "raised"), (line_of("with contextlib.Async"), "view"))
    ] + [f'  File "{__file__}", line {line_of(" LookupError(")}, in broken']
    assert lines[-1] == "LookupError: lost"


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(linecache.getlines(__file__), 1) if text in line)


async def test_where_a_framework_has_raised_is_told() -> None:
    async def view() -> object:
        return await Triows(__name__).make_response(object())

    (*_, fold, message) = format_exception(await raised(view)).splitlines()
    assert fold.startswith("  [3 frames of triows, to ")
    assert "make_response.py:" in fold
    assert message.startswith("TypeError: the view returned object")


async def test_the_tree_of_a_group_keeps_causes_and_notes() -> None:
    async def view() -> object:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child, "one")
            nursery.start_soon(child, "two")
        return ""

    async def child(name: str) -> None:
        try:
            {}[name]
        except KeyError as error:
            error.add_note(f"note {name}")
            raise ValueError(name) from error

    text = format_exception(await raised(view))
    for name in ("one", "two"):
        assert f"    | KeyError: '{name}'\n    | note {name}\n" in text
        assert f"    | ValueError: {name}\n" in text
    assert text.count("direct cause") == 2
    assert "triows/" not in text.replace("/triows/tests/", "").replace(__file__, "").partition("+-+")[2]


def test_frames_that_call_each_other_without_end_are_cut() -> None:
    def one(depth: int) -> int:
        return other(depth + 1)

    def other(depth: int) -> int:
        return one(depth + 1)

    with pytest.raises(RecursionError) as info:
        one(0)
    text = format_exception(info.value)
    assert "more frames]" in text
    assert text.count("  File ") == 60


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("prnt()", ". Did you mean: 'print'?"),
        ("names = 1; nmaes", ". Did you mean: 'names'?"),
        ("''.uper()", ". Did you mean: 'upper'?"),
        ("''.nothing_like_it()", ""),
        ("raise NameError", ""),
        ("raise AttributeError('no', name=1, obj=2)", ""),
    ],
)
def test_a_name_that_is_nearly_right_is_told(source: str, hint: str) -> None:
    with pytest.raises((NameError, AttributeError)) as info:
        exec(source, {})
    assert format_exception(info.value).rstrip().endswith(f"{info.value}{hint}")
    assert tracebacks.suggestion(info.value) == hint


def test_an_object_whose_names_cannot_be_told_gets_no_hint() -> None:
    class Opaque:
        def __dir__(self) -> list[str]:
            raise RuntimeError

    with pytest.raises(AttributeError) as info:
        Opaque().name  # type: ignore[attr-defined]  # noqa: B018
    assert format_exception(info.value).endswith("has no attribute 'name'\n")
    assert tracebacks.suggestion(info.value) == ""


def test_a_name_error_that_was_never_raised_gets_no_hint() -> None:
    assert tracebacks.suggestion(NameError("no", name="prnt")) == ""


def test_a_framework_that_is_not_installed_has_no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypercorn", None)
    packages = tracebacks._places.__wrapped__().values()
    assert "trio" in packages
    assert "hypercorn" not in packages


def test_repeated_frames_are_counted() -> None:
    def deeper(depth: int) -> int:
        return deeper(depth + 1)

    with pytest.raises(RecursionError) as info:
        deeper(0)
    assert "[Previous line repeated" in format_exception(info.value)


def test_exceptions_that_cause_each_other_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert format_exception(one).count("ValueError") == len(traceback.format_exception(one)) - 1


def test_the_way_to_the_app_may_be_left_out() -> None:
    def called() -> None:
        {}["name"]

    def framework() -> None:
        exec(compile("call()", trio.__file__, "exec"), {"call": called})

    with pytest.raises(KeyError) as info:
        framework()
    info.value.__traceback__ = info.value.__traceback__.tb_next.tb_next  # type: ignore[union-attr]
    assert "[1 frame of trio]" in format_exception(info.value)
    assert "trio" not in format_from_app(info.value)


def test_a_syntax_error_without_a_frame_of_the_apps_says_itself_where_it_is() -> None:
    with pytest.raises(SyntaxError) as info:
        compile("a = ", "chat.py", "exec")
    info.value.__traceback__ = None
    assert format_from_app(info.value).startswith('  File "chat.py", line 1\n')


def test_another_error_without_a_frame_of_the_apps_is_left_as_it_is() -> None:
    with pytest.raises(KeyError) as info:
        exec(compile("{}['name']", trio.__file__, "exec"))
    info.value.__traceback__ = info.value.__traceback__.tb_next  # type: ignore[union-attr]
    assert "KeyError: 'name'" in format_from_app(info.value)
    assert trio.__file__ in format_from_app(info.value)
