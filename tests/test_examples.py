"""The examples: each is imported from its file and driven by the test client, and run as its docstring says."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from triows import ServerSentEvent, WebsocketResponseError
from triows.errors import WebsocketDisconnectError
from triows.testing import TestClient, TestWebSocket

from .support.processes import kill_group

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
APPS = sorted(path.parent.name for path in EXAMPLES.glob("*/app.py"))
GUARD = 30.0  # seconds; only a test that hangs meets it

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Import an example anew, from its path below ``examples``."""

    def load(path: str) -> ModuleType:
        name = "example_" + re.sub(r"\W", "_", path)
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


class Program:
    """A server that runs in a process of its own, from the line that says where it listens."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.output = ""

    async def read_until(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout is not None
        while (found := re.search(pattern, self.output)) is None:
            data = await self.process.stdout.receive_some()
            assert data, f"the program ended without {pattern!r}: {self.output}"
            self.output += data.decode()
        return found

    async def end(self, number: signal.Signals) -> int:
        """Send the signal, read the rest of the output, and return the exit code."""
        assert self.process.stdout is not None
        self.process.send_signal(number)
        async for data in self.process.stdout:
            self.output += data.decode()
        return await self.process.wait()


@asynccontextmanager
async def running(*arguments: str | Path, cwd: Path = ROOT) -> AsyncIterator[tuple[Program, str]]:
    """Run ``python ARGUMENTS``; yield the program and its address, ``127.0.0.1:PORT``."""
    command = [sys.executable, *map(str, arguments)]
    process = await trio.lowlevel.open_process(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, process_group=0
    )
    program = Program(process)
    try:
        with trio.fail_after(GUARD):
            address = (await program.read_until(r"Running on http://([\d.]+:\d+)"))[1]
            yield program, address
    finally:
        with trio.CancelScope(shield=True):
            kill_group(process.pid)  # Hypercorn has a worker
            await process.wait()
            assert process.stdout is not None
            await process.stdout.aclose()


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[WebSocketConnection]:
    """A websocket to ``/ws`` at the address; unlike trio-websocket's own, it always closes its socket."""
    host, port = address.split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream, trio.open_nursery() as nursery:
        ws = await wrap_client_stream(nursery, stream, address, "/ws")
        yield ws
        await ws.aclose()


async def get(address: str, path: str) -> bytes:
    """All that the server sends for one GET."""
    host, port = address.split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        return b"".join([data async for data in stream])


async def output_of(*arguments: str | Path, cwd: Path = ROOT) -> str:
    """Run ``python ARGUMENTS`` to its end."""
    with trio.fail_after(GUARD):
        done = await trio.run_process([sys.executable, *map(str, arguments)], capture_stdout=True, cwd=cwd)
    assert isinstance(done.stdout, bytes)
    return done.stdout.decode()


@pytest.mark.parametrize("name", APPS)
def test_the_docstring_says_how_to_run_and_try_it(name: str, load: Load) -> None:
    docstring = load(f"{name}/app.py").__doc__
    assert docstring is not None
    assert f"examples/{name}/app.py:app" in docstring
    assert "try it" in docstring


@pytest.mark.parametrize("name", APPS)
def test_the_readme_lists_it(name: str) -> None:
    assert f"examples/{name}/app.py:app" in (EXAMPLES / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    "name", ["chat", "echo", "events", "guestbook", "hypercorn_app", "login", "ticker", "upload", "video"]
)
async def test_there_is_a_page(name: str, load: Load) -> None:
    response = await load(f"{name}/app.py").app.test_client().get("/")
    assert response.status_code == 200
    assert response.mimetype == "text/html"
    assert "<title>" in await response.get_data(as_text=True)


@pytest.mark.parametrize("page", sorted(EXAMPLES.rglob("*.html")), ids=lambda page: str(page.relative_to(EXAMPLES)))
def test_pages_load_nothing_from_elsewhere(page: Path) -> None:
    references = re.findall(r"""(?:src|href)=["']([^"']*)""", page.read_text("utf-8"))
    assert [reference for reference in references if "//" in reference and not reference.startswith("data:")] == []


JUNK: list[str | bytes] = [
    "not JSON",
    "",
    "[]",
    "{}",
    "null",
    '{"type": "join", "name": 1}',
    '{"type": []}',
    b"\xff",
    "1e999",
]


@pytest.mark.parametrize("name", APPS)
@pytest.mark.parametrize("junk", JUNK)
async def test_junk_is_the_clients_error(
    name: str, junk: str | bytes, load: Load, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    # The clock jumps, since a handler that never receives leaves the message unread, and has drain_timeout for that.
    client = load(f"{name}/app.py").app.test_client()
    with suppress(WebsocketResponseError, WebsocketDisconnectError):
        async with client.websocket("/ws") as ws:
            await ws.send(junk)  # it is received before the Close frame that follows
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []


# echo


async def test_echo_returns_text_as_text_and_bytes_as_bytes(load: Load) -> None:
    async with load("echo/app.py").app.test_client().websocket("/ws") as ws:
        for message in ("hello", "", b"\x00\xff", b""):
            await ws.send(message)
            assert await ws.receive() == message


async def test_echo_client_prints_what_comes_back(load: Load, tmp_path: Path) -> None:
    file = EXAMPLES / "echo" / "app.py"
    async with running("-m", "triows", "run", f"{file}:app", "--port", "0", cwd=tmp_path) as (_, address):
        output = await output_of(EXAMPLES / "echo" / "client.py", "--url", f"ws://{address}/ws", "hello", "wörld")
    assert output.splitlines() == ["hello", "wörld"]


# chat


class Guest:
    """A client in the chat."""

    def __init__(self, ws: TestWebSocket) -> None:
        self.ws = ws
        self.welcome: dict[str, Any] = {}

    async def hear(self, kind: str) -> Any:
        """The next message of that type; those before it are passed over."""
        while True:
            message = await self.ws.receive_json()
            if message["type"] == kind:
                return message

    async def say(self, text: str) -> None:
        await self.ws.send_json({"type": "say", "text": text})

    async def hear_names(self, *names: str) -> None:
        """Wait until exactly these are here."""
        while (await self.hear("here"))["names"] != [*names]:
            pass


@asynccontextmanager
async def joined(client: TestClient, name: str, key: str | None = None) -> AsyncIterator[Guest]:
    async with client.websocket("/ws") as ws:
        guest = Guest(ws)
        await ws.send_json({"type": "join", "name": name, "key": name if key is None else key})
        guest.welcome = await guest.hear("welcome")
        yield guest


@pytest.fixture
def chat(load: Load) -> ModuleType:
    return load("chat/app.py")


@pytest.fixture
def visitors(chat: ModuleType) -> TestClient:
    client: TestClient = chat.app.test_client()
    return client


async def test_chat_members_hear_each_other(visitors: TestClient) -> None:
    async with joined(visitors, "Ada") as ada, joined(visitors, "Grace") as grace:
        await ada.say("<b>Hi</b> & bye")
        for guest in (ada, grace):
            said = await guest.hear("said")
            assert (said["name"], said["text"]) == ("Ada", "<b>Hi</b> & bye")
        await grace.say("Hello")
        assert (await ada.hear("said"))["name"] == "Grace"


async def test_chat_tells_who_is_here(visitors: TestClient) -> None:
    async with joined(visitors, "Grace") as grace:
        await grace.hear_names("Grace")
        async with joined(visitors, "ada") as ada:
            await ada.hear_names("ada", "Grace")
            await grace.hear_names("ada", "Grace")
        await grace.hear_names("Grace")


async def test_chat_notices_a_lost_connection(visitors: TestClient) -> None:
    async with joined(visitors, "Ada") as ada, joined(visitors, "Grace") as grace:
        await ada.hear_names("Ada", "Grace")
        await grace.ws.disconnect()
        await ada.hear_names("Ada")


async def test_chat_shows_newcomers_what_was_said(visitors: TestClient) -> None:
    async with joined(visitors, "Ada") as ada:
        assert ada.welcome["history"] == []
        await ada.say("Anybody here?")
        said = await ada.hear("said")
    async with joined(visitors, "Grace") as grace:
        del said["type"]
        assert grace.welcome["history"] == [said]


async def test_chat_history_is_bounded(
    chat: ModuleType, visitors: TestClient, autojump_clock: trio.testing.MockClock
) -> None:
    async with joined(visitors, "Ada") as ada:
        for number in range(chat.HISTORY + 5):
            await ada.say(str(number))
            await ada.hear("said")
    async with joined(visitors, "Grace") as grace:
        texts = [said["text"] for said in grace.welcome["history"]]
        assert texts == [str(number) for number in range(5, chat.HISTORY + 5)]


async def test_chat_messages_are_bounded_and_blank_ones_passed_over(chat: ModuleType, visitors: TestClient) -> None:
    async with joined(visitors, "Ada") as ada:
        await ada.say(" \n ")
        await ada.say("x" * (chat.MAX_TEXT + 1))
        assert (await ada.hear("said"))["text"] == "x" * chat.MAX_TEXT


async def test_chat_takes_half_a_surrogate_pair(visitors: TestClient) -> None:
    async with joined(visitors, "Ada") as ada, joined(visitors, "Grace") as grace:
        await ada.ws.send(r'{"type": "say", "text": "\ud83d"}')
        assert (await grace.hear("said"))["text"] == "\ud83d"


async def test_chat_passes_over_what_it_does_not_know(visitors: TestClient) -> None:
    async with joined(visitors, "Ada") as ada:
        unknown: list[Any] = [[], 1, None, {"type": "wave"}, {"type": "say"}, {"type": "say", "text": 1}]
        for message in unknown:
            await ada.ws.send_json(message)
        await ada.say("still here")
        assert (await ada.hear("said"))["text"] == "still here"


async def test_chat_cleans_names(chat: ModuleType, visitors: TestClient) -> None:
    async with joined(visitors, "  Ada \n\u202e  Lovelace" + "!" * 99) as ada:
        assert ada.welcome["name"] == ("Ada Lovelace" + "!" * 99)[: chat.MAX_NAME]


@pytest.mark.parametrize("name", ["", "  ", "\u200b\u202e"])
async def test_chat_refuses_names_that_nobody_can_read(name: str, chat: ModuleType, visitors: TestClient) -> None:
    with pytest.raises(WebsocketDisconnectError) as caught:
        async with joined(visitors, name):
            pass
    assert caught.value.code == chat.REFUSED


@pytest.mark.parametrize("name", ["Ada", "ADA", "\uff21da"])
async def test_chat_refuses_the_name_of_somebody_else(name: str, chat: ModuleType, visitors: TestClient) -> None:
    async with joined(visitors, "Ada", "first key"):
        with pytest.raises(WebsocketDisconnectError) as caught:
            async with joined(visitors, name, "second key"):
                pass
    assert caught.value.code == chat.REFUSED
    assert "name already" in caught.value.reason


async def test_chat_gives_a_name_back_to_its_owner(visitors: TestClient) -> None:
    # The page was reloaded, and its old connection is not known to be gone yet.
    async with joined(visitors, "Ada", "key"), joined(visitors, "Ada", "key") as again:
        await again.hear_names("Ada")


@pytest.mark.parametrize("message", ['{"type": "join"}', '{"type": "join", "name": 1, "key": ""}', "[]", '"Ada"'])
async def test_chat_refuses_who_does_not_say_a_name(message: str, chat: ModuleType, visitors: TestClient) -> None:
    async with visitors.websocket("/ws") as ws:
        await ws.send(message)
        with pytest.raises(WebsocketDisconnectError):
            await ws.receive()
        assert ws.close_code == chat.REFUSED


async def test_chat_does_not_wait_for_ever_for_a_name(
    chat: ModuleType, visitors: TestClient, autojump_clock: trio.testing.MockClock
) -> None:
    async with visitors.websocket("/ws") as ws:
        with pytest.raises(WebsocketDisconnectError):
            await ws.receive()
        assert ws.close_code == chat.REFUSED
        assert trio.current_time() >= chat.JOIN_TIMEOUT


async def test_chat_drops_a_member_who_does_not_read(
    chat: ModuleType, visitors: TestClient, autojump_clock: trio.testing.MockClock
) -> None:
    async with joined(visitors, "Ada") as ada, joined(visitors, "Slow") as slow:
        await ada.hear_names("Ada", "Slow")
        slow.ws.stall()
        names, count = ["Ada", "Slow"], 0
        while "Slow" in names:
            await ada.say("x" * chat.MAX_TEXT)
            message = await ada.ws.receive_json()
            names = message.get("names", names)
            count += message["type"] == "said"
        assert count > chat.BACKLOG
        slow.ws.resume()
        with pytest.raises(WebsocketDisconnectError):
            await slow.hear("never")
        assert slow.ws.close_code == chat.TRY_AGAIN_LATER


@pytest.mark.parametrize(("name", "mimetype"), [("chat.js", "text/javascript"), ("chat.css", "text/css")])
async def test_chat_serves_its_files(name: str, mimetype: str, visitors: TestClient) -> None:
    response = await visitors.get(f"/{name}")
    assert response.status_code == 200
    assert response.mimetype == mimetype
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/app.py", "/..%2fREADME.md", "/favicon.ico"])
async def test_chat_serves_nothing_else(path: str, visitors: TestClient) -> None:
    assert (await visitors.get(path)).status_code == 404


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_chat_runs_from_anywhere(elsewhere: bool, tmp_path: Path) -> None:
    file = EXAMPLES / "chat" / "app.py" if elsewhere else Path("examples/chat/app.py")
    arguments = ("-m", "triows", "run", f"{file}:app", "--port", "0")
    async with running(*arguments, cwd=tmp_path if elsewhere else ROOT) as (program, address):
        async with connected(address) as ws:
            await ws.send_message('{"type": "join", "name": "Ada", "key": ""}')
            assert "welcome" in await ws.get_message()
        assert await program.end(signal.SIGTERM) == 0


# ticker


async def test_ticker_ticks_while_nothing_is_received(
    load: Load, capsys: pytest.CaptureFixture[str], autojump_clock: trio.testing.MockClock
) -> None:
    async with load("ticker/app.py").app.test_client().websocket("/ws") as ws:
        assert [await ws.receive() for _ in range(3)] == ["tick 1", "tick 2", "tick 3"]
        assert trio.current_time() == pytest.approx(2)


async def test_ticker_takes_another_pace_meanwhile(
    load: Load, capsys: pytest.CaptureFixture[str], autojump_clock: trio.testing.MockClock
) -> None:
    async with load("ticker/app.py").app.test_client().websocket("/ws") as ws:
        assert await ws.receive() == "tick 1"
        await ws.send("0.25")
        assert await ws.receive() == "tick 2"
        start = trio.current_time()
        assert await ws.receive() == "tick 3"
        assert trio.current_time() - start == pytest.approx(0.25)


@pytest.mark.parametrize(("message", "seconds"), [("0", 0.1), ("-1", 0.1), ("nan", 0.1), ("inf", 10), ("1e99", 10)])
async def test_ticker_keeps_a_sane_pace(
    message: str,
    seconds: float,
    load: Load,
    capsys: pytest.CaptureFixture[str],
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with load("ticker/app.py").app.test_client().websocket("/ws") as ws:
        await ws.receive()
        await ws.send(message)
        await ws.receive()
        start = trio.current_time()
        await ws.receive()
        assert trio.current_time() - start == pytest.approx(seconds)


async def test_ticker_answers_what_is_no_number(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    async with load("ticker/app.py").app.test_client().websocket("/ws") as ws:
        await ws.receive()
        await ws.send("fast")
        assert await ws.receive() == "'fast' is no number of seconds"


async def test_ticker_says_why_a_client_is_gone(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    async with load("ticker/app.py").app.test_client().websocket("/ws") as ws:
        await ws.receive()
        await ws.close(1001)
        await ws.wait_closed()
    assert capsys.readouterr().out == "gone: Disconnect(code=1001, reason='', kind='closed')\n"


async def test_ticker_says_that_a_client_was_lost(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    async with load("ticker/app.py").app.test_client().websocket("/ws") as ws:
        await ws.receive()
        await ws.disconnect()
        await ws.wait_closed()
    assert capsys.readouterr().out == "gone: Disconnect(code=1006, reason='', kind='lost')\n"


# auth


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic YWRhOndyb25n"},
        {"Authorization": "Basic Ym9iOg=="},
        {"Authorization": "Basic not base64"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Digest username=ada"},
    ],
    ids=["stranger", "wrong password", "unknown name", "broken", "wrong token", "no token", "other scheme"],
)
async def test_auth_rejects_with_401(headers: dict[str, str], load: Load) -> None:
    with pytest.raises(WebsocketResponseError) as caught:
        async with load("auth/app.py").app.test_client().websocket("/ws", headers=headers) as ws:
            await ws.receive()
    response = caught.value.response
    assert response.status_code == 401
    assert re.findall(r"(\w+) realm=", response.headers["WWW-Authenticate"]) == ["Basic", "Bearer"]
    assert await response.get_data(as_text=True) == "Who are you?"


@pytest.mark.parametrize(
    ("authorization", "name"), [("Basic YWRhOmxvdmVsYWNl", "ada"), ("Bearer let-me-in", "the robot")]
)
async def test_auth_accepts_with_credentials(authorization: str, name: str, load: Load) -> None:
    client = load("auth/app.py").app.test_client()
    async with client.websocket("/ws", headers={"Authorization": authorization}) as ws:
        assert await ws.receive() == f"Hello, {name}!"
        await ws.send("hi")
        assert await ws.receive() == f"{name}: hi"


@pytest.mark.parametrize(
    ("arguments", "first_line"),
    [
        ([], "refused: 401"),
        (["--user", "ada", "--password", "wrong"], "refused: 401"),
        (["--user", "ada", "--password", "lovelace"], "Hello, ada!"),
        (["--token", "let-me-in"], "Hello, the robot!"),
    ],
    ids=["stranger", "wrong password", "password", "token"],
)
async def test_auth_client_says_how_it_was_received(arguments: list[str], first_line: str, load: Load) -> None:
    app = load("auth/app.py").app
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(app.serve, "127.0.0.1", 0, access_log=False))
        client = EXAMPLES / "auth" / "client.py"
        output = await output_of(client, "--url", f"ws://127.0.0.1:{server.port}/ws", *arguments)
        nursery.cancel_scope.cancel()
    assert output.splitlines()[0] == first_line


# upload


async def test_upload_says_what_has_arrived(load: Load) -> None:
    async with load("upload/app.py").app.test_client().websocket("/ws") as ws:
        for data in (b"x" * 3_000_000, b"", "a few € more"):
            await ws.send(data)
            sent = data.encode() if isinstance(data, str) else data
            assert await ws.receive_json() == {"size": len(sent), "sha256": sha256(sent).hexdigest()}


async def test_upload_client_sends_a_file(load: Load, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789" * 1000)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(load("upload/app.py").app.serve, "127.0.0.1", 0, access_log=False))
        client = EXAMPLES / "upload" / "client.py"
        output = await output_of(client, "--url", f"ws://127.0.0.1:{server.port}/ws", file)
        nursery.cancel_scope.cancel()
    assert output == f"10000 {sha256(file.read_bytes()).hexdigest()}\n"


# guestbook


@pytest.fixture
def guestbook(load: Load) -> ModuleType:
    return load("guestbook/app.py")


async def write(client: TestClient, name: str, text: str) -> str:
    """Write into the guestbook, and return the page that is shown then."""
    response = await client.post("/", form={"name": name, "text": text}, follow_redirects=True)
    assert response.status_code == 200
    return await response.get_data(as_text=True)


async def test_guestbook_shows_what_was_written_and_says_thank_you_once(guestbook: ModuleType) -> None:
    client = guestbook.app.test_client()
    page = await write(client, " Ada ", "<b>Hi</b>")
    assert "Thank you, Ada!" in page
    assert "&lt;b&gt;Hi&lt;/b&gt;" in page
    page = await (await client.get("/")).get_data(as_text=True)
    assert "Thank you" not in page
    assert "&lt;b&gt;Hi&lt;/b&gt;" in page


@pytest.mark.parametrize(("name", "text"), [("", "text"), ("name", " "), ("x" * 41, "text"), ("name", "x" * 501)])
async def test_guestbook_refuses_what_is_missing_or_too_long(guestbook: ModuleType, name: str, text: str) -> None:
    page = await write(guestbook.app.test_client(), name, text)
    assert '<p class="error" role="status">Please give a name' in page
    assert "Nobody has written anything yet." in page


async def test_guestbook_is_bounded(guestbook: ModuleType) -> None:
    client = guestbook.app.test_client()
    for number in range(guestbook.MAX_ENTRIES + 1):
        page = await write(client, "Ada", f"text {number}.")
    assert "text 0." not in page
    assert f"text {guestbook.MAX_ENTRIES}." in page


async def test_guestbook_finds_its_templates_from_anywhere(tmp_path: Path) -> None:
    file = EXAMPLES / "guestbook" / "app.py"
    async with running("-m", "triows", "run", f"{file}:app", "--port", "0", cwd=tmp_path) as (_, address):
        page = await get(address, "/")
    assert b"<title>Guestbook</title>" in page


# events


async def test_events_show_what_is_written_and_what_was_missed(load: Load) -> None:
    client = load("events/app.py").app.test_client()
    async with client.request("/events") as connection:
        await connection.send_complete()
        assert await connection.receive_event() == ServerSentEvent(retry=1000)
        assert (await client.post("/notes", form={"text": "one"})).status_code == 204
        assert await connection.receive_event() == ServerSentEvent('{"text": "one"}', event="note", id="1")
        await connection.disconnect()
    for text in ("two", "three"):
        await client.post("/notes", form={"text": text})
    for last, expected in (("1", ["2", "3"]), ("2", ["3"]), ("9", ["1", "2", "3"]), ("x", ["1", "2", "3"])):
        async with client.request("/events", headers={"Last-Event-ID": last}) as connection:
            await connection.send_complete()
            events = [await connection.receive_event() for _ in range(1 + len(expected))]
            assert [event.id for event in events if event is not None] == [None, *expected]
            await connection.disconnect()


@pytest.mark.parametrize("form", [{}, {"text": " "}, {"text": "x" * 501}])
async def test_events_refuse_what_is_no_note(form: dict[str, str], load: Load) -> None:
    assert (await load("events/app.py").app.test_client().post("/notes", form=form)).status_code == 400


# login


async def test_login_lets_members_in_and_the_logout_ends_their_websockets(load: Load) -> None:
    async with load("login/app.py").app.test_app() as test_app:
        client, stranger = test_app.test_client(), test_app.test_client()
        response = await client.post("/login", form={"name": "ada", "password": "lovelace"})
        assert (response.status_code, response.headers["Location"]) == (303, "/")
        assert await (await client.get("/me")).get_json() == {"name": "ada"}
        assert "<title>Members</title>" in await (await client.get("/")).get_data(as_text=True)
        cookie = client.cookie_jar and next(iter(client.cookie_jar)).value
        async with client.websocket("/ws") as ws:
            assert await ws.receive() == "Hello, ada!"
            assert (await client.post("/logout")).status_code == 303
            with pytest.raises(WebsocketDisconnectError):
                await ws.receive()
            assert (ws.close_code, ws.close_reason) == (4001, "logged out")
        assert (await client.get("/me")).status_code == 401
        assert (await stranger.get("/me", headers={"Cookie": f"session={cookie}"})).status_code == 401


@pytest.mark.parametrize("form", [{"name": "ada", "password": "x"}, {"name": "nobody", "password": "lovelace"}])
async def test_login_refuses_strangers(form: dict[str, str], load: Load) -> None:
    client = load("login/app.py").app.test_client()
    assert (await client.post("/login", form=form)).status_code == 403
    for method, path in (("GET", "/me"), ("POST", "/logout")):
        assert (await client.open(path, method=method)).status_code == 401
    with pytest.raises(WebsocketResponseError, match="401"):
        async with client.websocket("/ws") as ws:
            await ws.receive()


async def test_login_refuses_forms_of_other_origins(load: Load) -> None:
    client = load("login/app.py").app.test_client()
    form = {"name": "ada", "password": "lovelace"}
    response = await client.post("/login", form=form, headers={"Origin": "https://evil.example"})
    assert (response.status_code, "Set-Cookie" in response.headers) == (403, False)
    assert "other origins" in await response.get_data(as_text=True)


async def test_login_gives_another_id_to_who_had_one(load: Load) -> None:
    client = load("login/app.py").app.test_client()
    ids = []
    for _ in range(2):
        response = await client.post("/login", form={"name": "grace", "password": "hopper"})
        ids.append(response.headers["Set-Cookie"].partition(";")[0])
    assert ids[0] != ids[1]
    assert (await client.post("/login", form={"name": "ada", "password": "x" * 1025})).status_code == 400


# blog


@pytest.fixture
def blog(load: Load, tmp_path: Path) -> ModuleType:
    """The blog, with a database of its own that its command has made."""
    module = load("blog/app.py")
    module.app.config["DATABASE"] = tmp_path / "blog.db"
    result = module.app.test_cli_runner().invoke(args=["init-db"])
    assert result.output == f"{tmp_path / 'blog.db'} is ready\n"
    return module


async def test_blog_shows_posts_with_the_newest_first(blog: ModuleType) -> None:
    client = blog.app.test_client()
    assert "Nobody has written anything yet." in await (await client.get("/")).get_data(as_text=True)
    for title in ("First", "<i>Second</i>"):
        response = await client.post("/create/", form={"title": title, "text": "a & b"}, follow_redirects=True)
        assert response.status_code == 200
    page = await response.get_data(as_text=True)
    assert re.findall("<h2>(.*)</h2>", page) == ["&lt;i&gt;Second&lt;/i&gt;", "First"]
    assert page.count("a &amp; b") == 2


@pytest.mark.parametrize("form", [{}, {"title": "Title"}, {"text": "Text"}])
async def test_blog_answers_a_form_without_a_field_with_400(form: dict[str, str], blog: ModuleType) -> None:
    client = blog.app.test_client()
    assert (await client.post("/create/", form=form)).status_code == 400
    assert "<article>" not in await (await client.get("/")).get_data(as_text=True)


async def test_blog_has_a_form(blog: ModuleType) -> None:
    page = await (await blog.app.test_client().get("/create/")).get_data(as_text=True)
    assert re.findall('name="(title|text)"', page) == ["title", "text"]


async def test_blog_is_made_and_served_from_anywhere(tmp_path: Path) -> None:
    file = EXAMPLES / "blog" / "app.py"
    assert await output_of(file, "init-db", cwd=tmp_path) == f"{tmp_path / 'blog.db'} is ready\n"
    async with running("-m", "triows", "run", f"{file}:app", "--port", "0", cwd=tmp_path) as (_, address):
        assert b"Nobody has written anything yet." in await get(address, "/")


# api


@pytest.fixture
def api(load: Load) -> TestClient:
    client: TestClient = load("api/app.py").app.test_client()
    return client


@pytest.mark.parametrize("value", [{"a": "b"}, [], "text", 1.5, None])
async def test_api_echoes_json(value: Any, api: TestClient) -> None:
    response = await api.post("/echo", json=value)
    assert await response.get_json() == {"input": value, "extra": True}


@pytest.mark.parametrize("due", ["2030-01-31", None])
async def test_api_creates_a_todo_and_says_where_it_is(due: str | None, api: TestClient) -> None:
    response = await api.post("/todos/", json={"task": "Sleep", "due": due})
    todo = await response.get_json()
    assert (response.status_code, todo) == (201, {"id": 1, "task": "Sleep", "due": due})
    assert await (await api.get(response.headers["Location"])).get_json() == todo
    assert await (await api.get("/todos/")).get_json() == [todo]


@pytest.mark.parametrize(
    "todo",
    [
        None,
        [],
        {},
        {"task": ""},
        {"task": 1},
        {"due": None},
        {"task": "Sleep", "due": "tomorrow"},
        {"task": "Sleep", "due": 1},
        {"task": "Sleep", "done": True},
    ],
)
async def test_api_answers_what_is_no_todo_with_400(todo: Any, api: TestClient) -> None:
    response = await api.post("/todos/", json=todo)
    assert (response.status_code, [*await response.get_json()]) == (400, ["error"])
    assert await (await api.get("/todos/")).get_json() == []


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/todos/1", 404), ("GET", "/echo", 405), ("POST", "/echo", 400)]
)
async def test_api_answers_errors_as_json(method: str, path: str, status: int, api: TestClient) -> None:
    response = await api.open(path, method=method, data="junk", headers={"Content-Type": "application/json"})
    assert (response.status_code, [*await response.get_json()]) == (status, ["error"])


async def test_api_is_served_from_anywhere(tmp_path: Path) -> None:
    file = EXAMPLES / "api" / "app.py"
    async with running("-m", "triows", "run", f"{file}:app", "--port", "0", cwd=tmp_path) as (_, address):
        assert (await get(address, "/todos/")).endswith(b"\r\n\r\n[]\n")


# video


async def test_video_is_played_from_anywhere(load: Load) -> None:
    client = load("video/app.py").app.test_client()
    whole = await (await client.get("/static/clock.webm")).get_data()
    response = await client.get("/video", headers={"Range": "bytes=0-"})
    assert (response.status_code, response.mimetype, await response.get_data()) == (206, "video/webm", whole)
    response = await client.get("/video", headers={"Range": "bytes=1000-1999"})
    assert (response.status_code, await response.get_data()) == (206, whole[1000:2000])


async def test_video_can_be_kept(load: Load) -> None:
    response = await load("video/app.py").app.test_client().get("/download")
    assert response.headers["Content-Disposition"] == "attachment; filename=clock.webm"


# embedded


async def test_embedded_shows_each_measurement(load: Load, autojump_clock: trio.testing.MockClock) -> None:
    embedded = load("embedded/main.py")
    sensor = embedded.Sensor()
    async with trio.open_nursery() as nursery:
        async with embedded.create_app(sensor).test_client().websocket("/ws") as ws:
            nursery.start_soon(sensor.run)
            assert await ws.receive_json() == {"temperature": 21.0}
            assert (await ws.receive_json())["temperature"] > 21
        nursery.cancel_scope.cancel()


async def test_embedded_sensor_does_not_wait_for_watchers(load: Load, autojump_clock: trio.testing.MockClock) -> None:
    sensor = load("embedded/main.py").Sensor()
    with sensor.watch() as slow, sensor.watch() as quick:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sensor.run)
            seen = [await quick.receive() for _ in range(10)]
            nursery.cancel_scope.cancel()
        assert slow.receive_nowait() == seen[0]
        with pytest.raises(trio.WouldBlock):
            slow.receive_nowait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
async def test_embedded_program_ends_in_order(number: signal.Signals, tmp_path: Path) -> None:
    arguments = (EXAMPLES / "embedded" / "main.py", "--port", "0", "--interval", "0.001")
    async with running(*arguments, cwd=tmp_path) as (program, address):
        async with connected(address) as ws:
            assert "temperature" in await ws.get_message()
            await program.read_until("too warm")
            code: int | None = None
            async with trio.open_nursery() as nursery:

                async def end() -> None:
                    nonlocal code
                    code = await program.end(number)

                nursery.start_soon(end)
                with pytest.raises(ConnectionClosed) as caught:
                    while True:
                        await ws.get_message()
        assert caught.value.reason is not None
        assert caught.value.reason.code == 1001
        assert code == 0
        assert program.output.endswith("The server has closed.\n")


# hypercorn_app


async def test_hypercorn_app_counts_windows(load: Load) -> None:
    client = load("hypercorn_app/app.py").app.test_client()
    async with client.websocket("/ws") as first:
        assert await first.receive_json() == {"open": 1, "carrier": "HTTP/1.1"}
        async with client.websocket("/ws") as second:
            assert (await second.receive_json())["open"] == 2
            assert (await first.receive_json())["open"] == 2
        assert (await first.receive_json())["open"] == 1


@pytest.mark.parametrize(
    ("directory", "target"),
    [(ROOT, "examples.hypercorn_app.app:app"), (EXAMPLES / "hypercorn_app", "app:app")],
    ids=["from the root", "beside the file"],
)
async def test_hypercorn_app_runs_under_hypercorn(directory: Path, target: str) -> None:
    arguments = ("-m", "hypercorn", "-k", "trio", "--bind", "127.0.0.1:0", target)
    async with running(*arguments, cwd=directory) as (_, address), connected(address) as ws:
        assert '"HTTP/1.1"' in await ws.get_message()
