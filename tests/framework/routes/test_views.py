"""The functions of views: which parameters they take, and how they are replaced."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any
from unittest import mock

import pytest

from triows import Request, Triows, WebSocket, request, websocket

if TYPE_CHECKING:
    from somewhere import Unknown  # a name that exists for type checkers only


async def get(app: Triows, path: str = "/") -> Any:
    return await (await app.test_client().get(path)).get_json()


# Parameters in place of the globals


async def test_a_websocket_is_given_to_an_annotated_parameter() -> None:
    app = Triows("tested")

    @app.websocket("/<int:room>")
    async def handler(socket: WebSocket, room: int) -> None:
        assert socket is websocket.current()
        await socket.send_json(room)

    async with app.test_client().websocket("/3") as ws:
        assert await ws.receive_json() == 3


async def test_a_request_is_given_to_an_annotated_parameter() -> None:
    app = Triows("tested")

    @app.get("/<name>")
    async def view(name: str, req: Request) -> Any:
        return [name, req.path, req is request.current()]

    assert await get(app, "/x") == ["x", "/x", True]


async def test_a_synchronous_view_may_take_the_request() -> None:
    app = Triows("tested")

    @app.get("/")
    def view(req: Request) -> Any:
        return [req.path]

    assert await get(app) == ["/"]


async def test_a_generator_may_take_the_request() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view(req: Request) -> AsyncIterator[str]:
        yield req.path

    assert await (await app.test_client().get("/")).get_data() == b"/"


async def test_a_subclass_is_given_to_its_parameter() -> None:
    class Own(Request):
        word = "own"

    app = Triows("tested")
    app.request_class = Own

    async def view(req: Any) -> Any:
        return [req.word]

    view.__annotations__["req"] = Own
    app.add_url_rule("/", "view", view)
    assert await get(app) == ["own"]


@pytest.mark.parametrize("text", ["Request", "triows.Request", "'Request'", '"Request"'])
async def test_an_annotation_may_be_text(text: str) -> None:
    app = Triows("tested")

    async def view(req: Any, other: Unknown | None = None) -> Any:
        return [req.path]

    view.__annotations__["req"] = text
    app.add_url_rule("/", "view", view)
    assert await get(app) == ["/"]


async def test_names_for_type_checkers_only_do_not_hide_the_parameter() -> None:
    app = Triows("tested")

    @app.websocket("/")
    async def handler(socket: WebSocket, other: Unknown | None = None) -> None:
        await socket.send("given")

    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "given"


async def test_an_annotation_with_metadata_is_seen_through() -> None:
    app = Triows("tested")

    @app.get("/")
    async def view(req: Annotated[Request, "the request"]) -> Any:
        return [req.path]

    assert await get(app) == ["/"]


async def test_the_return_annotation_is_no_parameter() -> None:
    app = Triows("tested")

    async def view() -> Any:
        return ["fine"]

    view.__annotations__["return"] = Request
    app.add_url_rule("/", "view", view)
    assert await get(app) == ["fine"]


async def test_methods_may_take_the_websocket() -> None:
    class Room:
        async def handler(self, socket: WebSocket) -> None:
            await socket.send(type(self).__name__)

    app = Triows("tested")
    app.add_websocket("/", view_func=Room().handler)
    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "Room"


# Replacing them


async def body(app: Triows, path: str = "/") -> bytes:
    return await (await app.test_client().get(path)).get_data()


async def test_a_views_function_may_be_replaced() -> None:
    app = Triows(__name__, static_folder=None)
    app.get("/", endpoint="view")(lambda: "old")
    new = app.view_functions["view"] = lambda: "new"
    assert await body(app) == b"new"
    assert app.view_functions["view"] is new
    assert dict(app.view_functions) == {"view": new}
    assert repr(app.view_functions) == repr({"view": new})


async def test_all_views_may_be_wrapped() -> None:
    app = Triows(__name__)
    app.get("/a", endpoint="a")(lambda: "a")
    app.get("/b", endpoint="b")(lambda: "b")

    def guarded(function: Any) -> Any:
        async def view(**values: Any) -> Any:
            return f"guarded {function()}"

        return view

    for endpoint, function in app.view_functions.items():
        app.view_functions[endpoint] = guarded(function)
    assert [await body(app, "/a"), await body(app, "/b")] == [b"guarded a", b"guarded b"]


async def test_a_replaced_view_is_given_the_request() -> None:
    app = Triows(__name__)
    app.get("/<name>", endpoint="view")(lambda name: "old")

    async def view(req: Request, name: str) -> str:
        return f"{req.method} {name}"

    app.view_functions["view"] = view
    assert await body(app, "/ann") == b"GET ann"


async def test_a_websockets_function_may_be_replaced() -> None:
    app = Triows(__name__)

    @app.websocket("/", endpoint="ws")
    async def old() -> None:
        await websocket.send("old")

    async def new(socket: WebSocket) -> None:
        await socket.send("new")

    app.view_functions["ws"] = new
    assert app.view_functions["ws"] is new
    async with app.test_client().websocket("/") as socket:
        assert await socket.receive() == "new"


def test_a_function_that_cannot_be_the_view_is_refused() -> None:
    app = Triows(__name__, static_folder=None)

    @app.websocket("/", endpoint="ws")
    async def ws() -> None: ...

    with pytest.raises(TypeError, match="is not async, and a websocket's handler has to be"):
        app.view_functions["ws"] = lambda: None
    with pytest.raises(TypeError, match="a view is a function, not int 5"):
        app.view_functions["page"] = 5  # type: ignore[assignment]
    with pytest.raises(TypeError, match="a view is a function, not int 5"):
        app.add_url_rule("/page", "page", 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is not async"):
        app.view_functions = {"page": lambda: "", "ws": lambda: None}
    assert app.view_functions == {"ws": ws}


@contextmanager
def assigned(app: Triows, functions: Any) -> Iterator[None]:
    old = app.view_functions
    app.view_functions = functions
    yield
    app.view_functions = old


@contextmanager
def monkeypatched(app: Triows, functions: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "view_functions", functions)
        yield


@contextmanager
def mocked(app: Triows, functions: Any) -> Iterator[None]:
    with mock.patch.object(app, "view_functions", functions):
        yield


@pytest.mark.parametrize("replace", [assigned, monkeypatched, mocked])
async def test_view_functions_that_were_replaced_may_be_put_back(replace: Any) -> None:
    app = Triows(__name__)
    app.get("/", endpoint="view")(lambda: "old")
    old = app.view_functions
    for _ in range(2):
        with replace(app, {"view": lambda: "new"}):
            assert await body(app) == b"new"
        assert await body(app) == b"old"
        assert app.view_functions is old


async def test_view_functions_join_other_mappings() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="view")(lambda: "old")
    copied = app.view_functions.copy()  # type: ignore[attr-defined]
    app.view_functions |= {"view": lambda: "new"}  # type: ignore[operator]
    assert await body(app) == b"new"
    app.view_functions = app.view_functions | copied  # type: ignore[operator]
    assert await body(app) == b"old"


async def test_view_functions_are_a_mapping() -> None:
    app = Triows(__name__, static_folder=None)
    app.add_url_rule("/", "view")
    app.view_functions.update(view=lambda: "view", other=lambda: "other")
    assert list(app.view_functions) == ["view", "other"]
    assert await body(app) == b"view"
    del app.view_functions["other"]
    assert "other" not in app.view_functions
    app.view_functions = {**app.view_functions, "view": lambda: "new"}
    assert await body(app) == b"new"
    app.view_functions = app.view_functions
    assert len(app.view_functions) == 1
    with pytest.raises(KeyError, match="nowhere"):
        app.view_functions["nowhere"]
