"""Forms of requests: how they are read, and what is bad input."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from triows import Request, Triows, request
from triows.web.forms import FileStorage as FormFile
from triows.web.forms import MultipartForm

from .requests import make_request

MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
    b"%s\r\n--B--\r\n"
)


async def test_urlencoded_forms_are_parsed() -> None:
    request = make_request(b"a=1&a=%C3%A9", b"&b=+x", content_type="application/x-www-form-urlencoded", target="/?q=2")
    form = await request.form
    assert form.getlist("a") == ["1", "é"]
    assert form["b"] == " x"
    assert not await request.files
    assert (await request.values)["q"] == "2"


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 11, 10_000])
async def test_multipart_forms_are_parsed_from_any_pieces(step: int) -> None:
    body = MULTIPART % b"content"
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    request = make_request(*pieces, content_type="multipart/form-data; boundary=B")
    assert (await request.form)["field"] == "value"
    file = (await request.files)["file"]
    assert (file.filename, file.content_type, file.read()) == ("a.txt", "text/plain", b"content")
    await request.close()


async def test_large_files_go_to_disk_and_are_saved(tmp_path: Path) -> None:
    content = b"0123456789" * 100_000
    request = make_request(MULTIPART % content, content_type="multipart/form-data; boundary=B")
    file = (await request.files)["file"]
    assert not isinstance(file.stream, BytesIO)
    await file.save(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == content
    await request.close()


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=B"])
async def test_broken_multipart_forms_are_bad_requests(content_type: str) -> None:
    with pytest.raises(BadRequest):
        await make_request((MULTIPART % b"x")[:-30], content_type=content_type).form


@pytest.mark.parametrize("step", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--B--",
        b"--B--\r\n",
        b"\r\n--B--\r\n",
        b"--B-- \t\r\n",
        b"preamble\r\n--B--\r\n",
        b"--B--\r\nepilogue",
        b"--B\r\n--B--\r\n",
        b"--B\r\n--B--",
        b"--B \t\r\n--B-- \r\n",
        b"--B\t\r\n\r\n--B--",
        b"--B\n--B--\n",
        b"preamble\r\n--B\r\n--B--\r\n",
        b"--B\r\n--B--\r\n\r\nepilogue\r\n\r\n",
        b"--B\r\n\r\n--B--\r\n",
        b"--B\r\n\r\n--B--\r\n\r\n",
        b"--B\r\n--B\r\n--B--\r\n",
    ],
)
async def test_a_multipart_body_without_parts_is_an_empty_form(body: bytes, step: int) -> None:
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    request = make_request(*pieces, content_type="multipart/form-data; boundary=B")
    assert [*(await request.form)] == []
    assert [*(await request.files)] == []


@pytest.mark.parametrize("step", [1, 3, 7, 10_000])
@pytest.mark.parametrize("end", [b"--B\r\n--B--\r\n", b"--B\r\n\r\n--B--\r\n\r\n"])
async def test_a_delimiter_after_the_last_part_begins_no_other(end: bytes, step: int) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n' + end
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    request = make_request(*pieces, content_type="multipart/form-data; boundary=B")
    assert (await request.form).to_dict(flat=False) == {"field": ["value"]}


@pytest.mark.parametrize(
    "body",
    [
        b"--B",
        b"--B\r\n",
        b"--B\r\n\r\n",
        b"\r\n",
        b"text",
        b"--C\r\n--C--\r\n",
        b"--B\r\n\r\nvalue\r\n--B--\r\n",
        b"--B\r\n\r\n\r\n--B--\r\n",
        b"--B\r\nx--B--\r\n",
    ],
)
async def test_a_multipart_body_without_an_end_or_with_a_part_that_is_none_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        await make_request(body, content_type="multipart/form-data; boundary=B").form


@pytest.mark.parametrize("disposition", [b"form-data", b'form-data; filename="a.txt"'])
async def test_a_part_without_a_name_is_a_bad_request(disposition: bytes) -> None:
    body = b"--B\r\nContent-Disposition: %b\r\n\r\nx\r\n--B--\r\n" % disposition
    with pytest.raises(BadRequest):
        await make_request(body, content_type="multipart/form-data; boundary=B").form


async def test_form_fields_are_bounded() -> None:
    request = make_request(MULTIPART % b"x", content_type="multipart/form-data; boundary=B")
    request.max_form_memory_size = 4
    with pytest.raises(RequestEntityTooLarge):
        await request.form


async def test_form_parts_are_bounded() -> None:
    request = make_request(MULTIPART % b"x", content_type="multipart/form-data; boundary=B")
    request.max_form_parts = 1
    with pytest.raises(RequestEntityTooLarge):
        await request.form


@pytest.mark.parametrize("multipart", [False, True])
async def test_forms_are_of_the_classs_own_kind_of_dict(multipart: bool) -> None:
    class Lenient(MultiDict[str, Any]):
        pass

    class LenientRequest(Request):
        parameter_storage_class = Lenient  # type: ignore[assignment]

    app = Triows(__name__)
    app.request_class = LenientRequest

    @app.post("/")
    async def view() -> list[str]:
        return [type(each).__name__ for each in (request.args, await request.form, await request.files)]

    files = {"file": FileStorage(BytesIO(b"x"), "x")} if multipart else None
    response = await app.test_client().post("/?a=b", form={"a": "b"}, files=files)
    assert await response.get_json() == ["Lenient"] * 3


@pytest.mark.parametrize("size", range(1, 60))
async def test_a_delimiter_behind_a_close_delimiter_does_not_let_the_line_end_into_the_value(size: int) -> None:
    head = b'--b0undary\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    data = head + b"value\r\n--b0undary--m--b0undary\r\nContent-D: x"

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    form = MultipartForm(b"b0undary", max_field_size=300, max_parts=10)
    await form.read(pieces())
    assert form.fields == [("a", "value")]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("padding", [b" ", b"\t \t", b" " * 40, b"\f"])
@pytest.mark.parametrize("rest", [b"\r\n--B--\r\n", b"--B--", b"\r--B--\r\n\r\n"])
async def test_white_space_behind_a_delimiter_does_not_let_the_line_end_into_the_value(
    rest: bytes, padding: bytes, size: int
) -> None:
    data = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n--B' + padding + b"\r\n" + rest

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    form = MultipartForm(b"B", max_field_size=300, max_parts=10)
    await form.read(pieces())
    assert form.fields == [("a", "value")]


async def test_a_file_may_be_loaded_from_another(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_bytes(b"more" * 10_000)
    file = FormFile(BytesIO())
    await file.load(tmp_path / "other.txt", buffer_size=1000)
    file.seek(0)
    assert (file.filename, file.read()) == ("other.txt", b"more" * 10_000)


async def test_a_subclass_of_the_request_may_do_more_when_it_is_closed(app: Triows) -> None:
    closed = []

    class Mine(Request):
        async def close(self) -> None:
            closed.append(self.path)
            await super().close()

    app.request_class = Mine
    app.get("/", endpoint="view")(lambda: "")
    await app.test_client().get("/")
    assert closed == ["/"]
