"""Routes that render templates: whole, in pieces, with mistakes, and with messages for the next page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import jinja2
import trio

from triows import (
    Blueprint,
    Triows,
    flash,
    g,
    redirect,
    render_template,
    request,
    session,
    stream_template,
    url_for,
    websocket,
)

SOURCES = {
    "base.html": "<!doctype html>\n<title>{% block title %}{% endblock %}</title>\n{% block body %}{% endblock %}",
    "page.html": "{% extends 'base.html' %}{% from 'macros.html' import bold %}"
    "{% block title %}{{ title }}{% endblock %}"
    "{% block body %}{{ bold(request.args.name) }} {{ number() }} {{ g.word }} {{ url_for('.page', name=1) }}"
    "{% endblock %}",
    "macros.html": "{% macro bold(text) %}<b>{{ text }}</b>{% endmacro %}",
    "error.html": "begun {{ fail() }} never",
    "rows.html": "{% for row in rows() %}<li>{{ row }}\n{% endfor %}end",
    "message.html": "<i>{{ text }}</i>",
    "messages.html": "{% for category, text in get_flashed_messages(True) %}{{ category }}: {{ text }}\n{% endfor %}",
}


def add_template_routes(app: Triows, say: Callable[..., None]) -> None:
    app.secret_key = "secret"
    part = Blueprint("templates", __name__, url_prefix="/templates")
    part.jinja_loader = jinja2.DictLoader(SOURCES)

    async def number() -> int:
        await trio.lowlevel.checkpoint()
        return 42

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("in the template")

    @part.get("/page")
    async def page() -> str:
        g.word = "word"
        return await render_template("page.html", title="<Title>", number=number)

    @part.get("/page/error")
    async def error() -> Any:
        return await render_template("error.html", fail=fail)

    @part.get("/page/error/stream")
    async def error_in_stream() -> Any:
        return await stream_template("error.html", fail=fail)

    @part.get("/page/missing")
    async def missing() -> Any:
        return await render_template("missing.html")

    async def rows_of(count: int | None) -> AsyncIterator[str]:
        done = 0
        try:
            while count is None or done < count:
                await trio.lowlevel.checkpoint()
                yield f"{request.path} {done} {'x' * 100}"
                done += 1
        finally:
            say("rows-closed", request.disconnect.kind if request.disconnect else None)

    @part.get("/rows/<int:count>")
    async def rows(count: int) -> Any:
        return await stream_template("rows.html", rows=lambda: rows_of(count))

    @part.get("/rows/forever")
    async def rows_forever() -> Any:
        return await stream_template("rows.html", rows=lambda: rows_of(None))

    @part.get("/rows/forever/without-waiting")
    async def rows_without_waiting() -> Any:
        def rows() -> Iterator[str]:
            while True:
                yield "x" * 100

        try:
            return await stream_template("rows.html", rows=rows)
        finally:
            say("rendering")

    @part.get("/rows/whole/forever")
    async def whole_forever() -> Any:
        """Never has anything to send: only the cancellation ends it."""

        def rows() -> Iterator[str]:
            say("rendering")
            while True:
                yield ""

        try:
            return await render_template("rows.html", rows=rows)
        except trio.Cancelled:
            say("cancelled", request.disconnect.kind)
            raise

    @part.get("/rows/whole/waiting")
    async def whole_waiting() -> Any:
        async def rows() -> AsyncIterator[str]:
            try:
                yield ""
                say("rendering")
                await trio.sleep_forever()
            finally:
                say("rows-closed", request.disconnect.kind if request.disconnect else None)

        return await render_template("rows.html", rows=rows)

    @part.websocket("/page")
    async def page_by_websocket() -> Any:
        if "reject" in websocket.args:
            return await render_template("message.html", text="go <away>"), 403
        async for message in websocket:
            await websocket.send(await render_template("message.html", text=message))
            await websocket.send(await stream_template("message.html", text=message))
        return None

    # Messages for the next page

    @part.post("/messages")
    async def add_message() -> Any:
        await flash("<saved>", "info")
        await flash("and more")
        return redirect(url_for(".messages"))

    @part.get("/messages")
    async def messages() -> str:
        return await render_template("messages.html")

    @part.websocket("/messages")
    async def message_by_websocket() -> None:
        await flash("by websocket", "info")
        await websocket.accept()
        await websocket.send_json([*session])

    app.register_blueprint(part)
