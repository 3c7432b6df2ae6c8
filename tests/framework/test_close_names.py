"""Names that are nearly right, or another framework's: the error says what was meant.

Tests triows/web/foreign_names.py, triows/web/suggestions.py and triows/framework/quart_names.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from triows import (
    Blueprint,
    Config,
    Request,
    Response,
    Triows,
    WebSocket,
    flash,
    redirect,
    request,
    send_file,
    send_from_directory,
    session,
    url_for,
    websocket,
)
from triows.framework.quart_names import ELSEWHERE, RUN
from triows.testing import (
    TestClient,
    TestWebSocket,
    make_test_body_with_headers,
    make_test_headers_path_and_query_string,
    memory_stream_pair,
)
from triows.web import foreign_names

from ..support.records import complaints, lines

# Options


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ping_intervall", "ping_interval"),
        ("max_mesage_size", "max_message_size"),
        ("origin", "origins"),
        ("static_foldr", "static_folder"),
        ("statc_url_path", "static_url_path"),
        ("host_match", "host_matching"),
        ("importname", "import_name"),
        ("template_foler", "template_folder"),
        ("instance_path_", "instance_path"),
        ("rootpath", "root_path"),
    ],
)
def test_an_argument_of_the_app(name: str, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"^Triows\(\) has no argument '{name}'; did you mean '{meant}'\?$"):
        Triows(__name__, **{name: 1})


@pytest.mark.parametrize("name", ["limits", "title", "routes"])
def test_an_argument_that_is_like_none_is_told_the_limits(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^Triows\(\) has no argument '{name}'; its limits are max_message_size, "):
        Triows(__name__, **{name: 1})


@pytest.mark.parametrize("name", ["debug", "secret_key", "SERVER_NAME"])
def test_a_setting_among_the_arguments_of_the_app(name: str) -> None:
    with pytest.raises(TypeError, match=rf"no argument '{name}'; it is a setting: app.config\['{name.upper()}'\] = "):
        Triows(__name__, **{name: 1})


# What takes no **options. Python 3.13 has words of its own, which are nearly ours.


async def accepting(app: Triows, **options: Any) -> None:
    @app.websocket("/")
    async def ws() -> None:
        websocket.accept(**options)

    async with app.test_client().websocket("/") as client:
        await client.receive()


async def closing(app: Triows, **options: Any) -> None:
    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept()
        await websocket.close(**options)

    async with app.test_client().websocket("/") as client:
        await client.receive()


async def closing_the_client(app: Triows, **options: Any) -> None:
    @app.websocket("/")
    async def ws() -> None:
        await websocket.receive()

    async with app.test_client().websocket("/") as client:
        await client.close(**options)


async def opening(app: Triows, **options: Any) -> None:
    async with app.test_client().websocket("/", **options):
        pass


async def requesting(app: Triows, **options: Any) -> None:
    async with app.test_client().request("/", **options):
        pass


async def in_a_context(app: Triows, **options: Any) -> None:
    async with app.test_request_context("/", **options):
        pass


async def in_a_session(app: Triows, **options: Any) -> None:
    app.secret_key = "k"
    async with app.test_client().session_transaction("/", **options):
        pass


async def making_a_client(app: Triows, **options: Any) -> None:
    app.test_client(**options)


async def setting_a_cookie(app: Triows, **options: Any) -> None:
    app.test_client().set_cookie("localhost", "a", "b", **options)


async def deleting_a_cookie(app: Triows, **options: Any) -> None:
    app.test_client().delete_cookie("localhost", "a", **options)


async def making_a_blueprint(app: Triows, **options: Any) -> None:
    Blueprint("part", __name__, **options)


async def making_a_body(app: Triows, **options: Any) -> None:
    make_test_body_with_headers(**options)


async def making_headers(app: Triows, **options: Any) -> None:
    make_test_headers_path_and_query_string(app, "/", **options)


async def redirecting(app: Triows, **options: Any) -> None:
    redirect("/", **options)


async def sending_a_file(app: Triows, **options: Any) -> None:
    await send_file(__file__, **options)


async def sending_from_a_directory(app: Triows, **options: Any) -> None:
    await send_from_directory(".", "a", **options)


async def flashing(app: Triows, **options: Any) -> None:
    await flash("saved", **options)


async def setting_a_cookie_of_a_response(app: Triows, **options: Any) -> None:
    Response().set_cookie("a", "b", **options)


async def reading_the_environment(app: Triows, **options: Any) -> None:
    app.config.from_prefixed_env(**options)


async def reading_a_file(app: Triows, **options: Any) -> None:
    app.config.from_file("settings.toml", **options)


def by(verb: str) -> Callable[..., Awaitable[object]]:
    return lambda app, **options: getattr(app.test_client(), verb)("/", **options)


MISSPELT: list[tuple[Callable[..., Awaitable[object]], str, str]] = [
    (making_a_blueprint, "url_prefx", "url_prefix"),
    (making_a_blueprint, "static_foldr", "static_folder"),
    (accepting, "subprotocl", "subprotocol"),
    (accepting, "header", "headers"),
    (closing, "cod", "code"),
    (closing, "reson", "reason"),
    (closing_the_client, "cod", "code"),
    (opening, "subprotocol", "subprotocols"),
    (opening, "haeders", "headers"),
    (requesting, "haeders", "headers"),
    (in_a_context, "methd", "method"),
    (in_a_session, "haeders", "headers"),
    (making_a_client, "use_cookie", "use_cookies"),
    (setting_a_cookie, "http_only", "httponly"),
    (deleting_a_cookie, "domian", "domain"),
    (making_a_body, "jsn", "json"),
    (making_headers, "query_strng", "query_string"),
    (setting_a_cookie_of_a_response, "http_only", "httponly"),
    (setting_a_cookie_of_a_response, "same_site", "samesite"),
    (reading_the_environment, "prefx", "prefix"),
    (reading_a_file, "silnt", "silent"),
    (redirecting, "cod", "code"),
    (sending_a_file, "as_atachment", "as_attachment"),
    (sending_from_a_directory, "mime_type", "mimetype"),
    (flashing, "categry", "category"),
    *(
        (by(verb), "haeders", "headers")
        for verb in ("get", "post", "put", "patch", "delete", "head", "options", "trace")
    ),
    (by("open"), "follow_redirect", "follow_redirects"),
]


@pytest.mark.parametrize(("call", "name", "meant"), MISSPELT)
async def test_an_argument_that_is_nearly_right(app: Triows, call: Any, name: str, meant: str) -> None:
    with pytest.raises(
        TypeError, match=rf"got an unexpected keyword argument '{name}'[;.] [Dd]id you mean '{meant}'\?$"
    ):
        await call(app, **{name: None})


@pytest.mark.parametrize("call", [making_a_blueprint, accepting, closing, by("get")])
async def test_an_argument_that_is_like_none_is_as_in_python(app: Triows, call: Any) -> None:
    with pytest.raises(TypeError, match=r"got an unexpected keyword argument 'xyz'$"):
        await call(app, xyz=None)


async def test_a_wrong_value_is_not_taken_for_a_wrong_name(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"^accept\(\) got 'chat' as headers"):
        await accepting(app, headers="chat")
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'import_name'$"):
        Blueprint("part")  # type: ignore[call-arg]


def test_functions_that_suggest_are_what_they_were() -> None:
    for function in (WebSocket.close, TestClient.open, send_file, send_from_directory, flash):
        assert inspect.iscoroutinefunction(function)
    assert [*inspect.signature(WebSocket.close).parameters] == ["self", "code", "reason"]
    assert not inspect.iscoroutinefunction(WebSocket.accept)


async def test_a_name_in_place_of_a_close_code(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"close\('going_away', ''\): the code is a number.*'going away' is 1001$"):
        await closing(app, code="going_away")
    with pytest.raises(TypeError, match=r"the reason a text after it$"):
        await closing(Triows(__name__), reason=None)
    with pytest.raises(TypeError, match=r"close\('going_away', ''\): the code is a number.*'going away' is 1001$"):
        await closing_the_client(Triows(__name__), code="going_away")


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [
        ("route", "method", "methods"),
        ("route", "default", "defaults"),
        ("route", "strict_slash", "strict_slashes"),
        ("route", "metods", "methods"),
        ("route", "max_body", "max_body_size"),
        ("websocket", "subprotocol", "subprotocols"),
        ("websocket", "max_mesage_size", "max_message_size"),
        ("websocket", "max_size", "max_message_size"),
    ],
)
def test_an_option_of_a_route(app: Triows, kind: str, name: str, meant: str) -> None:
    async def view() -> None: ...

    with pytest.raises(TypeError, match=rf"has no option '{name}'; did you mean '{meant}'\?"):
        getattr(app, kind)("/", **{name: None})(view)


@pytest.mark.parametrize("owner", [Triows(__name__), Blueprint("part", __name__)])
@pytest.mark.parametrize("method", ["add_url_rule", "add_websocket"])
def test_the_view_function_of_a_rule(owner: Any, method: str) -> None:
    with pytest.raises(TypeError, match=r"^the route '/' has no option 'view_fun'; did you mean 'view_func'\?$"):
        getattr(owner, method)("/", view_fun=lambda: "")


def test_an_option_of_a_blueprints_registration(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"has no option 'prefix', .*; did you mean 'url_prefix'\?"):
        app.register_blueprint(Blueprint("part", __name__), prefix="/part")


@pytest.mark.parametrize("name", RUN)
def test_an_option_of_another_frameworks_run(app: Triows, name: str) -> None:
    with pytest.raises(TypeError, match=rf"^run\(\) has no option '{name}': \w"):
        app.run(**{name: True})  # type: ignore[arg-type]


def test_an_option_of_run_that_is_nearly_right(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"run\(\) has no option 'cert_file'; did you mean 'certfile'\?"):
        app.run(cert_file="cert.pem")


async def test_an_option_of_serve_that_is_nearly_right(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"serve\(\) has no option 'reuseport'; did you mean 'reuse_port'\?"):
        await app.serve(reuseport=True)


async def test_an_option_of_the_other_ways_to_serve(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"serve_listeners\(\) has no option 'acces_log'; did you mean 'access_log'\?"):
        await app.serve_listeners([], acces_log=False)
    with pytest.raises(TypeError, match=r"serve_stream\(\) has no option 'acces_log'; did you mean 'access_log'\?"):
        await app.serve_stream(memory_stream_pair()[0], acces_log=False)


async def test_an_endpoint(app: Triows) -> None:
    app.get("/", endpoint="index")(lambda: "")
    async with app.test_request_context("/"):
        with pytest.raises(LookupError, match=r"'indx'.* Did you mean 'index' instead\?"):
            url_for("indx")


async def test_a_subprotocol_in_place_of_the_headers(app: Triows) -> None:
    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept("chat")  # type: ignore[arg-type]

    with pytest.raises(TypeError, match=r"accept\(\) got 'chat' as headers; .* subprotocol='chat'"):
        async with app.test_client().websocket("/") as client:
            await client.receive()


# Settings


def test_a_key_that_is_not_in_the_config() -> None:
    with pytest.raises(KeyError, match=r"'SECRETKEY' is not in the config; did you mean 'SECRET_KEY'\?"):
        Triows(__name__).config["SECRETKEY"]


def test_a_key_that_is_like_none() -> None:
    with pytest.raises(KeyError, match=r"'SHOE_SIZE' is not in the config\"$"):
        Triows(__name__).config["SHOE_SIZE"]


@pytest.mark.parametrize("key", ["debug", "secret_key", "session_cookie_secure", "ping_interval"])
def test_a_setting_in_small_letters_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=rf"'{key}' has no effect in the config; its key is '{key.upper()}'"):
        Triows(__name__).config[key] = None


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("SECRETKEY", "SECRET_KEY"),
        ("MAX_MESAGE_SIZE", "MAX_MESSAGE_SIZE"),
        ("SESSION_COOKIE_SECRUE", "SESSION_COOKIE_SECURE"),
    ],
)
def test_a_setting_that_is_nearly_right_is_set_and_logged(
    key: str, meant: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = Config()
    config[key] = 1
    assert config[key] == 1
    (line,) = lines(complaints(caplog))
    assert line == f"app.config[{key!r}] is no setting of triows; did you mean {meant!r}?"


def test_a_variable_of_the_environment_that_is_nearly_right_is_logged(
    app: Triows, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TRIOWS_PING_INTERVALL", "5")
    app.config.from_prefixed_env()
    assert "did you mean 'PING_INTERVAL'?" in lines(complaints(caplog))[0]


@pytest.mark.parametrize("key", ["DATABASE", "SQLALCHEMY_DATABASE_URI", "MAIL_SERVER", "COOKIE", "Secretkey", 3])
def test_a_setting_of_the_users_own_is_nobodys_business(key: Any, caplog: pytest.LogCaptureFixture) -> None:
    Config()[key] = 1
    assert complaints(caplog) == []


# Attributes


async def of_a_request(name: str) -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> str:
        return str(getattr(request, name))

    await app.test_client().get("/")


async def of_a_websocket(name: str) -> None:
    app = Triows(__name__)

    @app.websocket("/")
    async def ws() -> None:
        await getattr(websocket, name)()

    async with app.test_client().websocket("/") as client:
        await client.receive()


@pytest.mark.parametrize("name", foreign_names.REQUEST)
async def test_another_frameworks_name_on_a_request(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^a Request has no '{name}': \w"):
        await of_a_request(name)


@pytest.mark.parametrize("name", foreign_names.WEBSOCKET)
async def test_another_frameworks_name_on_a_websocket(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^a WebSocket has no '{name}': \w"):
        await of_a_websocket(name)


@pytest.mark.parametrize("name", foreign_names.RESPONSE)
def test_another_frameworks_name_on_a_response(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^a Response has no '{name}': \w"):
        getattr(Response(), name)


@pytest.mark.parametrize("name", foreign_names.MESSAGES)
async def test_another_librarys_name_on_the_websocket_of_a_test(app: Triows, name: str) -> None:
    @app.websocket("/")
    async def ws() -> None:
        await websocket.receive()

    async with app.test_client().websocket("/") as client:
        with pytest.raises(AttributeError, match=rf"^a TestWebSocket has no '{name}': \w"):
            getattr(client, name)


@pytest.mark.parametrize("ask", [of_a_request, of_a_websocket])
async def test_a_name_of_nobodys_is_as_in_python(ask: Any) -> None:
    with pytest.raises(AttributeError, match=r"object has no attribute 'no_such_name'$"):
        await ask("no_such_name")


async def test_the_remedies_name_what_is_there() -> None:
    async with Triows(__name__).test_request_context("/"):
        for name in ("args", "view_args", "remote_addr", "peer", "headers", "cookies", "body", "get_data"):
            assert hasattr(request, name)
        assert not hasattr(request, "query_params")


def test_what_a_request_has_is_not_among_the_foreign_names() -> None:
    tables: list[tuple[type, Mapping[str, str]]] = [
        (Request, foreign_names.REQUEST),
        (Response, foreign_names.RESPONSE),
        (TestWebSocket, foreign_names.MESSAGES),
        (WebSocket, foreign_names.WEBSOCKET),
        (Triows, ELSEWHERE),
        (Blueprint, ELSEWHERE),
    ]
    for class_, names in tables:
        assert [name for name in names if hasattr(class_, name)] == []


async def test_a_foreign_name_may_be_ones_own_attribute_of_a_request() -> None:
    class OwnRequest(Request):
        @property
        def ip(self) -> str:
            return "::1"

    app = Triows(__name__)
    app.request_class = OwnRequest
    async with app.test_request_context("/"):
        assert request.ip == "::1"
        request.state = "mine"
        assert request.state == "mine"
        assert "state" in dir(request)


async def test_foreign_names_are_not_listed_among_the_attributes_of_a_request() -> None:
    async with Triows(__name__).test_request_context("/"):
        assert not set(dir(request)) & foreign_names.REQUEST.keys()


@pytest.mark.parametrize("class_", [Request, WebSocket, Response])
def test_attributes_are_read_as_fast_as_python_can(class_: type) -> None:
    assert not hasattr(class_, "__getattr__")


@pytest.mark.parametrize("owner", [Triows(__name__), Blueprint("part", __name__)])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_another_frameworks_name_on_an_app(owner: Any, name: str) -> None:
    with pytest.raises(AttributeError, match=rf"'{name}' of a \w+ is not there: \w"):
        getattr(owner, name)


def test_an_attribute_of_the_users_own_may_have_such_a_name(app: Any) -> None:
    app.state = "mine"
    assert app.state == "mine"


# Calls that other frameworks have


async def test_the_body_is_no_method(app: Triows) -> None:
    @app.post("/")
    async def view() -> bytes:
        return await request.body()

    with pytest.raises(TypeError, match=r"request\.body is no method: write 'await request\.body'"):
        await app.test_client().post("/", data=b"x")


async def test_a_websocket_is_not_iterated_over_without_async(app: Triows) -> None:
    @app.websocket("/")
    async def ws() -> None:
        for _ in websocket:
            pass

    with pytest.raises(TypeError, match="'async for message in websocket:'"):
        async with app.test_client().websocket("/") as client:
            await client.receive()


@pytest.mark.parametrize("blueprint", [Blueprint, "part", None, pytest])
@pytest.mark.parametrize("owner", [Triows(__name__), Blueprint("whole", __name__)])
def test_what_is_no_blueprint_is_not_registered(owner: Any, blueprint: Any) -> None:
    with pytest.raises(TypeError, match=r"it takes a Blueprint: Blueprint\('name', __name__\)"):
        owner.register_blueprint(blueprint)


async def test_a_status_without_a_number_names_the_view(app: Triows) -> None:
    @app.get("/")
    async def view() -> Any:
        return "text", "OK"

    with pytest.raises(ValueError, match=r"view\(\) .* returned the status 'OK'; it is like 404"):
        await app.test_client().get("/")


async def test_a_session_says_what_it_cannot_hold(app: Triows) -> None:
    app.secret_key = "k"

    @app.get("/")
    async def view() -> str:
        session["a"] = object()
        return ""

    with pytest.raises(TypeError, match="a session cannot hold this: Object of type object"):
        await app.test_client().get("/")
