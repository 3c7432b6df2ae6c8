"""Bodies from files: in pieces, closed in the end whatever happens, and never taken for whole when they are not."""

from __future__ import annotations

import os
import threading
from contextlib import aclosing
from io import BytesIO
from pathlib import Path

import pytest
import trio
import trio.testing

from triows import Response, Triows, request, send_file
from triows.testing import HTTPDisconnectError
from triows.web.file_body import PIECE, FileBody, NoRegularFile, in_file_thread, open_regular


def open_files(folder: Path) -> list[str]:
    """The files of a folder that this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            path = os.readlink(entry)
        except OSError:  # that of the listing itself
            continue
        if path.startswith(f"{folder}/"):
            found.append(path)
    return found


def body_of(path: Path) -> FileBody:
    return FileBody(lambda: open_regular(str(path)), path.stat().st_size, name=str(path))


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (3 * PIECE // 256) + b"end")
    return path


async def test_a_file_comes_in_pieces_and_is_open_meanwhile(large: Path) -> None:
    response = Response(body_of(large))
    assert open_files(large.parent) == []
    sizes = []
    async with aclosing(response.iter_body()) as pieces:
        async for piece in pieces:
            sizes.append(len(piece))
            assert open_files(large.parent) == ([str(large)] if len(sizes) < 4 else [])
    assert sizes == [PIECE, PIECE, PIECE, 3]


async def test_parts_are_read_from_where_they_are(large: Path) -> None:
    body = body_of(large)
    size = large.stat().st_size
    assert body.select([b"<", (size - 3, size), b"|", (0, 2), (1, PIECE + 2), b">"]) == PIECE + 9
    data = b"".join([piece async for piece in body])
    assert data == b"<end|\0\1" + large.read_bytes()[1 : PIECE + 2] + b">"
    assert open_files(large.parent) == []


async def test_a_body_that_is_left_half_way_is_closed(large: Path) -> None:
    response = Response(body_of(large))
    async with aclosing(response.iter_body()) as pieces:
        await anext(pieces)
    await response.aclose()
    await response.aclose()
    assert open_files(large.parent) == []


async def test_a_body_that_is_cancelled_is_closed_when_its_thread_is_done(tmp_path: Path) -> None:
    may_go_on, begun = threading.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()
    threads = threading.active_count()

    class Slow(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            token.run_sync_soon(begun.set)
            may_go_on.wait(30)
            return super().read(size)

    file = Slow(b"content")
    response = Response(FileBody.of_object(file, 7))

    async def iterate() -> None:
        with trio.CancelScope() as scope:
            scopes.append(scope)
            try:
                async with aclosing(response.iter_body()) as pieces:
                    async for _ in pieces:
                        await trio.lowlevel.checkpoint()
                        raise AssertionError("went on, although it was cancelled")
            finally:
                await response.aclose()

    scopes: list[trio.CancelScope] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(iterate)
        await begun.wait()
        scopes[0].cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert not file.closed  # its thread is reading
        may_go_on.set()
    assert file.closed
    assert threading.active_count() <= threads + 1  # Trio keeps an idle one for a while


@pytest.mark.parametrize("left", [0, 10, PIECE + 10])
async def test_a_file_that_became_shorter_is_an_error(large: Path, left: int) -> None:
    body = body_of(large)
    os.truncate(large, left)
    received = 0
    with pytest.raises(OSError, match=r"large became shorter while it was sent: \d+ bytes are missing"):
        async for piece in body:
            received += len(piece)
    assert received == left
    await body.aclose()
    assert open_files(large.parent) == []


async def test_a_file_that_grew_is_sent_as_long_as_it_was(large: Path) -> None:
    body = body_of(large)
    before = large.read_bytes()
    with large.open("ab") as file:
        file.write(b"more")
    assert b"".join([piece async for piece in body]) == before


async def test_a_file_object_without_a_size_is_read_to_its_end() -> None:
    file = BytesIO(b"x" * (PIECE + 5))
    response = Response(FileBody.of_object(file, None))
    assert len(await response.get_data()) == PIECE + 5
    assert file.closed


async def test_a_file_object_that_reads_text_is_refused() -> None:
    class Texts:
        def read(self, size: int) -> str:
            return "text"

    with pytest.raises(TypeError, match="is read as str; open it in binary mode"):
        await anext(FileBody.of_object(Texts(), None))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "special"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path = Path("/dev/zero")
    with pytest.raises(NoRegularFile, match="is no regular file"):
        open_regular(str(path))


def test_what_turns_into_a_pipe_while_it_is_opened_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    status = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(os, "stat", lambda path: status)
    with pytest.raises(NoRegularFile):  # without waiting for somebody who writes into it
        open_regular(str(path))
    monkeypatch.undo()
    assert open_files(tmp_path) == []


async def test_files_that_hang_leave_threads_to_synchronous_views() -> None:
    may_go_on = threading.Event()
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(in_file_thread, may_go_on.wait, 30)
        await trio.testing.wait_all_tasks_blocked()
        assert await trio.to_thread.run_sync(lambda: "here") == "here"
        may_go_on.set()


# In an app


async def test_a_client_that_leaves_half_way_leaves_no_descriptor(large: Path) -> None:
    app = Triows(__name__)
    ended = trio.Event()

    @app.get("/")
    async def view() -> Response:
        return await send_file(large, mimetype="text/plain")

    @app.teardown_request
    async def tear_down(error: BaseException | None) -> None:
        ended.set()

    async with app.test_app() as test_app, test_app.test_client().request("/") as connection:
        await connection.send_complete()
        await connection.receive()
        assert open_files(large.parent) == [str(large)]
        await connection.disconnect()
        await ended.wait()
        assert open_files(large.parent) == []


async def test_a_client_that_takes_nothing_blocks_no_other(large: Path) -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> Response:
        return await send_file(large, mimetype="text/plain", conditional=True)

    async with app.test_app() as test_app, trio.open_nursery() as nursery:
        client = test_app.test_client()
        for _ in range(20):  # more than there are threads for files

            async def stall() -> None:
                async with client.request("/") as connection:
                    connection.stall()
                    await connection.send_complete()
                    await trio.sleep_forever()

            nursery.start_soon(stall)
        await trio.testing.wait_all_tasks_blocked(0.01)
        response = await client.get("/", headers={"Range": "bytes=-3"})
        assert await response.get_data() == b"end"
        nursery.cancel_scope.cancel()


async def test_the_client_sees_that_a_file_became_shorter(large: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> Response:
        response = await send_file(large, mimetype="text/plain")
        os.truncate(large, PIECE)
        return response

    app.config["PROPAGATE_EXCEPTIONS"] = False
    with pytest.raises(HTTPDisconnectError):
        await app.test_client().get("/")
    assert "became shorter while it was sent" in caplog.text


async def test_a_file_that_was_replaced_is_not_sent_under_the_headers_of_another(large: Path) -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> Response:
        response = await send_file(large, mimetype="text/plain")
        new = large.with_name("new")
        new.write_bytes(b"x" * large.stat().st_size)
        new.replace(large)
        return response

    app.config["PROPAGATE_EXCEPTIONS"] = False
    with pytest.raises(HTTPDisconnectError):
        await app.test_client().get("/")


async def test_head_reads_no_large_file(large: Path) -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> Response:
        response = await send_file(large, mimetype="text/plain")
        if request.method == "HEAD":
            large.unlink()
        return response

    response = await app.test_client().head("/")
    assert (response.status_code, response.headers["Content-Length"]) == (200, str(3 * PIECE + 3))
