"""An HTTP request."""

from collections.abc import AsyncIterator
from typing import Any, assert_type

import trio
from werkzeug.datastructures import Authorization, CombinedMultiDict, Headers, MultiDict

from triows import Body, Disconnect, FileStorage, Request, request

assert_type(request.method, str)
assert_type(request.path, str)
assert_type(request.url, str)
assert_type(request.host, str)
assert_type(request.scheme, str)
assert_type(request.headers, Headers)
assert_type(request.args, MultiDict[str, str])
assert_type(request.args.get("page", 1, type=int), int)
assert_type(request.cookies.get("name"), str | None)
assert_type(request.authorization, Authorization | None)
assert_type(request.remote_addr, str | None)
assert_type(request.peer, tuple[str, int] | None)
assert_type(request.view_args, dict[str, Any] | None)
assert_type(request.endpoint, str | None)
assert_type(request.blueprint, str | None)
assert_type(request.disconnect, Disconnect | None)
assert_type(request.nursery, trio.Nursery)
assert_type(request.scope, dict[str, Any])
assert_type(request.content_length, int | None)
assert_type(request.max_content_length, int | None)
assert_type(request.max_form_memory_size, int | None)
assert_type(request.max_form_parts, int | None)

request.max_content_length = None
request.max_form_parts = 10
request.max_content_length = "1 MiB"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
request.disconnect = None  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
request.send("text")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


async def the_body_is_awaited() -> None:
    assert_type(request.body, Body)
    assert_type(await request.body, bytes)
    assert_type(await request.body.read(), bytes)
    assert_type(request.body.clear(), None)
    async for piece in request.body:
        assert_type(piece, bytes)
    assert_type(await request.get_data(), bytes)
    assert_type(await request.get_data(as_text=True), str)
    assert_type(await request.get_data(cache=False, parse_form_data=True), bytes)
    assert_type(await request.data, bytes)
    assert_type(await request.get_json(force=True, silent=True, cache=False), Any)
    assert_type(await request.json, Any)
    request.get_json()["key"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    list(request.body)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    request.get_data()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    (await request.get_data()).encode()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await request.get_json(loads=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def so_are_forms() -> None:
    form = await request.form
    assert_type(form, MultiDict[str, str])
    assert_type(form["name"], str)
    files = await request.files
    assert_type(files, MultiDict[str, FileStorage])
    assert_type(files["upload"].filename, str | None)
    assert_type(await files["upload"].save("/tmp/upload"), None)
    assert_type(await request.values, CombinedMultiDict[str, str])
    request.form["name"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    await files["upload"].save(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def pieces(body: Body) -> AsyncIterator[bytes]:
    return aiter(body)


class OwnRequest(Request):
    max_form_parts = 5

    def on_json_loading_failed(self, error: Exception) -> Any:
        return {}
