"""Rendering templates, whole or in pieces, with the Jinja environment of the app.

The rules:

- Jinja's own ``render()`` runs asyncio, and is never called. Rendering is a plain coroutine of the calling task.
- Templates are read and compiled in a worker thread, one at a time: a large one takes milliseconds.
- A rendering is a checkpoint, and yields to the other tasks after some pieces.
- An async generator over which a loop of the template iterates is closed when the rendering ends, however it ends.
- The pieces of a stream are made in the context in which the stream was made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack
from contextvars import ContextVar, Token
from math import inf
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import trio
from trio.lowlevel import RunVar, checkpoint, current_clock

from ..tasks.context import TaskContext
from ..tasks.functions import check_awaited
from . import signals
from .context import Context, require_context

if TYPE_CHECKING:
    from blinker import Signal
    from jinja2 import Environment, Template

    Names = str | Template | Iterable[str | Template]

T = TypeVar("T")

_PIECES_AT_ONCE = 512  # of a rendering between two checkpoints: about a millisecond
_FINISHED_AT_ONCE = 64  # generators that are kept before the finished ones are looked for


class TemplateApp(Protocol):
    """The app whose templates are rendered."""

    @property
    def jinja_env(self) -> Environment: ...
    async def update_template_context(self, context: dict[str, Any]) -> None: ...


class Rendering:
    """One rendering: the context in which it runs, and the generators over which its loops iterate.

    As a context manager it is around each part of the work, so that no other code runs inside.
    """

    __slots__ = ("_context", "_generators", "_kept", "_tokens")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._generators: list[AsyncGenerator[Any, Any]] = []
        self._kept = 0
        self._tokens: tuple[Token[TaskContext], Token[Rendering]]

    def __enter__(self) -> None:
        self._tokens = self._context.push(), _current.set(self)

    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        context, rendering = self._tokens
        _current.reset(rendering)
        self._context.pop(context)

    def add(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Close the generator at the end of the rendering, if it has not ended by then."""
        if len(self._generators) >= self._kept + _FINISHED_AT_ONCE:
            self._generators = [one for one in self._generators if getattr(one, "ag_frame", one) is not None]
            self._kept = len(self._generators)
        self._generators.append(generator)

    async def aclose(self) -> None:
        """Close the generators, the last one first: it may belong to a loop inside of the others."""
        with self:
            async with AsyncExitStack() as stack:
                for generator in self._generators:
                    stack.push_async_callback(generator.aclose)
        self._generators.clear()


_current: ContextVar[Rendering] = ContextVar("triows.rendering")
_compiling: RunVar[trio.CapacityLimiter] = RunVar("triows.compiling")


def closed_with_rendering(iterable: T) -> T:
    """Return what a loop of a template iterates over. If that is an async generator, the rendering will close it."""
    rendering = _current.get(None)
    if rendering is not None and isinstance(iterable, AsyncGenerator):
        rendering.add(iterable)
    return iterable


async def render_template(template_name_or_list: str | Template | Iterable[str | Template], **context: Any) -> str:
    """Return the text of a template.

    :param template_name_or_list: the name of a file in a template folder, or several: the first that exists.
    :param context: the variables of the template, beside the app's.
    :raises jinja2.TemplateNotFound: if there is no such template; the message says where it was looked for.
    :raises ImportError: without the extra ``templates``.
    """
    here, template = await _prepare("render_template()", context, name=template_name_or_list)
    return await _render(here, template, context)


async def render_template_string(source: str, **context: Any) -> str:
    """Return the text of a template that is given as text. It is compiled each time.

    Raises what :func:`render_template` does.
    """
    here, template = await _prepare("render_template_string()", context, source=source)
    return await _render(here, template, context)


async def stream_template(
    template_name_or_list: str | Template | Iterable[str | Template], **context: Any
) -> AsyncGenerator[str, None]:
    """Return the text of a template as an async generator of pieces, for a streamed response.

    Each piece is made when the client takes it, in the context of this call. A client that goes away ends the
    rendering where it waits. Whoever iterates over the pieces in another way closes the generator:
    ``async with aclosing(await stream_template(...)) as pieces``.

    The parameters and exceptions are those of :func:`render_template`.
    """
    here, template = await _prepare("stream_template()", context, name=template_name_or_list)
    await _signal(signals.before_render_template, here, template, context)
    return _stream(here, template, context)


async def stream_template_string(source: str, **context: Any) -> AsyncGenerator[str, None]:
    """:func:`stream_template` for a template that is given as text."""
    here, template = await _prepare("stream_template_string()", context, source=source)
    await _signal(signals.before_render_template, here, template, context)
    return _stream(here, template, context)


async def get_template_attribute(template_name: str, attribute: str) -> Any:
    """Return a macro or another variable that a template defines. A macro is awaited: ``await macro("argument")``.

    The template's own text is rendered for that, without variables.

    :raises AttributeError: if the template does not define it.
    :raises jinja2.TemplateNotFound: if there is no such template.
    """
    context = require_context("get_template_attribute()")
    template = await _get_template(context.app.jinja_env, template_name)
    rendering = Rendering(context)
    try:
        with rendering:
            module = await template.make_module_async()
    finally:
        await rendering.aclose()  # noqa: ASYNC102 - what waits in there is cancelled if the rendering was
    return getattr(module, attribute)


async def _prepare(
    what: str, variables: dict[str, Any], *, name: Names | None = None, source: str | None = None
) -> tuple[Context, Template]:
    """Return the current context and the template, and complete the variables."""
    context = require_context(what)
    app: TemplateApp = context.app
    environment = app.jinja_env
    await app.update_template_context(variables)
    return context, await _get_template(environment, name, source)


async def _get_template(environment: Environment, name: Names | None, source: str | None = None) -> Template:
    """Return a compiled template, by its name or from its source."""
    if source is None:
        has_compiled = getattr(environment, "has_compiled", None)  # of our own class, not of Jinja's
        if has_compiled is not None and has_compiled(name):
            return environment.get_or_select_template(cast(Any, name))
    if getattr(current_clock(), "autojump_threshold", inf) < inf:
        # The clock of a test, which would jump to the next timeout while everybody waits for the thread.
        return _compile(environment, name, source)
    return await trio.to_thread.run_sync(_compile, environment, name, source, limiter=_compiling_limiter())


def _compile(environment: Environment, name: Names | None, source: str | None) -> Template:
    """Compile a template, and those that it extends, includes and imports by their names."""
    if source is None:
        template = environment.get_or_select_template(cast(Any, name))
    else:
        template = environment.from_string(source)
    compile_referenced = getattr(environment, "compile_referenced", None)
    if compile_referenced is not None:
        compile_referenced()
    return template


def _compiling_limiter() -> trio.CapacityLimiter:
    # One at a time: those who wait for the same template find it compiled then.
    try:
        return _compiling.get()
    except LookupError:
        _compiling.set(limiter := trio.CapacityLimiter(1))
        return limiter


async def _signal(signal: Signal, context: Context, template: Template, variables: dict[str, Any]) -> None:
    """Send a signal with the whole context of the template. What a receiver sets in there is rendered."""
    if signal.receivers:
        fixed = {"g": context.g, "request": context.request, "websocket": context.websocket, "session": context.session}
        whole = {**{name: value for name, value in fixed.items() if value is not None}, **variables}
        await signals.send(signal, context.app, template=template, context=whole)
        # Not those that the environment has by itself, as proxies, which note that the session is used.
        variables.update((name, value) for name, value in whole.items() if value is not fixed.get(name))


def _check_awaited(variables: dict[str, Any]) -> None:
    # After the rendering, since a filter may have awaited a coroutine. The variables alone: lists of them may be long.
    check_awaited("the template", *(value for value in variables.values() if type(value) is CoroutineType))


async def _render(context: Context, template: Template, variables: dict[str, Any]) -> str:
    await checkpoint()
    await _signal(signals.before_render_template, context, template, variables)
    pieces: list[str] = []
    rendering = Rendering(context)
    try:
        with rendering:
            generated = template.generate_async(variables)
            rendering.add(generated)
            async for piece in generated:
                pieces.append(piece)
                if len(pieces) % _PIECES_AT_ONCE == 0:
                    await checkpoint()
    finally:
        await rendering.aclose()  # noqa: ASYNC102 - what waits in there is cancelled if the rendering was
    _check_awaited(variables)
    await _signal(signals.template_rendered, context, template, variables)
    return template.environment.concat(pieces)


async def _stream(context: Context, template: Template, variables: dict[str, Any]) -> AsyncGenerator[str, None]:
    await checkpoint()
    count = 0
    rendering = Rendering(context)
    generated = template.generate_async(variables)
    rendering.add(generated)
    try:
        while True:
            try:
                with rendering:
                    piece = await anext(generated)
            except StopAsyncIteration:
                break
            yield piece
            count += 1
            if count % _PIECES_AT_ONCE == 0:
                await checkpoint()
        _check_awaited(variables)
        await _signal(signals.template_rendered, context, template, variables)
    finally:
        await rendering.aclose()  # noqa: ASYNC102 - what waits in there is cancelled if the task is
