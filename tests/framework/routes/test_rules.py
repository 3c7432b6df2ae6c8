"""URL rules: what matches, what it gives the view, and what the other paths answer.

Tests triows/framework/routes/decorators.py and triows/framework/application.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair
from werkzeug.routing import BaseConverter, Submount
from werkzeug.routing import Rule as WerkzeugRule

from triows import Blueprint, Triows, WebSocket, request, session, url_for, websocket

from ...support.asgi import http
from ...support.rejections import rejection
from ...support.wire import Wire

# Matching


async def test_an_unknown_path_is_404() -> None:
    assert (await Triows(__name__).test_client().get("/nowhere")).status_code == 404


async def test_an_unknown_websocket_path_is_404() -> None:
    assert (await rejection(Triows(__name__), "/nowhere")).status_code == 404


@pytest.mark.parametrize(
    ("rule", "path", "value"),
    [
        ("/<value>", "/some%20text", "some text"),
        ("/<value>", "/%E2%82%AC", "€"),
        ("/<int:value>", "/12", 12),
        ("/<int(signed=True):value>", "/-12", -12),
        ("/<float:value>", "/1.5", 1.5),
        ("/<path:value>", "/a/b/c", "a/b/c"),
        ("/<any(red, blue):value>", "/blue", "blue"),
        (
            "/<uuid:value>",
            "/12345678-1234-5678-1234-567812345678",
            "UUID('12345678-1234-5678-1234-567812345678')",
        ),
    ],
)
async def test_url_variables_are_arguments(rule: str, path: str, value: object) -> None:
    app = Triows(__name__)

    @app.get(rule)
    async def view(value: object) -> str:
        return repr(value)

    response = await app.test_client().get(path)
    assert await response.get_data(as_text=True) == (value if "UUID" in str(value) else repr(value))


async def test_url_variables_are_arguments_of_websocket_handlers() -> None:
    app = Triows(__name__)

    @app.websocket("/rooms/<int:room>")
    async def handler(room: int) -> None:
        await websocket.send_json(room)

    async with app.test_client().websocket("/rooms/3") as ws:
        assert await ws.receive_json() == 3


async def test_a_variable_that_does_not_convert_is_404() -> None:
    app = Triows(__name__)
    app.add_url_rule("/<int:value>", view_func=lambda value: "", endpoint="view")
    assert (await app.test_client().get("/x")).status_code == 404


async def test_the_apps_own_converters_are_used() -> None:
    class List(BaseConverter):
        def to_python(self, value: str) -> list[str]:
            return value.split("+")

        def to_url(self, value: Any) -> str:
            return "+".join(value)

    app = Triows(__name__)
    app.url_map.converters["list"] = List

    @app.get("/<list:names>")
    async def view(names: list[str]) -> list[str]:
        return [*names, url_for("view", names=["x", "y"])]

    assert await (await app.test_client().get("/a+b")).get_json() == ["a", "b", "/x+y"]


async def test_defaults_are_arguments_too() -> None:
    app = Triows(__name__)

    @app.route("/", defaults={"page": 1})
    @app.route("/page/<int:page>")
    async def view(page: int) -> str:
        return str(page)

    assert await (await app.test_client().get("/")).get_data() == b"1"


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete"])
async def test_each_verb_has_a_decorator_for_it_alone(verb: str) -> None:
    app = Triows(__name__)

    @getattr(app, verb)("/")
    async def view() -> str:
        return request.method

    client = app.test_client()
    assert await (await getattr(client, verb)("/")).get_data() == verb.upper().encode()
    others = {"get", "post", "put", "patch", "delete"} - {verb}
    assert {(await getattr(client, other)("/")).status_code for other in others} == {405}


async def test_a_wrong_method_is_405_and_names_the_right_ones() -> None:
    app = Triows(__name__)
    app.add_url_rule("/", "view", lambda: "", methods=["PUT"])
    response = await app.test_client().get("/")
    assert (response.status_code, set(response.allow)) == (405, {"PUT", "OPTIONS"})


async def test_methods_are_not_sensitive_to_case() -> None:
    app = Triows(__name__)
    app.add_url_rule("/", "view", lambda: "", methods=["put"])
    assert (await app.test_client().put("/")).status_code == 200


async def test_different_views_serve_different_methods_of_one_path() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="read")(lambda: "read")
    app.post("/", endpoint="write")(lambda: "written")
    client = app.test_client()
    assert await (await client.get("/")).get_data() == b"read"
    assert await (await client.post("/")).get_data() == b"written"


async def test_a_get_view_answers_head_without_the_body() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="view")(lambda: "hello")
    response = await app.test_client().head("/")
    assert (response.headers["content-length"], await response.get_data()) == ("5", b"")


async def test_options_is_answered_with_the_allowed_methods() -> None:
    app = Triows(__name__)
    app.post("/", endpoint="view")(lambda: "")
    response = await app.test_client().options("/")
    assert (response.status_code, set(response.allow)) == (200, {"POST", "OPTIONS"})


async def test_a_view_may_answer_options_itself() -> None:
    app = Triows(__name__)
    app.route("/", methods=["OPTIONS"], endpoint="view")(lambda: "mine")
    assert await (await app.test_client().options("/")).get_data() == b"mine"


async def test_automatic_options_can_be_switched_off() -> None:
    app = Triows(__name__)
    app.route("/", endpoint="view", provide_automatic_options=False)(lambda: "")
    assert (await app.test_client().options("/")).status_code == 405


def test_methods_given_as_one_string_are_refused() -> None:
    with pytest.raises(TypeError, match=r"like \['GET'\]"):
        Triows(__name__).route("/", methods="GET")(lambda: "")


def test_a_rule_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_rule = WerkzeugRule.compile

    def compile_and_count(rule: WerkzeugRule) -> None:
        compiled.append(rule.rule)
        compile_rule(rule)

    monkeypatch.setattr(WerkzeugRule, "compile", compile_and_count)
    app = Triows(__name__, static_folder=None)
    app.get("/<int:number>", endpoint="view")(lambda number: "")
    assert compiled == ["/<int:number>"]


def test_the_code_that_builds_urls_is_compiled_with_the_first_url(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[bool] = []
    compile_builder = WerkzeugRule._compile_builder

    def compile_and_count(rule: WerkzeugRule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled.append(append_unknown)
        return compile_builder(rule, append_unknown)

    monkeypatch.setattr(WerkzeugRule, "_compile_builder", compile_and_count)
    app = Triows(__name__, static_folder=None)
    app.get("/<rule>/<int:values>", endpoint="view")(lambda rule, values: "")
    assert compiled == []
    adapter = app.url_map.bind("localhost")
    for number in (1, 2):
        assert adapter.build("view", {"rule": "a b", "values": number, "q": 3}) == f"/a%20b/{number}?q=3"
    assert adapter.build("view", {"rule": "a", "values": 3, "q": 3}, append_unknown=False) == "/a/3"
    assert compiled == [True, False]


@pytest.mark.parametrize("rule", ["/<x>/<x>", "/<int:x>/<y>/<x>"])
@pytest.mark.parametrize("register", [Triows.get, Triows.websocket])
def test_a_rule_has_each_variable_once(app: Triows, rule: str, register: Any) -> None:
    async def view(**variables: Any) -> None: ...

    with pytest.raises(ValueError, match=f"the rule '{rule}' has the variable 'x' twice; give each another name"):
        register(app, rule)(view)


def test_a_prefix_of_a_blueprint_has_no_variable_of_its_rules(app: Triows) -> None:
    part = Blueprint("part", __name__, url_prefix="/<x>")
    part.get("/<x>")(lambda x: "")
    with pytest.raises(ValueError, match="the rule '/<x>/<x>' has the variable 'x' twice"):
        app.register_blueprint(part)


@pytest.mark.parametrize(("matching", "option"), [(True, "host"), (False, "subdomain")])
def test_a_host_has_no_variable_of_its_path(matching: bool, option: str) -> None:
    app = Triows("app", host_matching=matching)
    with pytest.raises(ValueError, match=f"the rule '/<x>' and its {option} has the variable 'x' twice"):
        app.get("/<x>", **{option: "<x>"})(lambda x: "")


@pytest.mark.parametrize("name", ["None", "True", "False", "__debug__"])
def test_a_variable_has_a_name_that_python_can_assign_to(app: Triows, name: str) -> None:
    with pytest.raises(ValueError, match=f"has the variable '{name}', which Python cannot assign to"):
        app.get(f"/<{name}>")(lambda **variables: "")


async def test_a_keyword_of_python_is_a_variable_for_a_view_that_takes_any(app: Triows) -> None:
    @app.get("/<class>")
    async def view(**variables: str) -> str:
        return url_for("view", **variables)

    assert await (await app.test_client().get("/x")).get_data() == b"/x"


async def test_a_missing_slash_is_redirected_to_with_the_query() -> None:
    app = Triows(__name__)
    app.get("/folder/", endpoint="view")(lambda: "")
    response = await app.test_client().get("/folder?a=1")
    assert response.status_code == 308
    assert response.location == "http://localhost/folder/?a=1"


async def test_a_slash_too_many_is_404() -> None:
    app = Triows(__name__)
    app.get("/file", endpoint="view")(lambda: "")
    assert (await app.test_client().get("/file/")).status_code == 404


async def test_slashes_do_not_matter_where_the_rule_says_so() -> None:
    app = Triows(__name__)
    app.get("/file", endpoint="view", strict_slashes=False)(lambda: "yes")
    assert await (await app.test_client().get("/file/")).get_data() == b"yes"


async def test_redirect_to_is_followed_by_the_app() -> None:
    app = Triows(__name__)
    app.get("/old", endpoint="old", redirect_to="/new")(lambda: "")
    response = await app.test_client().get("/old")
    assert (response.status_code, response.location) == (308, "http://localhost/new")


async def test_a_path_may_serve_both_http_and_websockets() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="page")(lambda: "page")

    @app.websocket("/")
    async def socket() -> None:
        await websocket.send("socket")

    client = app.test_client()
    assert await (await client.get("/")).get_data() == b"page"
    async with client.websocket("/") as ws:
        assert await ws.receive() == "socket"


async def test_a_request_to_a_websockets_path_is_400() -> None:
    app = Triows(__name__)

    @app.websocket("/")
    async def socket() -> None: ...

    assert (await app.test_client().get("/")).status_code == 400


async def test_a_websocket_to_a_requests_path_is_400() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="page")(lambda: "page")
    assert (await rejection(app)).status_code == 400


async def test_hosts_may_be_matched() -> None:
    app = Triows(__name__, host_matching=True)
    app.get("/", host="a.example", endpoint="a")(lambda: "a")
    app.get("/", host="b.example", endpoint="b")(lambda: "b")
    client = app.test_client()
    assert await (await client.get("/", headers={"Host": "b.example"})).get_data() == b"b"


async def test_subdomains_may_be_matched() -> None:
    app = Triows(__name__, subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.com"
    app.get("/", endpoint="main")(lambda: "main")
    app.get("/", subdomain="<user>", endpoint="sub")(lambda user: user)
    client = app.test_client()
    assert await (await client.get("/")).get_data() == b"main"
    assert await (await client.get("/", subdomain="ann")).get_data() == b"ann"


async def test_a_rule_may_be_for_a_subdomain_of_the_servers_name() -> None:
    app = Triows(__name__)
    app.config["SERVER_NAME"] = "example.com"
    app.get("/", endpoint="main")(lambda: "main")
    app.get("/", subdomain="<user>", endpoint="sub")(lambda user: f"{user} {url_for('sub', user='bob')}")
    client = app.test_client()
    assert await (await client.get("/")).get_data() == b"main"
    assert await (await client.get("/", subdomain="ann")).get_data() == b"ann http://bob.example.com/"


async def test_a_websocket_may_be_for_a_subdomain() -> None:
    app = Triows(__name__)
    app.config["SERVER_NAME"] = "example.com"

    @app.websocket("/", subdomain="api")
    async def ws() -> None:
        await websocket.send("api")

    async with app.test_client().websocket("/", subdomain="api") as socket:
        assert await socket.receive() == "api"
    assert (await rejection(app)).status_code == 404


async def test_a_subdomain_of_nothing_is_refused() -> None:
    app = Triows(__name__, subdomain_matching=True)
    app.get("/", subdomain="api", endpoint="api")(lambda: "")
    with pytest.raises(RuntimeError, match=r"set app\.config\['SERVER_NAME'\]"):
        await app.test_client().get("/")
    with pytest.raises(RuntimeError, match=r"set app\.config\['SERVER_NAME'\]"):
        async with app.serving():
            pass


def test_a_host_that_would_not_be_looked_at_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'/' is for the host 'a\.example'.*host_matching=True"):
        Triows(__name__).get("/", host="a.example", endpoint="a")(lambda: "")
    with pytest.raises(ValueError, match=r"'/' is for the subdomain 'a'.*give it host="):
        Triows(__name__, host_matching=True).get("/", subdomain="a", endpoint="a")(lambda: "")
    with pytest.raises(ValueError, match="exclude each other"):
        Triows(__name__, host_matching=True, subdomain_matching=True)


@pytest.mark.parametrize("subdomains", [True, False])
async def test_a_host_outside_of_the_servers_name_is_404_with_one_warning(subdomains: bool) -> None:
    app = Triows(__name__, subdomain_matching=subdomains)
    app.config["SERVER_NAME"] = "example.com"
    app.get("/", endpoint="main")(lambda: "main")

    @app.errorhandler(404)
    async def missing(error: Exception) -> tuple[str, int]:
        return url_for("main", _external=True), 404

    client = app.test_client()
    with pytest.warns(UserWarning, match=r"the host 'evil\.example'.*SERVER_NAME.*'example\.com'"):
        await client.get("/", headers={"Host": "evil.example"})
    for host in ("evil.example", "evilexample.com", "example.com.evil", "evil.example:80"):
        response = await client.get("/", headers={"Host": host})
        assert (response.status_code, await response.get_data()) == (404, b"http://example.com/"), host
    assert (await client.get("/", headers={"Host": "EXAMPLE.com:80"})).status_code == 200


async def test_a_websocket_for_a_host_outside_of_the_servers_name_is_404() -> None:
    app = Triows(__name__)
    app.config["SERVER_NAME"] = "example.com"

    @app.websocket("/")
    async def ws() -> None:
        await websocket.accept()

    with pytest.warns(UserWarning, match="SERVER_NAME"):
        response = await rejection(app, headers={"Host": "other.example"})
    assert response.status_code == 404


async def test_a_request_without_a_host_is_for_the_servers_name() -> None:
    app = Triows(__name__)
    app.config["SERVER_NAME"] = "example.com"

    @app.get("/")
    async def view() -> str:
        return url_for("view", _external=True)

    async with http(app, http_version="1.0", headers=[], server=("10.0.0.1", 80)) as server:
        server.put("http.request")
        sent = await server.rest()
    assert (sent[0]["status"], sent[1]["body"]) == (200, b"http://example.com/")


@pytest.mark.parametrize("host", ["", "a" * 300, "a b", "[", "]", "[::1", "a:b:c", "a:99999999", "ä", "%", "\\", "@"])
async def test_any_host_header_is_answered(host: str) -> None:
    app = Triows(__name__)

    @app.get("/")
    async def view() -> str:
        return request.host + request.url + url_for("view", _external=True)

    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.serve_stream, server)
        wire = Wire(client)
        await wire.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
        assert (await wire.read_response()).status < 500
        await client.aclose()


# Registration


def test_an_endpoint_has_one_function() -> None:
    app = Triows(__name__)
    app.add_url_rule("/a", "same", lambda: "")
    with pytest.raises(AssertionError, match="'same'"):
        app.add_url_rule("/b", "same", lambda: "")


async def test_an_endpoint_may_have_several_rules() -> None:
    app = Triows(__name__, static_folder=None)
    view = app.get("/a", endpoint="view")(app.get("/b", endpoint="view")(lambda: request.path))
    assert app.view_functions == {"view": view}
    client = app.test_client()
    assert [await (await client.get(path)).get_data() for path in ("/a", "/b")] == [b"/a", b"/b"]


async def test_a_function_may_come_after_its_rule() -> None:
    app = Triows(__name__)
    app.add_url_rule("/", "later")
    app.endpoint("later")(lambda: "here")
    assert await (await app.test_client().get("/")).get_data() == b"here"


@pytest.mark.parametrize("rule_first", [True, False])
async def test_a_websockets_function_and_its_rule_may_come_in_any_order(rule_first: bool) -> None:
    app = Triows(__name__)
    if rule_first:
        app.add_websocket("/", "apart")

    @app.endpoint("apart")
    async def handler(socket: WebSocket) -> None:
        await socket.send("here")

    if not rule_first:
        app.add_websocket("/", "apart")
    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "here"


async def test_a_function_takes_the_place_of_another_by_its_endpoint() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="page")(lambda: "first")

    @app.endpoint("page")
    async def second() -> str:
        return "second"

    assert await (await app.test_client().get("/")).get_data() == b"second"


async def test_a_handler_of_a_blueprints_websocket_takes_the_place_of_another() -> None:
    part = Blueprint("part", __name__)

    @part.websocket("/", endpoint="socket")
    async def first() -> None: ...

    @part.endpoint("socket")
    async def second(socket: WebSocket) -> None:
        await socket.send("second")

    app = Triows(__name__)
    app.register_blueprint(part)
    async with app.test_client().websocket("/") as ws:
        assert await ws.receive() == "second"


def test_a_synchronous_function_is_refused_for_a_websockets_endpoint() -> None:
    app = Triows(__name__)
    app.add_websocket("/", "apart")
    with pytest.raises(TypeError, match="async def"):
        app.endpoint("apart")(lambda: None)


def test_a_function_without_a_name_needs_an_endpoint() -> None:
    with pytest.raises(TypeError, match="endpoint='name'"):
        Triows(__name__).add_url_rule("/", view_func=partial(print, "x"))


async def test_a_partial_is_a_view() -> None:
    async def view(prefix: str, name: str) -> str:
        return prefix + name

    app = Triows(__name__)
    app.add_url_rule("/<name>", "view", partial(view, "Hello "))
    assert await (await app.test_client().get("/Ann")).get_data() == b"Hello Ann"


async def test_an_object_with_an_async_call_is_a_view() -> None:
    class View:
        async def __call__(self) -> str:
            return "called"

    app = Triows(__name__)
    app.add_url_rule("/", "view", View())
    assert await (await app.test_client().get("/")).get_data() == b"called"


async def test_a_decorator_may_wrap_an_async_view_in_a_plain_function() -> None:
    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda: function()

    app = Triows(__name__)

    @app.get("/", endpoint="view")
    @wrapped
    async def view() -> str:
        return "awaited"

    assert await (await app.test_client().get("/")).get_data() == b"awaited"


def test_a_websocket_handler_must_be_async() -> None:
    def handler() -> None: ...

    with pytest.raises(TypeError, match=r"handler\(\) .*async def"):
        Triows(__name__).websocket("/")(handler)


def test_a_websocket_handler_must_not_yield() -> None:
    async def handler() -> Any:
        yield "message"

    with pytest.raises(TypeError, match=r"handler\(\) .*yields.*websocket\.send"):
        Triows(__name__).websocket("/")(handler)


def test_a_malformed_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="must start with a slash"):
        Triows(__name__).get("no-slash")(lambda: "")


def test_a_wrong_limit_of_a_websocket_is_refused_where_it_is_written() -> None:
    async def handler() -> None: ...

    with pytest.raises(ValueError, match="max_message_size"):
        Triows(__name__).websocket("/", max_message_size=0)(handler)


async def test_a_routes_limits_are_its_own() -> None:
    app = Triows(__name__, max_message_size=100)

    async def handler() -> None:
        await websocket.send(str(websocket.connection.limits.max_message_size))

    app.add_websocket("/own", "own", handler, max_message_size=7)
    app.add_websocket("/apps", "apps", handler)
    client = app.test_client()
    async with client.websocket("/own") as own, client.websocket("/apps") as apps:
        assert [await own.receive(), await apps.receive()] == ["7", "100"]


async def test_a_limit_changed_in_the_config_holds_for_the_next_websocket() -> None:
    app = Triows(__name__)

    @app.websocket("/")
    async def handler() -> None:
        await websocket.send(str(websocket.connection.limits.max_message_size))

    client = app.test_client()
    async with client.websocket("/") as ws:
        assert await ws.receive() == str(2**20)
    app.config["MAX_MESSAGE_SIZE"] = 5
    async with client.websocket("/") as ws:
        assert await ws.receive() == "5"


# What the handler is told


async def test_the_matched_rule_is_on_the_request() -> None:
    app = Triows(__name__)

    @app.get("/<int:number>")
    async def view(number: int) -> list[Any]:
        assert request.url_rule is not None
        return [request.url_rule.rule, request.endpoint, request.view_args]

    assert await (await app.test_client().get("/5")).get_json() == ["/<int:number>", "view", {"number": 5}]


async def test_preprocessors_may_change_the_variables() -> None:
    app = Triows(__name__)

    @app.url_value_preprocessor
    def take_language(endpoint: str | None, values: dict[str, Any] | None) -> None:
        assert endpoint == "view"
        assert values is not None
        values["language"] = values["language"].upper()

    @app.get("/<language>/")
    async def view(language: str) -> str:
        return language

    assert await (await app.test_client().get("/en/")).get_data() == b"EN"


async def test_preprocessors_see_the_session_and_may_lift_the_bodys_limit() -> None:
    app = Triows(__name__, max_body_size=3)
    app.secret_key = "k"

    @app.url_value_preprocessor
    def note_visit(endpoint: str | None, values: dict[str, Any] | None) -> None:
        session["endpoint"] = endpoint
        request.max_content_length = 5

    @app.post("/")
    async def view() -> dict[str, Any]:
        return {"session": dict(session), "size": len(await request.get_data())}

    response = await app.test_client().post("/", data=b"12345")
    assert await response.get_json() == {"session": {"endpoint": "view"}, "size": 5}
    async with app.test_request_context("/", method="POST"):
        await app.preprocess_request()
        assert session == {"endpoint": "view"}


@pytest.mark.parametrize("sort", ["url_value_preprocessor", "url_defaults"])
@pytest.mark.parametrize("owner", [Triows(__name__), Blueprint("part", __name__)])
def test_hooks_of_urls_are_not_async(owner: Any, sort: str) -> None:
    async def check(endpoint: str, values: dict[str, Any]) -> None: ...

    with pytest.raises(TypeError, match=r"check\(\) \(.*\) is async, and nobody would await it here"):
        getattr(owner, sort)(check)


async def test_rules_of_werkzeugs_own_may_be_added() -> None:
    app = Triows(__name__)
    app.url_map.add(WerkzeugRule("/page", endpoint="page"))
    app.url_map.add(
        Submount("/below", [WerkzeugRule("/page", endpoint="page"), app.url_rule_class("/", endpoint="page")])
    )
    app.url_map.add(WerkzeugRule("/ws", endpoint="ws", websocket=True))

    @app.endpoint("page")
    async def page() -> str:
        return request.path

    @app.endpoint("ws")
    async def ws() -> None:
        await websocket.send("hello")

    for path in ("/page", "/below/page", "/below/"):
        assert await body(app, path) == path.encode()
    async with app.test_client().websocket("/ws") as client:
        assert await client.receive() == "hello"


# What is remembered


async def test_a_rule_that_was_found_before_gives_way_to_rules_added_later() -> None:
    app = Triows(__name__)
    app.add_url_rule("/a", "first", lambda: "first", methods=["GET"])
    client = app.test_client()
    for _ in range(2):
        assert await (await client.get("/a")).get_data() == b"first"
        assert (await client.post("/a")).status_code == 405
    app.add_url_rule("/a", "second", lambda: "second", methods=["POST"])
    assert await (await client.post("/a")).get_data() == b"second"
    assert await (await client.get("/a")).get_data() == b"first"
    assert (await client.get("/a/")).status_code == 404


async def test_the_rules_that_are_remembered_are_bounded() -> None:
    app = Triows(__name__)
    app.add_url_rule("/a", "a", lambda: "a", methods=["GET"])
    client = app.test_client()
    for number in range(70):
        assert (await client.get("/a", headers={"Host": f"host{number}.example"})).status_code == 200
    assert len(app.url_map._adapters) <= 64
    assert len(app.url_map._found) <= 64


# The functions of views


async def body(app: Triows, path: str = "/") -> bytes:
    return await (await app.test_client().get(path)).get_data()


# Options


async def test_options_are_answered_where_it_is_asked_for() -> None:
    app = Triows(__name__)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.get("/off", endpoint="off")(lambda: "")
    app.add_url_rule("/on", "on", lambda: "", provide_automatic_options=True)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = True
    app.get("/default", endpoint="default")(lambda: "")
    app.add_url_rule("/not", "not", lambda: "", provide_automatic_options=False)
    client = app.test_client()
    statuses = {path: (await client.options(path)).status_code for path in ("/off", "/on", "/default", "/not")}
    assert statuses == {"/off": 405, "/on": 200, "/default": 200, "/not": 405}


def test_routes_have_no_options_of_the_other_kind() -> None:
    app, part = Triows(__name__), Blueprint("part", __name__)

    async def ws() -> None: ...

    for owner in (app, part):
        with pytest.raises(TypeError, match=r"the route '/' has no option 'websocket': .*websocket\(\)"):
            owner.get("/", websocket=True)(ws)
        for option in ({"methods": ["POST"]}, {"provide_automatic_options": False}, {"websocket": False}):
            with pytest.raises(TypeError, match=f"the websocket route '/' has no option '{next(iter(option))}'"):
                owner.websocket("/", **option)(ws)
