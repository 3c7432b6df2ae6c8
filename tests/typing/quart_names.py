"""The names of Quart's modules: an app that was written for Quart has the types of triows."""

from typing import assert_type

import click
from werkzeug.datastructures import Headers

import triows
from triows import install_as_quart
from triows.quart import Quart, ResponseReturnValue, g, request, request_started, websocket
from triows.quart.ctx import AppContext, RequestContext, WebsocketContext
from triows.quart.globals import request_ctx, websocket_ctx
from triows.quart.json import dumps, loads
from triows.quart.json.provider import DefaultJSONProvider
from triows.quart.sessions import SecureCookieSessionInterface
from triows.quart.testing import QuartClient, QuartCliRunner, no_op_push
from triows.quart.utils import run_sync
from triows.quart.views import MethodView
from triows.quart.wrappers import BaseRequestWebsocket, Request, Response, Websocket

assert_type(install_as_quart(), None)

app = Quart(__name__)
assert_type(app, triows.Triows)
assert_type(app.test_client(), QuartClient)
assert_type(app.test_cli_runner(), QuartCliRunner)
assert_type(dumps([1]), str)
loads(b"1")


@app.cli.command("greet", with_appcontext=True)
async def greet() -> None: ...


@app.cli.command
def other() -> None: ...


assert_type(greet, click.Command)
assert_type(other, click.Command)


@app.get("/")
async def index() -> ResponseReturnValue:
    g.word = "hello"
    assert_type(request.path, str)
    return {"a": 1}, 201, {"X-Name": "value"}


@app.websocket("/ws")
async def ws() -> None:
    assert_type(await websocket.receive(), str | bytes)


class Items(MethodView):
    async def get(self) -> ResponseReturnValue:
        assert_type(await run_sync(divmod)(7, 2), tuple[int, int])
        return "items"


class Provider(DefaultJSONProvider):
    pass


def classes(one: Request, other: Response, third: Websocket, fourth: SecureCookieSessionInterface) -> None:
    assert_type(one, triows.Request)
    assert_type(other, triows.Response)
    assert_type(third, triows.WebSocket)


def requests(headers: Headers) -> None:
    assert_type(Request("GET", "http", "/", b"", headers, "", "1.1", {}, send_push_promise=no_op_push), Request)
    assert_type(BaseRequestWebsocket("GET", "http", "/", b"", headers, "", "1.1", {}), BaseRequestWebsocket)
    Request("GET", "http", "/")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def contexts(one: Request, other: Websocket) -> None:
    assert_type(app.app_context(), AppContext)
    assert_type(AppContext(app), AppContext)
    assert_type(RequestContext(app, one), RequestContext)
    assert_type(app.request_context(one), RequestContext)
    assert_type(app.websocket_context(other), WebsocketContext)
    assert_type(request_ctx.request, Request | None)
    assert_type(websocket_ctx.websocket, Websocket | None)


async def receiver(sender: Quart) -> None: ...


request_started.connect(receiver)
