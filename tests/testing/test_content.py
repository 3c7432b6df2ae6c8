"""What a test gives to the client arrives as from a real client, text beyond ASCII too."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from werkzeug.datastructures import Headers, MultiDict

from triows import Triows, request, websocket
from triows.testing import (
    FileStorage,
    make_test_body_with_headers,
    make_test_headers_path_and_query_string,
    make_test_scope,
)


@pytest.fixture
def app(app: Triows) -> Triows:
    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    async def see(path: str) -> dict[str, Any]:
        files = [
            [name, file.filename, file.content_type, file.read().decode("latin-1")]
            for name, file in (await request.files).items(multi=True)
        ]
        return {
            "path": request.path,
            "query": request.query_string.decode(),
            "args": request.args.to_dict(flat=False),
            "url": request.url,
            "host": request.headers["Host"],
            "user": request.authorization and [request.authorization.username, request.authorization.password],
            "form": (await request.form).to_dict(flat=False),
            "files": files,
            "type": request.content_type,
            "data": (await request.get_data()).decode("latin-1"),
        }

    @app.websocket("/socket/<path:path>")
    async def socket(path: str) -> None:
        await websocket.send_json([websocket.path, websocket.host, websocket.args.to_dict(), websocket.subprotocols])

    return app


async def seen(app: Triows, path: str = "/", method: str = "GET", **options: Any) -> dict[str, Any]:
    response = await app.test_client().open(path, method=method, **options)
    assert response.status_code == 200
    found: dict[str, Any] = await response.get_json()
    return found


class Kind(str, enum.Enum):  # noqa: UP042 - whose str() is not its text
    NAME = "name"
    VALUE = "value"
    POST = "POST"


async def test_members_of_enums_are_the_text_that_they_are(app: Triows) -> None:
    one = {Kind.NAME: Kind.VALUE}
    auth = (Kind.NAME, Kind.VALUE)
    found = await seen(app, query_string=one, method=Kind.POST, form=one, auth=auth, subdomain=Kind.VALUE)
    assert found["args"] == found["form"] == {"name": ["value"]}
    assert (found["user"], found["host"]) == (["name", "value"], "value.localhost")
    found = await seen(app, method="POST", form=one, files={"file": FileStorage(BytesIO(), "name")})
    assert found["form"] == {"name": ["value"]}
    client = app.test_client()
    client.set_cookie("localhost", Kind.NAME, Kind.VALUE)
    assert [(cookie.name, cookie.value) for cookie in client.cookie_jar or ()] == [("name", "value")]
    async with app.test_request_context(Kind.NAME, method=Kind.POST):
        assert (request.path, request.method) == ("/name", "POST")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/ü/→ x", "/ü/→ x"),
        ("/%C3%BC/a%2Fb", "/ü/a/b"),
        ("/100%25", "/100%"),
        ("/a;b=c,d:@&=+$!*'()~", "/a;b=c,d:@&=+$!*'()~"),
        ('/[]|^`{}"<>\\', '/[]|^`{}"<>\\'),
        ("/a%3Fb%23c", "/a?b#c"),
        ("/a#fragment", "/a"),
        ("relative", "/relative"),
        ("", "/"),
        ("?q=1", "/"),
        ("#fragment", "/"),
    ],
)
async def test_a_path_arrives_as_text(app: Triows, given: str, path: str) -> None:
    assert (await seen(app, given))["path"] == path


@pytest.mark.parametrize(
    ("query", "args"),
    [
        ("x=ü&y=→+z%20", {"x": ["ü"], "y": ["→ z "]}),
        ("?x=1", {"?x": ["1"]}),
        (b"x=%C3%BC&y=\xc3\xbc", {"x": ["ü"], "y": ["ü"]}),
        (
            {"ü": "→ &=+%#", "list": ["1", "→"], "number": 1, "none": None},
            {"ü": ["→ &=+%#"], "list": ["1", "→"], "number": ["1"]},
        ),
        ([("a", "1"), ("a", "ü"), ("b", None)], {"a": ["1", "ü"]}),
        (MultiDict([("a", "1"), ("a", "ü")]), {"a": ["1", "ü"]}),
        ({}, {}),
        ("", {}),
    ],
)
async def test_a_query_arrives_in_each_of_its_forms(app: Triows, query: Any, args: dict[str, list[str]]) -> None:
    assert (await seen(app, "/a", query_string=query))["args"] == args
    if isinstance(query, str):
        assert (await seen(app, f"/a?{query}"))["args"] == args
    async with app.test_request_context("/a", query_string=query):
        assert request.args.to_dict(flat=False) == args


@pytest.mark.parametrize(
    ("options", "host", "url"),
    [
        ({}, "localhost", "http://localhost/a"),
        ({"path": "http://example.com:8000/a"}, "example.com:8000", "http://example.com:8000/a"),
        ({"path": "http://bücher.example:8000/a"}, "xn--bcher-kva.example:8000", "http://bücher.example:8000/a"),
        ({"path": "http://faß.example/a"}, "xn--fa-hia.example", None),
        ({"path": "http://[::1]:8000/a"}, "[::1]:8000", "http://[::1]:8000/a"),
        ({"path": "https://me@example.com/a"}, "example.com", "https://example.com/a"),
        ({"subdomain": "api"}, "api.localhost", "http://api.localhost/a"),
        ({"subdomain": "bücher"}, "xn--bcher-kva.localhost", "http://bücher.localhost/a"),
        ({"subdomain": ""}, "localhost", "http://localhost/a"),
        ({"headers": {"Host": "other.example"}}, "other.example", "http://other.example/a"),
        ({"path": "http://example.com/a", "headers": {"host": "other.example"}}, "other.example", None),
        ({"scheme": "https"}, "localhost", "https://localhost/a"),
    ],
)
async def test_the_host_is_that_of_a_real_client(
    app: Triows, options: dict[str, Any], host: str, url: str | None
) -> None:
    options = {"path": "/a", **options}
    found = await seen(app, **options)
    assert found["host"] == host
    assert url is None or found["url"] == url
    path = options.pop("path")
    async with app.test_request_context(path, **options):
        assert request.headers["Host"] == host


async def test_the_host_is_below_the_server_name(app: Triows) -> None:
    app.config["SERVER_NAME"] = "example.com"
    assert (await seen(app, "/a", subdomain="api"))["host"] == "api.example.com"
    assert (await seen(app, "/a"))["host"] == "example.com"


async def test_the_user_of_a_url_is_sent_as_credentials(app: Triows) -> None:
    assert (await seen(app, "http://me:p%40ss%C3%BC@example.com/"))["user"] == ["me", "p@ssü"]
    assert (await seen(app, "http://me:secret@example.com/", auth=("ü", "→:")))["user"] == ["ü", "→:"]


FORM = {"ü→": "é &=+%\r\nx", "list": ["1", "→"], "number": 1, "none": None}
FIELDS = {"ü→": ["é &=+%\r\nx"], "list": ["1", "→"], "number": ["1"]}


@pytest.mark.parametrize(
    "form", [FORM, [("ü→", FORM["ü→"]), ("list", "1"), ("list", "→"), ("number", 1)], MultiDict(FORM)]
)
@pytest.mark.parametrize("multipart", [False, True])
async def test_a_form_arrives_in_each_of_its_forms(app: Triows, form: Any, multipart: bool) -> None:
    files = {"f": FileStorage(BytesIO(b"x"), "x")} if multipart else None
    assert (await seen(app, method="POST", form=form, files=files))["form"] == FIELDS


@pytest.mark.parametrize(
    "name", ["naïve →.txt", 'with "quotes".txt', "back\\slash.txt", "semi;colon=x.txt", "plain.txt"]
)
async def test_a_files_name_arrives_whole(app: Triows, name: str) -> None:
    files = {"fü": FileStorage(BytesIO(b"\xff\r\n--"), filename=name)}
    [[field, filename, kind, content]] = (await seen(app, method="POST", files=files))["files"]
    assert (field, filename, kind, content) == ("fü", name, "text/plain", "\xff\r\n--")


async def test_a_name_does_not_break_out_of_its_header(app: Triows) -> None:
    files = {'a"\r\nX-B: c': FileStorage(BytesIO(b"x"), filename='b"\r\nX-C: d')}
    [[field, filename, *_]] = (await seen(app, method="POST", files=files, form={'e"\r\n\r\nf': "1"}))["files"]
    assert "\n" not in field
    assert "\n" not in filename


@pytest.mark.parametrize(
    ("filename", "given", "kind"),
    [("a.png", None, "image/png"), ("a", None, None), ("a.png", "text/x-mine", "text/x-mine")],
)
async def test_a_file_has_the_content_type_of_its_name(
    app: Triows, filename: str, given: str | None, kind: str
) -> None:
    files = {"f": FileStorage(BytesIO(b"x"), filename=filename, content_type=given)}
    assert (await seen(app, method="POST", files=files))["files"][0][2] == kind


async def test_several_files_may_have_one_name(app: Triows) -> None:
    def both() -> Iterator[FileStorage]:
        yield FileStorage(BytesIO(b"1"), filename="a.txt")
        yield FileStorage(BytesIO(b"2"), filename="b.txt")

    for files in ({"f": [*both()]}, {"f": both()}, MultiDict([("f", file) for file in both()])):
        found = (await seen(app, method="POST", files=files))["files"]
        assert [file[1] for file in found] == ["a.txt", "b.txt"]


@pytest.mark.parametrize("file", [b"content", "content", ("a.txt", b"x"), BytesIO(b"x")])
async def test_what_is_no_file_is_refused(app: Triows, file: Any) -> None:
    with pytest.raises(TypeError, match=r"the file 'f' is .* it is a triows\.FileStorage"):
        await app.test_client().post("/", files={"f": file})


async def test_an_empty_form_of_files_is_an_empty_form(app: Triows) -> None:
    found = await seen(app, method="POST", files={})
    assert (found["form"], found["files"]) == ({}, [])
    assert found["type"].startswith("multipart/form-data")


async def test_text_arrives_as_utf8(app: Triows) -> None:
    assert (await seen(app, method="POST", data="ü→"))["data"] == "ü→".encode().decode("latin-1")
    found = await seen(app, method="POST", json={"ü": "→"})
    assert found["type"] == "application/json"
    async with app.test_request_context("/", method="POST", json={"ü": "→"}):
        assert await request.get_json() == {"ü": "→"}
    async with app.test_request_context("/", method="POST", form={"ü": ["→", "é"]}):
        assert (await request.form).getlist("ü") == ["→", "é"]


async def test_a_handshake_goes_where_a_request_would_go(app: Triows) -> None:
    options: dict[str, Any] = {"query_string": {"q": "→"}, "subprotocols": ["v2", "v1"]}
    async with app.test_client().websocket("ws://bücher.example/socket/ü →#x", **options) as ws:
        assert await ws.receive_json() == ["/socket/ü →", "xn--bcher-kva.example", {"q": "→"}, ["v2", "v1"]]


def test_the_helpers_for_scopes_take_the_same(app: Triows) -> None:
    headers, path, query = make_test_headers_path_and_query_string(app, "/ü", {"X-A": "→"}, [("q", "→")])
    assert (path, query) == ("/ü", b"q=%E2%86%92")
    scope = make_test_scope("http", path, "GET", headers, query, "http", "", "1.1")
    assert (b"x-a", "→".encode()) in scope["headers"]
    body, headers = make_test_body_with_headers(form=[("a", "ü"), ("b", None)])
    assert (body, headers["Content-Type"]) == (b"a=%C3%BC", "application/x-www-form-urlencoded")
    assert isinstance(headers, Headers)
