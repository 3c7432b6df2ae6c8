"""Public exceptions, and the values that they carry, in pickles and copies.

Tests triows/errors.py, triows/protocol/disconnect.py, triows/framework/config.py and triows/web/response.py.
"""

from __future__ import annotations

import copy
import errno
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest

import triows
from triows import Config, Disconnect, JSONProvider, Response, Triows
from triows.errors import (
    CancelledSwallowedError,
    HTTPDisconnectError,
    JSONMessageError,
    LifespanError,
    ListenError,
    TriowsError,
    WebSocketClosed,
    WebsocketDisconnectError,
    WebsocketResponseError,
    WebSocketStateError,
)

MODULES = ("triows", "triows.errors", "triows.testing")

SAMPLES: dict[type[BaseException], Callable[[], BaseException]] = {
    TriowsError: lambda: TriowsError("one", 2),
    WebSocketClosed: lambda: WebSocketClosed("closed"),
    WebSocketStateError: lambda: WebSocketStateError("accepted already"),
    JSONMessageError: lambda: JSONMessageError("the message is not JSON", b"{"),
    CancelledSwallowedError: lambda: CancelledSwallowedError("ended normally"),
    LifespanError: lambda: LifespanError("failed to start"),
    ListenError: lambda: ListenError(errno.EADDRINUSE, "address in use"),
    WebsocketResponseError: lambda: WebsocketResponseError(Response("no", 403, {"X-A": "b"})),
    WebsocketDisconnectError: lambda: WebsocketDisconnectError(1008, "say please"),
    HTTPDisconnectError: lambda: HTTPDisconnectError("the connection ended"),
}

WAYS: dict[str, Callable[[Any], Any]] = {
    **{
        f"pickle {number}": lambda value, number=number: pickle.loads(pickle.dumps(value, number))
        for number in range(2, 6)
    },
    "pure python": lambda value: pickle._loads(pickle._dumps(value)),  # type: ignore[attr-defined]
    "multiprocessing": lambda value: pickle.loads(ForkingPickler.dumps(value)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
COPIES = ("copy", "deepcopy")
OF_THE_SYSTEM = ("errno", "strerror", "filename", "filename2")


def public_exceptions() -> set[type[BaseException]]:
    values = [value for name in MODULES for value in vars(import_module(name)).values()]
    return {value for value in values if inspect.isclass(value) and issubclass(value, BaseException)}


def look(error: BaseException) -> Any:
    """What a reader sees of an exception."""
    system = {name: getattr(error, name) for name in OF_THE_SYSTEM if isinstance(error, OSError)}
    attributes = {name: repr(value) for name, value in vars(error).items()}
    imported = (error.name, error.path) if isinstance(error, ImportError) else None
    return type(error), str(error), error.args, attributes, system, imported


@pytest.fixture(params=WAYS)
def again(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return WAYS[request.param]


@pytest.mark.parametrize("class_", sorted(public_exceptions(), key=lambda class_: class_.__name__))
def test_a_public_exception_comes_back_as_it_was(class_: type[BaseException], again: Callable[[Any], Any]) -> None:
    error = SAMPLES[class_]()
    assert type(error) is class_
    error.add_note("seen in a test")
    back = again(error)
    assert back is not error
    assert look(back) == look(error)
    assert back.__notes__ == ["seen in a test"]
    assert look(again(again(back))) == look(error)


def with_filename(filename: str) -> ListenError:
    error = ListenError(errno.EACCES, "denied")
    error.filename = filename
    return error


OTHER_WAYS: list[Callable[[], BaseException]] = [
    TriowsError,
    lambda: WebSocketClosed("closed", None),
    lambda: JSONMessageError("the message is not JSON", "{"),
    lambda: WebsocketDisconnectError(1006),
    ListenError,
    lambda: ListenError("text alone"),
    lambda: ListenError(errno.EACCES, "denied", "app.sock"),
    lambda: ListenError(errno.EACCES, "denied", b"app.sock"),
    lambda: ListenError(errno.EACCES, "denied", Path("app.sock")),
    lambda: ListenError(errno.EACCES, "denied", None),
    lambda: ListenError(errno.EACCES, "denied", "app.sock", None, "other.sock"),
    lambda: with_filename("app.sock"),
    lambda: ListenError(errno.EACCES, "denied", "app.sock", None, "other.sock", "more"),
]


@pytest.mark.parametrize("make", OTHER_WAYS)
def test_an_exception_that_was_made_in_another_way_comes_back_as_it_was(
    make: Callable[[], BaseException], again: Callable[[Any], Any]
) -> None:
    error = make()
    error.add_note("seen in a test")
    assert look(again(error)) == look(error)
    assert look(again(again(error))) == look(error)


def test_the_cause_stays_behind_as_that_of_any_exception_does(again: Callable[[Any], Any]) -> None:
    error = LifespanError("failed to start")
    error.__cause__ = KeyError("why")
    back = again(error)
    assert (back.__cause__, back.__context__, back.__traceback__) == (None, None, None)


def test_public_exceptions_come_back_in_groups(again: Callable[[Any], Any]) -> None:
    errors = [make() for make in SAMPLES.values() if isinstance(make(), Exception)]
    back = again(BaseExceptionGroup("several", [errors[0], ExceptionGroup("inner", errors[1:])]))  # type: ignore[type-var]
    assert [look(error) for error in (back.exceptions[0], *back.exceptions[1].exceptions)] == [*map(look, errors)]


def test_public_exceptions_go_to_another_process_and_come_back() -> None:
    errors = [make() for make in SAMPLES.values()]
    program = "import pickle, sys; sys.stdout.buffer.write(pickle.dumps(pickle.load(sys.stdin.buffer)))"
    done = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(errors), capture_output=True, check=True)
    assert [look(error) for error in pickle.loads(done.stdout)] == [look(error) for error in errors]


class Ours(TriowsError):
    def __init__(self, room: str, *, seats: int) -> None:
        super().__init__(f"{room} has {seats} seats")
        self.room = room
        self.seats = seats


class NotJSON(JSONMessageError):
    def __init__(self, message: str) -> None:
        super().__init__("no JSON", message)
        self.length = len(message)


class OursClosed(WebSocketClosed):
    def __init__(self, seat: int) -> None:
        super().__init__(f"seat {seat}", object())
        self.seat = seat


class Taken(ListenError):
    def __init__(self, port: int) -> None:
        super().__init__(errno.EADDRINUSE, f"port {port} is taken")
        self.port = port


class TakenFile(ListenError):
    def __init__(self, path: str) -> None:
        super().__init__(errno.EADDRINUSE, "in use", path)
        self.path = path


class NotImported(TriowsError, ImportError):
    def __init__(self, name: str) -> None:
        super().__init__(f"install {name}", name=name)


class MyDisconnect(WebsocketDisconnectError):
    pass


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ours("blue", seats=3),
        lambda: NotJSON("{"),
        lambda: Taken(80),
        lambda: TakenFile("app.sock"),
        lambda: NotImported("triows_extra"),
        lambda: MyDisconnect(1001, "bye"),
    ],
)
def test_a_subclass_of_a_user_comes_back_as_it_was(
    make: Callable[[], BaseException], again: Callable[[Any], Any]
) -> None:
    error = make()
    assert look(again(error)) == look(error)


def test_a_users_attributes_come_along(again: Callable[[Any], Any]) -> None:
    error = WebSocketClosed("closed")
    error.extra = ["more"]  # type: ignore[attr-defined]
    assert again(error).extra == ["more"]


class Connection:
    """What cannot be pickled, and must not be copied."""

    def __reduce__(self) -> Any:
        raise TypeError("a connection stays where it is")


@pytest.mark.parametrize("way", WAYS)
def test_an_exception_leaves_its_connection_behind(way: str) -> None:
    connection = Connection()
    back = WAYS[way](WebSocketClosed("closed", connection))
    assert (str(back), back.connection) == ("closed", connection if way in COPIES else None)
    inner = WAYS[way](ExceptionGroup("group", [WebSocketClosed("closed", connection)])).exceptions[0]
    assert inner.connection is (connection if way in COPIES else None)


def test_a_subclass_with_a_connection_comes_back(again: Callable[[Any], Any]) -> None:
    back = again(OursClosed(4))
    assert (type(back), str(back), back.seat) == (OursClosed, "seat 4", 4)


async def test_the_exceptions_that_an_app_has_raised_come_back(again: Callable[[Any], Any]) -> None:
    app = Triows(__name__)
    app.json = JSONProvider(app)

    @app.websocket("/closed")
    async def closed() -> None:
        websocket = triows.websocket.current()
        await websocket.accept()
        await websocket.close(4000, "enough")
        try:
            await websocket.receive()
        except WebSocketClosed as error:
            seen.append(error)

    @app.websocket("/json")
    async def json() -> None:
        try:
            await triows.websocket.receive_json()
        except JSONMessageError as error:
            seen.append(error)

    @app.websocket("/rejected")
    async def rejected() -> Any:
        return {"no": "entry"}, 403

    seen: list[Exception] = []
    client = app.test_client()
    async with client.websocket("/closed") as ws:
        with pytest.raises(WebsocketDisconnectError) as caught:
            await ws.receive()
    async with client.websocket("/json") as ws:
        await ws.send("{")
        await ws.wait_closed()
    with pytest.raises(WebsocketResponseError) as rejection:
        async with client.websocket("/rejected") as ws:
            await ws.receive()
    for error in (*seen, caught.value, rejection.value):
        back = again(error)
        assert (type(back), str(back), back.args) == (type(error), str(error), error.args)
    assert len(seen) == 2
    response = again(rejection.value).response
    assert (response.status_code, await response.get_json()) == (403, {"no": "entry"})


# What exceptions carry, and what configures an app


async def test_a_response_comes_back_with_its_body(again: Callable[[Any], Any]) -> None:
    response = Response("héllo", 418, {"X-A": "b"})
    response.set_cookie("a", "1")
    response.json_provider = Triows(__name__).json
    back = again(response)
    assert (back.status, await back.get_data()) == (response.status, await response.get_data())
    assert [*back.headers] == [*response.headers]
    assert back.wire_headers() == response.wire_headers()


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_of_a_response_reads_its_json_as_the_response_does(way: str) -> None:
    response = Response("{}")
    response.json_provider = Triows(__name__).json
    assert WAYS[way](response).json_provider is response.json_provider


def test_a_deep_copy_of_a_response_has_headers_of_its_own() -> None:
    response = Response("a")
    copy.deepcopy(response).headers["X-A"] = "b"
    assert "X-A" not in response.headers


@pytest.mark.parametrize("disconnect", [Disconnect(1001, "bye", "closed"), Disconnect(1006, "", "lost")])
def test_a_disconnect_comes_back_equal(disconnect: Disconnect, again: Callable[[Any], Any]) -> None:
    back = again(disconnect)
    assert back == disconnect
    assert hash(back) == hash(disconnect)
    assert back.describe() == disconnect.describe()


class MyConfig(Config):
    def __init__(self, root: str, defaults: Any = None) -> None:
        super().__init__(root, defaults)
        self.root = root


def test_a_config_comes_back_equal_and_still_checks(again: Callable[[Any], Any]) -> None:
    app = Triows(
        __name__, ping_interval=5, compression=True, origins=["https://a.example"], trusted_proxies=["10.0.0.0/8"]
    )
    app.config["MINE"] = {"a": [1]}
    back = again(app.config)
    assert type(back) is Config
    assert back == app.config
    with pytest.raises(TypeError):
        back["PING_INTERVAL"] = "5 s"
    app.config = back
    assert app.websocket_limits().ping_interval == 5


def test_a_config_of_a_user_comes_back(again: Callable[[Any], Any]) -> None:
    back = again(MyConfig("/srv", {"A": 1}))
    assert (type(back), back.root, dict(back)) == (MyConfig, "/srv", {"A": 1})
    assert again(Config()) == {}


def test_values_derived_from_a_config_are_not_taken_for_those_of_its_copy(again: Callable[[Any], Any]) -> None:
    app = Triows(__name__, max_body_size=1)
    assert app.limits.max_body_size == 1
    other = again(app.config)
    dict.__setitem__(other, "MAX_BODY_SIZE", 2)
    app.config = other
    assert app.limits.max_body_size == 2


def test_a_copy_of_a_config_is_a_config() -> None:
    app = Triows(__name__)
    other = app.config.copy()
    other["MINE"] = 1
    assert type(other) is Config
    assert "MINE" not in app.config


def test_the_first_argument_of_a_disconnect_is_its_code_as_in_quart() -> None:
    error = WebsocketDisconnectError(1001, "bye")
    assert (error.args[0], str(error)) == (1001, "the websocket has ended with 1001: bye")
    assert str(WebsocketDisconnectError(1006)) == "the websocket has ended with 1006"
