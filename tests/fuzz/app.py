"""What a client's bytes may not do to an app: routing, forms, JSON, cookies, sessions, redirects, a websocket.

The promises are those of :mod:`.http`, but for what only its handler can tell; and no request is answered 500.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

from triows import Triows, redirect, request, session, websocket

from ..support.records import OF_CLIENTS
from .responses import read_answers
from .serving import MAX_INPUT, served


class _App(Triows):
    def __init__(self, name: str) -> None:
        super().__init__(name, compression=True, max_body_size=5000, subprotocols=["chat"])
        self.config["SECRET_KEY"] = "not a secret"
        self.add_url_rule("/", view_func=_about)
        self.add_url_rule("/form", view_func=_form, methods=["POST"])
        self.add_url_rule("/json", view_func=_json, methods=["POST"])
        self.add_url_rule("/session", view_func=_session)
        self.add_url_rule("/stream", view_func=_stream, methods=["GET", "POST"])
        self.add_url_rule("/items/<int:number>/", view_func=_item)
        self.add_url_rule("/files/<path:name>", view_func=_file)
        self.add_websocket("/ws", view_func=_echo)
        self.add_websocket("/json-ws", view_func=_json_messages)


async def _about() -> dict[str, object]:
    """What a request may say of itself."""
    return {
        "args": request.args.to_dict(flat=False),
        "cookies": request.cookies.to_dict(flat=False),
        "url": [request.url, request.host, request.path, request.root_path, request.full_path],
        "accepts": [str(request.accept_mimetypes), request.accept_languages.best, str(request.accept_encodings)],
        "from": [request.remote_addr, request.referrer, str(request.user_agent), str(request.authorization)],
        "cache": [str(request.if_match), str(request.if_modified_since), str(request.range), str(request.if_range)],
        "type": [request.mimetype, request.content_length, request.mimetype_params],
    }


async def _form() -> list[object]:
    form, files = await request.form, await request.files
    contents = [(name, file.filename, len(file.read())) for name, file in files.items(multi=True)]
    return [form.to_dict(flat=False), contents]


async def _json() -> dict[str, object]:
    return {"got": await request.get_json()}


async def _session() -> str:
    session["visits"] = session.get("visits", 0) + 1 if isinstance(session.get("visits", 0), int) else 0
    return str(session["visits"])


async def _stream() -> AsyncIterator[bytes]:
    pieces = [piece async for piece in request.body]

    async def echo() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return echo()


async def _item(number: int) -> str:
    return str(number)


async def _file(name: str) -> object:
    return redirect(quote(name)) if name.endswith("/") else (name, {"X-Name": quote(name)})


async def _echo() -> None:
    async for message in websocket:
        await websocket.send(message)


async def _json_messages() -> None:
    while True:
        await websocket.send_json(await websocket.receive_json())


def run(data: bytes) -> None:
    server = served(_App)
    sent = server.converse([data[:MAX_INPUT]])
    lines = [line for line in server.complaints.lines if not any(words in line for words in OF_CLIENTS)]
    server.complaints.lines.clear()
    assert not lines, lines
    # Which response belongs to a HEAD request is not known here: with one, only the first is looked at.
    head = re.match(rb"(\r\n)*HEAD ", data) is not None
    if head or b"HEAD " not in data:
        answers = read_answers(sent, ["HEAD"] * head, until_close=b"HTTP/1.0" in data)
        assert 500 not in answers.statuses, sent
