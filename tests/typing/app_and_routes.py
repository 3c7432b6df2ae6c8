"""The app, its routes, and its attributes."""

from collections.abc import Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from logging import Logger
from typing import Any, assert_type

from triows import (
    Blueprint,
    Config,
    JSONProvider,
    MethodView,
    Request,
    Response,
    ServerLimits,
    SessionInterface,
    Stats,
    Triows,
    View,
    WebSocket,
    WebSocketLimits,
)

app = Triows(__name__, max_message_size=65536, ping_interval=None)
assert_type(app, Triows)
Triows(__name__, host_matching=True)
Triows(__name__, subdomain_matching=True)
Triows()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Triows(__name__, host_matching="example.org")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# A decorator returns the function that it decorates, with its type.


@app.route("/")
async def index() -> str:
    return "hello"


@app.get("/users/<int:number>")
async def user(number: int) -> dict[str, int]:
    return {"number": number}


@app.post("/users", max_body_size=1024)
def add_user() -> tuple[str, int]:
    return "", 201


@app.websocket("/ws", max_message_size=1024)
async def ws(websocket: WebSocket) -> None:
    await websocket.send("hello")


@app.endpoint("named")
async def named() -> Response:
    return Response("named")


async def functions_keep_their_types() -> None:
    assert_type(await index(), str)
    assert_type(await user(1), dict[str, int])
    assert_type(add_user(), tuple[str, int])
    assert_type(await named(), Response)
    await user("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await ws()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def other() -> str:
    return ""


app.put("/put")(other)
app.patch("/patch")(other)
app.delete("/delete")(other)
app.route("/all", methods=["GET", "POST"], endpoint="all")(other)
app.route(404)(other)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.route("/none")(None)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
app.rout("/typo")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

assert_type(app.add_url_rule("/rule", "rule", other, methods={"GET"}), None)
assert_type(app.add_websocket("/socket", "socket", ws), None)
app.add_url_rule("/rule", "rule", "other")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.add_url_rule("/rule", methods=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# Attributes

assert_type(app.config, Config)
assert_type(app.config["SECRET_KEY"], Any)
assert_type(app.debug, bool)
assert_type(app.testing, bool)
assert_type(app.secret_key, str | bytes | None)
assert_type(app.permanent_session_lifetime, timedelta)
assert_type(app.limits, ServerLimits)
assert_type(app.websocket_limits(), WebSocketLimits)
assert_type(app.json, JSONProvider)
assert_type(app.session_interface, SessionInterface)
assert_type(app.logger, Logger)
assert_type(app.extensions, dict[str, Any])
assert_type(app.name, str)
assert_type(app.view_functions, MutableMapping[str, Callable[..., Any]])
assert_type(app.blueprints, dict[str, Blueprint])
assert_type(app.stats(), Stats)
assert_type(app.url_for("index", _external=True, page=2), str)

app.secret_key = b"a long random secret"
app.permanent_session_lifetime = timedelta(days=1)
app.permanent_session_lifetime = 3600
app.view_functions["index"] = other
app.secret_key = 5  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
app.debug = None  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
app.limits = ServerLimits()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
app.session_interface = {}  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
app.url_for(index)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.url_for("index", _external="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# A subclass replaces what the app makes.


class OwnRequest(Request):
    @property
    def language(self) -> str | None:
        return self.accept_languages.best


class OwnResponse(Response):
    default_mimetype = "text/plain"


class OwnWebSocket(WebSocket):
    async def send_twice(self, message: str) -> None:
        await self.send(message)
        await self.send(message)


class OwnJSON(JSONProvider):
    sort_keys = False
    compact = True


class OwnApp(Triows):
    request_class = OwnRequest
    response_class = OwnResponse
    websocket_class = OwnWebSocket
    json_provider_class = OwnJSON
    default_config = {"SECRET_KEY": None}  # noqa: RUF012


class WrongApp(Triows):
    request_class = Response  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


assert_type(OwnApp(__name__), OwnApp)


async def what_an_app_makes() -> None:
    assert_type(await app.make_response(("text", 201)), Response)
    assert_type(app.serving(), AbstractAsyncContextManager[None])
    async with app.app_context():
        pass
    async with app.test_request_context("/", method="POST", json={"a": 1}) as context:
        assert_type(await app.preprocess_request(context), Any)
        assert_type(await app.full_dispatch_request(), Response)
        assert_type(await app.handle_exception(ValueError()), Response)
    assert_type(await app.full_dispatch_websocket(), Response | None)
    assert_type(app.before_request_funcs, dict[str | None, list[Callable[..., Any]]])
    await app.app_context().push()
    app.app_context()()  # type: ignore[operator]  # pyright: ignore[reportCallIssue]


# Blueprints

blueprint = Blueprint("users", __name__, url_prefix="/users")
Blueprint("users")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@blueprint.route("/<name>")
async def of_a_blueprint(name: str) -> bytes:
    return name.encode()


@blueprint.websocket("/ws")
async def websocket_of_a_blueprint() -> None: ...


@blueprint.before_app_request
async def before_app_request() -> None: ...


@blueprint.app_errorhandler(404)
async def not_found(error: Exception) -> tuple[str, int]:
    return str(error), 404


async def blueprints_keep_the_types() -> None:
    assert_type(await of_a_blueprint("a"), bytes)
    assert_type(await websocket_of_a_blueprint(), None)
    assert_type(await before_app_request(), None)
    assert_type(await not_found(ValueError()), tuple[str, int])


assert_type(app.register_blueprint(blueprint, url_prefix="/v1"), None)
assert_type(blueprint.register_blueprint(Blueprint("inner", __name__)), None)
app.register_blueprint("users")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
blueprint.run()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


class Page(View):
    def __init__(self, title: str) -> None:
        self.title = title

    async def dispatch_request(self, **kwargs: str) -> str:
        return self.title


class Items(MethodView):
    async def get(self, item: int) -> str:
        return str(item)


app.add_url_rule("/page", view_func=Page.as_view("page", "title"))
assert_type(Items.as_view("items"), Callable[..., Any])
Items.as_view()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
