"""Rendering: whole and in pieces, under Trio, and what is left behind when it ends early.

The tests of the environment and the folders are in tests/framework/.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import jinja2
import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from triows import (
    Triows,
    current_app,
    g,
    get_template_attribute,
    render_template,
    render_template_string,
    stream_template,
    stream_template_string,
)
from triows.web.templates import Rendering


@pytest.fixture
async def in_app(app: Triows) -> AsyncIterator[Triows]:
    """The app, in whose context the test runs."""
    async with app.app_context():
        yield app


def with_templates(app: Triows, **sources: str) -> None:
    app.jinja_loader = jinja2.DictLoader({f"{name}.html": source for name, source in sources.items()})


class Rows:
    """Async generators, and whether they were closed."""

    def __init__(self) -> None:
        self.open = 0
        self.closed = 0

    async def __call__(self, count: int = 5) -> AsyncIterator[int]:
        self.open += 1
        try:
            for number in range(count):
                await trio.lowlevel.checkpoint()
                yield number
        finally:
            self.closed += 1
            self.open -= 1


# What Jinja does when it is async, under Trio


async def test_variables_are_escaped(in_app: Triows) -> None:
    assert await render_template_string("{{ text }} {{ text|safe }}", text="<b>") == "&lt;b&gt; <b>"


async def test_async_functions_filters_and_tests_are_awaited(in_app: Triows) -> None:
    @in_app.template_filter()
    async def doubled(value: int) -> int:
        await trio.lowlevel.checkpoint()
        return value * 2

    @in_app.template_test()
    async def even(value: int) -> bool:
        await trio.lowlevel.checkpoint()
        return value % 2 == 0

    @in_app.template_global()
    async def number() -> int:
        await trio.lowlevel.checkpoint()
        return 4

    source = "{{ number()|doubled }} {% if number() is even %}even{% endif %} {{ [1, 2]|map('doubled')|join }}"
    assert await render_template_string(source) == "8 even 24"


async def test_templates_extend_include_and_import_each_other(in_app: Triows) -> None:
    with_templates(
        in_app,
        base="<{% block body %}base{% endblock %}>",
        page="{% extends 'base.html' %}{% from 'macros.html' import bold with context %}"
        "{% block body %}{{ super() }} {{ bold(name) }} {% include 'part.html' %} {{ self.other() }}{% endblock %}"
        "{% block other %}{% endblock %}",
        macros="{% macro bold(text) %}{{ tick() }}{% call(x) each([text]) %}<b>{{ x }}</b>{% endcall %}{% endmacro %}"
        "{% macro each(values) %}{% for value in values %}{{ caller(value) }}{% endfor %}{% endmacro %}",
        part="{% for x in rows(3) %}{{ loop.index }}{{ x }}{% if loop.last %}.{% endif %}{% endfor %}",
    )

    @in_app.template_global()
    async def tick() -> str:
        await trio.lowlevel.checkpoint()
        return ""

    text = await render_template("page.html", name="<Ada>", rows=Rows())
    assert text == "<base <b>&lt;Ada&gt;</b> 102132. >"


async def test_loops_may_be_recursive(in_app: Triows) -> None:
    tree = [{"name": "a", "below": [{"name": "b", "below": []}]}, {"name": "c", "below": []}]
    source = "{% for one in tree recursive %}{{ one.name }}{{ loop.depth }}{{ loop(one.below) }}{% endfor %}"
    assert await render_template_string(source, tree=tree) == "a1b2c1"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("rows(4)|list|length", "4"),
        ("rows(4)|sum", "6"),
        ("rows(4)|join('-')", "0-1-2-3"),
        ("rows(4)|first", "0"),
        ("rows(4)|reject('odd')|map('string')|join", "02"),
        ("(rows(4)|slice(2)|list)[0]", "[0, 1]"),
        ("(rows(4)|groupby('real'))|length", "4"),
        ("rows(4)|unique|list", "[0, 1, 2, 3]"),
    ],
)
async def test_jinjas_filters_take_async_generators(in_app: Triows, expression: str, text: str) -> None:
    rows = Rows()
    assert await render_template_string(f"{{{{ {expression} }}}}", rows=rows) == text
    assert (rows.open, rows.closed) == (0, 1)


async def test_a_rendering_may_be_inside_of_another(in_app: Triows) -> None:
    @in_app.template_global()
    async def inner() -> str:
        return await render_template_string("{% for x in rows(2) %}{{ x }}{% endfor %}", rows=outer)

    outer = Rows()
    assert await render_template_string("{% for x in rows(2) %}{{ x }}({{ inner() }}){% endfor %}", rows=outer) == (
        "0(01)1(01)"
    )
    assert outer.open == 0


async def test_a_template_itself_and_the_first_of_several_names_are_rendered(in_app: Triows) -> None:
    with_templates(in_app, second="second {{ x }}")
    template = in_app.jinja_env.get_template("second.html")
    assert await render_template(template, x=1) == "second 1"
    assert await render_template(["first.html", "second.html"], x=2) == "second 2"
    assert await render_template(["first.html", template], x=3) == "second 3"


async def test_an_error_of_a_template_has_the_line_of_the_template(in_app: Triows) -> None:
    with_templates(in_app, page="line one\n{{ 1 // zero }}")
    with pytest.raises(ZeroDivisionError) as caught:
        await render_template("page.html", zero=0)
    assert caught.traceback[-1].lineno == 1  # from 0
    assert caught.traceback[-1].frame.code.name == "top-level template code"


@pytest.mark.parametrize(
    "function",
    [
        lambda: render_template("a.html"),
        lambda: render_template_string(""),
        lambda: stream_template("a.html"),
        lambda: stream_template_string(""),
        lambda: get_template_attribute("a.html", "name"),
    ],
)
async def test_outside_of_a_context_there_are_no_templates(function: Any) -> None:
    with pytest.raises(RuntimeError, match=r"template(_string|_attribute)?\(\) needs a request, a websocket or"):
        await function()


# Trio's rules


async def test_a_rendering_is_a_checkpoint(in_app: Triows) -> None:
    with_templates(in_app, page="")
    await render_template("page.html")
    with assert_checkpoints():
        await render_template("page.html")
    async with aclosing(await stream_template_string("text")) as stream:
        with assert_checkpoints():
            await anext(stream)


async def test_a_long_rendering_yields_to_other_tasks(in_app: Triows) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await trio.lowlevel.checkpoint()
            ticks += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        before = ticks
        await render_template_string("{% for x in range(9999) %}{{ x }}{% endfor %}")
        assert ticks > before + 9999 // 512
        before = ticks
        async for _ in await stream_template_string("{% for x in range(9999) %}{{ x }}{% endfor %}"):
            pass
        assert ticks > before + 9999 // 512
        nursery.cancel_scope.cancel()


async def test_a_rendering_without_end_is_cancelled_though_it_never_waits(in_app: Triows) -> None:
    def forever() -> Iterator[int]:
        while True:
            yield 0

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def cancel() -> None:
                await trio.lowlevel.checkpoint()
                scope.cancel()

            nursery.start_soon(cancel)
            await render_template_string("{% for x in forever() %}{{ x }}{% endfor %}", forever=forever)
    assert scope.cancelled_caught


async def test_a_cancellation_reaches_what_a_template_waits_for(in_app: Triows) -> None:
    waiting, cancelled = trio.Event(), trio.Event()

    async def wait() -> None:
        waiting.set()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.set()
            raise

    async with trio.open_nursery() as nursery:
        source = "{% macro m() %}{{ wait() }}{% endmacro %}{{ m() }}"
        nursery.start_soon(lambda: render_template_string(source, wait=wait))
        await waiting.wait()
        nursery.cancel_scope.cancel()
    assert cancelled.is_set()


# Every way in which a loop can leave an async generator behind; a generator that is only collected would warn.
LOOPS = [
    "{% for x in rows() %}{{ x }}{{ stop() }}{% endfor %}",
    "{% for x in rows() %}{{ loop.index }}{{ stop() }}{% endfor %}",
    "{% for x in rows() if x %}{{ x }}{{ stop() }}{% endfor %}",
    "{% for x in rows() if x %}{{ loop.index }}{{ stop() }}{% endfor %}",
    "{% for x in rows()|map('string')|select('string') %}{{ x }}{{ stop() }}{% endfor %}",
    "{% for x in rows() recursive %}{{ x }}{{ stop() }}{% endfor %}",
    "{% for y in [1] %}{% for x in rows() %}{{ x }}{{ stop() }}{% endfor %}{% endfor %}",
    "{% macro m() %}{% for x in rows() %}{{ x }}{{ stop() }}{% endfor %}{% endmacro %}{{ m() }}",
    "{% block b %}{% for x in rows() %}{{ x }}{{ stop() }}{% endfor %}{% endblock %}",
    "{% set text %}{% for x in rows() %}{{ x }}{{ stop() }}{% endfor %}{% endset %}",
]


@pytest.mark.parametrize("source", LOOPS)
async def test_a_generator_is_closed_when_the_rendering_fails(in_app: Triows, source: str) -> None:
    def stop() -> None:
        raise ValueError("stopped")

    rows = Rows()
    with pytest.raises(ValueError, match="stopped"):
        await render_template_string(source, rows=rows, stop=stop)
    assert (rows.open, rows.closed) == (0, 1)
    gc.collect()


@pytest.mark.parametrize("source", LOOPS)
async def test_a_generator_is_closed_when_the_rendering_is_cancelled(in_app: Triows, source: str) -> None:
    rows = Rows()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: render_template_string(source, rows=rows, stop=trio.sleep_forever))
        while not rows.open:
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert (rows.open, rows.closed) == (0, 1)
    gc.collect()


@pytest.mark.parametrize("source", LOOPS[:-2])
async def test_a_generator_is_closed_when_the_stream_is(in_app: Triows, source: str) -> None:
    rows = Rows()
    pieces = await stream_template_string(source, rows=rows, stop=str)
    async with aclosing(pieces) as stream:
        await anext(stream)
    assert (rows.open, rows.closed) == (0, 1)
    gc.collect()


async def test_a_generator_is_closed_when_a_loop_breaks_off(in_app: Triows) -> None:
    in_app.jinja_env.add_extension("jinja2.ext.loopcontrols")
    rows = Rows()
    source = "{% for x in rows() %}{{ x }}{% if x == 1 %}{% break %}{% endif %}{% endfor %}"
    assert await render_template_string(source, rows=rows) == "01"
    assert (rows.open, rows.closed) == (0, 1)


async def test_all_generators_are_closed_though_closing_one_fails(in_app: Triows) -> None:
    async def failing() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise OSError("while it is closed")

    rows = Rows()
    stream = await stream_template_string(
        "{% for x in rows() %}{% for y in failing() %}{{ y }}{% endfor %}{% endfor %}", rows=rows, failing=failing
    )
    await anext(stream)
    with pytest.raises(OSError, match="while it is closed"):
        await stream.aclose()
    assert (rows.open, rows.closed) == (0, 1)


async def test_generators_that_have_ended_are_not_kept(in_app: Triows, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    add = Rendering.add

    def count(self: Rendering, generator: Any) -> None:
        add(self, generator)
        kept.append(len(self._generators))

    monkeypatch.setattr(Rendering, "add", count)
    rows = Rows()
    source = "{% for x in rows(1000) %}{% for y in rows(1) %}{{ y }}{% endfor %}{% endfor %}"
    assert await render_template_string(source, rows=rows) == "0" * 1000
    assert len(kept) > 1000
    assert max(kept) < 100


async def test_what_is_iterated_in_python_is_not_closed(in_app: Triows) -> None:
    """A memory channel has aclose() too, and belongs to whoever opened it."""
    send, receive = trio.open_memory_channel[int](5)
    async with send, receive:
        for number in range(3):
            send.send_nowait(number)
        in_app.jinja_env.add_extension("jinja2.ext.loopcontrols")
        source = "{% for x in channel %}{{ x }}{% if x == 1 %}{% break %}{% endif %}{% endfor %}"
        assert await render_template_string(source, channel=receive) == "01"
        assert receive.receive_nowait() == 2


# Streams


async def test_a_stream_yields_what_is_there_before_the_template_waits(in_app: Triows) -> None:
    event = trio.Event()
    stream = await stream_template_string("before{{ wait() or '' }} after", wait=event.wait)
    assert await anext(stream) == "before"
    event.set()
    assert "".join([piece async for piece in stream]) == " after"


async def test_a_stream_is_made_in_the_context_of_its_call(app: Triows) -> None:
    other = Triows("other")
    async with app.app_context():
        g.name = "here"
        stream = await stream_template_string("{{ g.name }}{{ name() }}", name=lambda: current_app.name)
    pieces = []
    async with other.app_context():
        g.name = "elsewhere"
        async for piece in stream:
            pieces.append(piece)
            assert g.name == "elsewhere"
    assert "".join(pieces) == "heretested"


async def test_a_stream_that_nobody_takes_leaves_nothing_open(in_app: Triows) -> None:
    stream = await stream_template_string("{% for x in rows() %}{{ x }}{% endfor %}", rows=Rows())
    del stream
    gc.collect()


# Compiling


class SlowLoader(jinja2.DictLoader):
    """Remembers which thread asked for which template."""

    def __init__(self, sources: dict[str, str]) -> None:
        super().__init__(sources)
        self.asked: list[tuple[str, bool]] = []

    def get_source(self, environment: jinja2.Environment, template: str) -> Any:
        self.asked.append((template, threading.current_thread() is threading.main_thread()))
        return super().get_source(environment, template)


async def test_a_template_is_compiled_in_a_thread_with_those_that_it_names(in_app: Triows) -> None:
    in_app.jinja_loader = loader = SlowLoader(
        {
            "base.html": "{% include 'part.html' %}",
            "page.html": "{% extends 'base.html' %}{% include ['none.html', 'other.html'] ignore missing %}",
            "part.html": "part{% include name ignore missing %}",
            "other.html": "",
        }
    )
    for _ in range(2):
        assert await render_template("page.html", name="gone.html") == "part"
    in_thread = {name for name, in_main in loader.asked if not in_main}
    assert in_thread == {"page.html", "base.html", "part.html", "none.html", "other.html"}
    # Only the rendering knows the first name, and it looks for the second one again.
    assert {name for name, in_main in loader.asked if in_main} == {"gone.html", "none.html"}


async def test_a_template_given_as_text_is_compiled_in_a_thread_too(in_app: Triows) -> None:
    in_app.jinja_loader = loader = SlowLoader({"part.html": "part"})
    assert await render_template_string("{% include 'part.html' %}") == "part"
    assert loader.asked == [("part.html", False)]


async def test_who_waits_for_the_same_template_finds_it_compiled(in_app: Triows) -> None:
    in_app.jinja_loader = loader = SlowLoader({"page.html": "page"})
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(render_template, "page.html")
    assert loader.asked == [("page.html", False)]


async def test_an_autojump_clock_does_not_jump_while_a_template_is_compiled(
    in_app: Triows, autojump_clock: trio.testing.MockClock
) -> None:
    with_templates(in_app, page="page")
    with trio.fail_after(1):
        assert await render_template("page.html") == "page"
    assert trio.current_time() == 0


async def test_a_broken_template_that_is_included_fails_where_it_is_reached(in_app: Triows) -> None:
    with_templates(in_app, page="{% if reach %}{% include 'broken.html' %}{% endif %}page", broken="{% if %}")
    assert await render_template("page.html", reach=False) == "page"
    with pytest.raises(jinja2.TemplateSyntaxError):
        await render_template("page.html", reach=True)


# Macros in Python


async def test_macros_and_variables_of_a_template_are_there_in_python(in_app: Triows) -> None:
    with_templates(
        in_app,
        macros="{% macro hello(name) %}Hello {{ name }}{{ wait() or '' }}{% endmacro %}{% set x = 1 %}{{ wait() }}",
    )
    in_app.jinja_env.globals["wait"] = trio.lowlevel.checkpoint
    hello = await get_template_attribute("macros.html", "hello")
    assert await hello("<Ada>") == "Hello &lt;Ada&gt;"
    assert await get_template_attribute("macros.html", "x") == 1
    with pytest.raises(AttributeError, match="other"):
        await get_template_attribute("macros.html", "other")


async def test_a_generator_of_a_template_with_macros_is_closed(in_app: Triows) -> None:
    rows = Rows()
    in_app.jinja_env.globals.update(rows=rows, stop=lambda: 1 // 0)
    with_templates(in_app, macros=LOOPS[0])
    with pytest.raises(ZeroDivisionError):
        await get_template_attribute("macros.html", "hello")
    assert (rows.open, rows.closed) == (0, 1)
    gc.collect()


# The extra


async def test_without_jinja_an_error_says_what_to_install(app: Triows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "triows.framework.jinja", raising=False)
    remedy = r"templates need Jinja: pip install 'triows\[templates\]'"
    async with app.app_context():
        for function, argument in ((render_template, "a.html"), (stream_template_string, "")):
            with pytest.raises(ImportError, match=remedy):
                await function(argument)  # type: ignore[operator]
    with pytest.raises(ImportError, match=remedy):
        app.template_filter()(str.upper)


def test_jinja_is_imported_by_the_first_use_alone() -> None:
    code = (
        "import sys; from triows import Triows, Blueprint, render_template; app = Triows('a');"
        " app.register_blueprint(Blueprint('b', 'b', template_folder='x')); assert 'jinja2' not in sys.modules;"
        " app.jinja_env; assert 'jinja2' in sys.modules and 'asyncio' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent.parent)
