"""Files as responses: their headers, names, sources, and names that lead nowhere."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from zlib import adler32

import pytest
import trio
from werkzeug.exceptions import Forbidden, NotFound

from triows import Response, Triows, safe_join, send_file, send_from_directory
from triows.testing import TestClient
from triows.web.file_body import PIECE

WHEN = 1_700_000_000.25
LAST_MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.fixture
def app() -> Triows:
    return Triows(__name__)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_text("0123456789")
    os.utime(path, (WHEN, WHEN))
    return path


async def sent(app: Triows, *args: Any, **options: Any) -> Response:
    async with app.app_context():
        return await send_file(*args, **options)


# send_file, paths


@pytest.mark.parametrize("kind", [str, Path, os.fsencode, trio.Path])
async def test_a_path_is_sent_with_what_is_known_of_it(app: Triows, file: Path, kind: Any) -> None:
    response = await sent(app, kind(str(file)))
    assert await response.get_data() == b"0123456789"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Content-Length"] == "10"
    assert response.headers["Last-Modified"] == LAST_MODIFIED
    assert response.headers["ETag"] == f'"{WHEN}-10-{adler32(bytes(file))}"'  # Quart's, so that caches go on to fit
    assert response.headers["Cache-Control"] == "public, max-age=43200"
    assert response.expires is not None
    assert timedelta(hours=11, minutes=59) < response.expires - datetime.now(UTC) <= timedelta(hours=12)
    assert "Content-Disposition" not in response.headers
    assert "Accept-Ranges" not in response.headers


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 2 * PIECE])
async def test_files_of_any_size_are_sent_whole(app: Triows, tmp_path: Path, size: int) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(os.urandom(size))
    response = await sent(app, path)
    assert response.content_length == size
    assert response.is_streamed is (size > PIECE)
    assert await response.get_data() == path.read_bytes()


async def test_a_path_may_be_relative_to_the_working_directory(
    app: Triows, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file.open("ab") as out:
        out.truncate(PIECE + 1)
    monkeypatch.chdir(file.parent)
    response = await sent(app, "file.txt")
    monkeypatch.chdir("/")
    assert len(await response.get_data()) == PIECE + 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.html", "text/html; charset=utf-8"), ("a.mp4", "video/mp4"), ("a.unheard-of", "application/octet-stream")],
)
async def test_the_type_is_guessed_from_the_name(app: Triows, tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / name).touch()
    assert (await sent(app, tmp_path / name)).headers["Content-Type"] == expected


async def test_the_type_may_be_given(app: Triows, file: Path) -> None:
    assert (await sent(app, file, mimetype="application/bob")).headers["Content-Type"] == "application/bob"


async def test_the_name_of_an_attachment_gives_the_type(app: Triows, file: Path) -> None:
    response = await sent(app, file, attachment_filename="page.html")
    assert response.mimetype == "text/html"
    assert "Content-Disposition" not in response.headers


@pytest.mark.parametrize("last_modified", [datetime(2015, 10, 10, tzinfo=UTC), 1444435200, 1444435200.5])
async def test_last_modified_may_be_given(app: Triows, file: Path, last_modified: Any) -> None:
    response = await sent(app, file, last_modified=last_modified)
    assert response.last_modified == datetime(2015, 10, 10, tzinfo=UTC)


async def test_a_time_beyond_all_dates_is_the_last_date(
    app: Triows, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fstat = os.fstat

    def late(descriptor: int) -> os.stat_result:
        status = list(fstat(descriptor))
        status[8] = 10**12
        return os.stat_result(status)

    monkeypatch.setattr(os, "fstat", late)
    response = await sent(app, file)
    assert response.headers["Last-Modified"] == "Fri, 31 Dec 9999 23:59:59 GMT"
    assert await response.get_data() == b"0123456789"


async def test_etags_may_be_left_out(app: Triows, file: Path) -> None:
    assert "ETag" not in (await sent(app, file, add_etags=False)).headers


@pytest.mark.parametrize(
    ("setting", "header"),
    [
        (None, "public"),
        (0, "public, max-age=0"),
        (60, "public, max-age=60"),
        (1.5 * 60, "public, max-age=90"),
        (timedelta(minutes=1), "public, max-age=60"),
    ],
)
async def test_the_setting_says_for_how_long_caches_keep_it(app: Triows, file: Path, setting: Any, header: str) -> None:
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = setting
    response = await sent(app, file)
    assert response.headers["Cache-Control"] == header
    assert ("Expires" in response.headers) is (setting is not None)


async def test_cache_timeout_comes_before_the_setting(app: Triows, file: Path) -> None:
    assert (await sent(app, file, cache_timeout=5)).cache_control.max_age == 5
    assert (await sent(app, file, cache_timeout=0)).cache_control.max_age == 0


async def test_the_app_may_decide_by_the_path(file: Path) -> None:
    asked = []

    class App(Triows):
        def get_send_file_max_age(self, filename: str | None) -> int | None:
            asked.append(filename)
            return 7

    assert (await sent(App(__name__), file)).cache_control.max_age == 7
    assert asked == [str(file)]


async def test_the_apps_response_class_is_used(app: Triows, file: Path) -> None:
    class MyResponse(Response):
        pass

    app.response_class = MyResponse
    assert type(await sent(app, file)) is MyResponse


async def test_a_missing_file_is_an_error_of_the_view(app: Triows, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await sent(app, tmp_path / "missing")
    with pytest.raises(OSError, match="is no regular file"):
        await sent(app, tmp_path)


async def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error(
    app: Triows, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fstat = os.fstat

    def longer(descriptor: int) -> os.stat_result:
        status = list(fstat(descriptor))
        status[6] += 1
        return os.stat_result(status)

    monkeypatch.setattr(os, "fstat", longer)
    with pytest.raises(OSError, match="became shorter while it was read"):
        await sent(app, file)


async def test_an_app_is_needed(file: Path) -> None:
    with pytest.raises(RuntimeError, match=r"send_file\(\) needs a request"):
        await send_file(file)
    with pytest.raises(RuntimeError, match=r"send_from_directory\(\) needs a request"):
        await send_from_directory(file.parent, "file.txt")


# The name of an attachment (RFC 6266)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("send.html", "attachment; filename=send.html"),
        ("two words.txt", 'attachment; filename="two words.txt"'),
        ('quo"te.txt', 'attachment; filename="quo\\"te.txt"'),
        ("naïve.txt", "attachment; filename=naive.txt; filename*=UTF-8''na%C3%AFve.txt"),
        ("€ 5%.txt", "attachment; filename=\" 5%.txt\"; filename*=UTF-8''%E2%82%AC%205%25.txt"),
        ("two\r\nlines\x7f.txt", "attachment; filename=two__lines_.txt"),
        ("half \udce9.txt", 'attachment; filename="half ?.txt"'),
    ],
)
async def test_an_attachment_has_a_name(app: Triows, file: Path, name: str, header: str) -> None:
    response = await sent(app, file, "text/plain", as_attachment=True, attachment_filename=name)
    assert response.headers["Content-Disposition"] == header
    assert response.wire_headers()


async def test_an_attachment_has_the_name_of_its_file(app: Triows, file: Path) -> None:
    response = await sent(app, file, as_attachment=True)
    assert response.headers["Content-Disposition"] == "attachment; filename=file.txt"


async def test_an_attachment_without_a_name_has_none(app: Triows) -> None:
    response = await sent(app, BytesIO(b"data"), "text/plain", as_attachment=True)
    assert response.headers["Content-Disposition"] == "attachment"


# File objects


async def test_bytes_in_memory_are_sent_from_their_beginning(app: Triows) -> None:
    source = BytesIO(b"something")
    source.read(4)
    response = await sent(app, source, mimetype="text/plain")
    assert await response.get_data() == b"something"
    assert response.content_length == 9
    assert response.headers["Cache-Control"] == "public"
    assert "ETag" not in response.headers
    assert not source.closed


async def test_an_open_file_is_sent_and_closed(app: Triows, file: Path) -> None:
    source = file.open("rb")
    source.read(4)
    response = await sent(app, source, mimetype="text/plain")
    assert response.content_length == 10
    assert await response.get_data() == b"0123456789"
    assert source.closed


async def test_a_temporary_file_and_one_of_trio_are_sent(app: Triows, file: Path) -> None:
    with tempfile.TemporaryFile() as source:
        source.write(b"temporary")
        assert await (await sent(app, source, "text/plain")).get_data() == b"temporary"
    response = await sent(app, await trio.open_file(file, "rb"), "text/plain")
    assert await response.get_data() == b"0123456789"


async def test_a_pipe_is_sent_to_its_end_without_a_length(app: Triows) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe")
    os.close(writer)
    source = os.fdopen(reader, "rb")
    response = await sent(app, source, "text/plain")
    assert response.content_length is None
    assert await response.get_data() == b"through a pipe"
    assert source.closed


async def test_a_file_object_needs_a_name_or_a_type(app: Triows) -> None:
    with pytest.raises(ValueError, match="give mimetype= or attachment_filename="):
        await sent(app, BytesIO(b"something"))
    assert (await sent(app, BytesIO(b"{}"), attachment_filename="a.json")).mimetype == "application/json"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (StringIO("text"), "cannot send the text file .*; open it in binary mode"),
        (5, "cannot send int 5; give a path or a file object"),
        (None, "cannot send NoneType None"),
    ],
)
async def test_what_is_no_file_is_refused(app: Triows, source: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        await sent(app, source, "text/plain")


# Conditions


@asynccontextmanager
async def serving(app: Triows, source: Any, **options: Any) -> AsyncIterator[TestClient]:
    @app.get("/")
    async def view() -> Response:
        return await send_file(source, "text/plain", conditional=True, **options)

    yield app.test_client()


async def test_conditions_are_answered_if_wanted(app: Triows, file: Path) -> None:
    async with serving(app, file) as client:
        response = await client.get("/")
        assert response.headers["Accept-Ranges"] == "bytes"
        etag = response.headers["ETag"]
        assert (await client.get("/", headers={"If-None-Match": etag})).status_code == 304
        response = await client.get("/", headers={"Range": "bytes=2-3"})
        assert (response.status_code, await response.get_data()) == (206, b"23")


async def test_conditions_need_a_request(app: Triows, file: Path) -> None:
    with pytest.raises(RuntimeError, match="'request' is only available"):
        await sent(app, file, conditional=True)


async def test_ranges_of_an_open_file_are_read_from_it(app: Triows, file: Path) -> None:
    source = file.open("rb")
    async with serving(app, source) as client:
        response = await client.get("/", headers={"Range": "bytes=-2"})
        assert (response.status_code, await response.get_data()) == (206, b"89")
    assert source.closed


@pytest.mark.parametrize("headers", [{"Range": "bytes=10-"}, {"If-Modified-Since": LAST_MODIFIED}])
async def test_an_open_file_that_is_not_sent_is_closed(app: Triows, file: Path, headers: dict[str, str]) -> None:
    source = file.open("rb")
    async with serving(app, source, last_modified=WHEN) as client:
        assert (await client.get("/", headers=headers)).status_code in (304, 416)
    assert source.closed


async def test_a_pipe_has_no_ranges(app: Triows) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"0123456789")
    os.close(writer)
    async with serving(app, os.fdopen(reader, "rb")) as client:
        response = await client.get("/", headers={"Range": "bytes=-2"})
        assert (response.status_code, await response.get_data()) == (200, b"0123456789")
        assert "Accept-Ranges" not in response.headers


# X-Sendfile


async def test_the_server_in_front_may_send_it(app: Triows, tmp_path: Path) -> None:
    path = tmp_path / "ä 100%.bin"
    path.write_bytes(b"x" * (PIECE + 1))
    app.config["USE_X_SENDFILE"] = True
    async with serving(app, path, as_attachment=True) as client:
        response = await client.get("/", headers={"Range": "bytes=0-1"})
        assert (response.status_code, await response.get_data()) == (200, b"")
        assert response.headers["X-Sendfile"] == f"{tmp_path}/%C3%A4%20100%25.bin"
        assert response.headers["Content-Length"] == "0"
        assert response.headers["Content-Disposition"].startswith("attachment")
        etag = response.headers["ETag"]
        assert (await client.get("/", headers={"If-None-Match": etag})).status_code == 304


# send_from_directory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "file.txt").write_text("file")
    (folder / "inner" / "deep.txt").write_text("deep")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "folder-beside").mkdir()
    (tmp_path / "folder-beside" / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to("inner/deep.txt")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "out").symlink_to("..")
    (folder / "beside").symlink_to("../folder-beside")
    (folder / "broken").symlink_to("nothing")
    (folder / "circle").symlink_to("circle")
    os.mkfifo(folder / "fifo")
    return folder


async def found(app: Triows, folder: Path | str, name: str) -> bytes:
    async with app.test_request_context("/"):
        return await (await send_from_directory(folder, name)).get_data()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("file.txt", b"file"),
        ("inner/deep.txt", b"deep"),
        ("inner/../file.txt", b"file"),
        ("./file.txt", b"file"),
        ("link.txt", b"deep"),
    ],
)
async def test_names_in_the_directory_are_found(app: Triows, folder: Path, name: str, content: bytes) -> None:
    assert await found(app, folder, name) == content


@pytest.mark.parametrize(
    "name",
    [
        "missing",
        "",
        ".",
        "inner",
        "file.txt/more",
        "../secret.txt",
        "inner/../../secret.txt",
        "..\\secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "C:\\Windows\\win.ini",
        "C:secret.txt",
        "\\\\host\\share",
        "file.txt\0",
        "\0",
        "half\udc80\ud800",
        "x" * 300,
        "x/" * 3000,
        "out.txt",
        "out/secret.txt",
        "beside/secret.txt",
        "broken",
        "circle",
        "fifo",
        "NUL",
        "aux.txt",
        "COM1",
    ],
)
async def test_other_names_are_not_found(app: Triows, folder: Path, name: str) -> None:
    with pytest.raises(NotFound):
        await found(app, folder, name)


async def test_a_directory_may_itself_be_a_link(app: Triows, folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert await found(app, link, "inner/deep.txt") == b"deep"
    assert await found(app, f"{link}/", "link.txt") == b"deep"
    assert await found(app, "/", f"{str(folder)[1:]}/file.txt") == b"file"


async def test_a_directory_may_be_relative(app: Triows, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert await found(app, "inner", "deep.txt") == b"deep"
    assert await found(app, "", "file.txt") == b"file"
    with pytest.raises(NotFound):
        await found(app, "inner", "../file.txt")


async def test_a_missing_directory_has_nothing(app: Triows, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await found(app, tmp_path / "nowhere", "file.txt")


async def test_a_missing_file_needs_no_app(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await send_from_directory(tmp_path, "missing")
    with pytest.raises(NotFound):
        await send_from_directory(tmp_path, "../missing")


@pytest.mark.parametrize(
    ("error", "expected"), [(PermissionError(13, "no"), Forbidden), (OSError(5, "broken"), OSError)]
)
async def test_a_file_that_may_not_be_read_is_forbidden_and_one_that_cannot_be_is_an_error(
    app: Triows, folder: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, expected: type[Exception]
) -> None:
    def fail(*args: Any) -> int:
        raise error

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(expected):
        await found(app, folder, "file.txt")


async def test_its_options_are_those_of_send_file(app: Triows, folder: Path) -> None:
    async with app.test_request_context("/", headers={"Range": "bytes=0-1"}):
        response = await send_from_directory(
            folder, "file.txt", mimetype="text/x", as_attachment=True, attachment_filename="a", cache_timeout=3
        )
        assert (response.status_code, await response.get_data()) == (206, b"fi")
        assert response.mimetype == "text/x"
        assert response.headers["Content-Disposition"] == "attachment; filename=a"
        assert response.cache_control.max_age == 3
        whole = await send_from_directory(folder, "file.txt", conditional=False, add_etags=False, last_modified=WHEN)
        assert (whole.status_code, await whole.get_data()) == (200, b"file")
        assert "ETag" not in whole.headers
        assert whole.headers["Last-Modified"] == LAST_MODIFIED


# safe_join


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a"], "/srv/a"),
        (["a", "b"], "/srv/a/b"),
        (["a/../b"], "/srv/b"),
        ([".."], None),
        (["a", "../.."], None),
        (["/a"], None),
        (["a", "/b"], None),
    ],
)
def test_names_are_joined_if_they_stay_below(names: list[str], expected: str | None) -> None:
    assert safe_join("/srv", *names) == expected
    assert safe_join(Path("/srv"), *names) == expected
