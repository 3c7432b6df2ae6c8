"""Blueprints: where their routes end up, under which names, and how they nest. Their hooks: test_hooks.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from triows import Blueprint, Triows, WebSocket, WebsocketResponseError, abort, request, url_for, websocket
from triows.framework.routes.blueprints import BlueprintSetup


async def text(app: Triows, path: str, **options: Any) -> str:
    response = await app.test_client().get(path, **options)
    assert response.status_code == 200, response.status_code
    return await response.get_data(as_text=True)


async def message(app: Triows, path: str) -> str | bytes:
    async with app.test_client().websocket(path) as ws:
        return await ws.receive()


def echo(blueprint: Blueprint, rule: str = "/", **options: Any) -> None:
    """Add a route that answers with its endpoint."""
    blueprint.get(rule, endpoint="view", **options)(lambda **values: f"{request.endpoint}")


# Routes


async def test_routes_of_every_kind_are_registered() -> None:
    part = Blueprint("part", __name__)
    part.get("/get", endpoint="get")(lambda: "got")
    part.route("/route", methods=["GET"], endpoint="route")(lambda: "routed")
    part.add_url_rule("/added", "added", lambda: "added")

    @part.websocket("/ws")
    async def ws() -> None:
        await websocket.send("socket")

    app = Triows(__name__)
    app.register_blueprint(part)
    assert [await text(app, path) for path in ("/get", "/route", "/added")] == ["got", "routed", "added"]
    assert await message(app, "/ws") == "socket"


async def test_a_prefix_is_put_before_every_rule() -> None:
    part = Blueprint("part", __name__, url_prefix="/part")
    echo(part, "/page")

    @part.websocket("/ws")
    async def ws() -> None:
        await websocket.send(websocket.path)

    app = Triows(__name__)
    app.register_blueprint(part)
    assert await text(app, "/part/page") == "part.view"
    assert await message(app, "/part/ws") == "/part/ws"


@pytest.mark.parametrize(
    ("prefix", "rule", "path"),
    [
        ("/part", "/", "/part/"),
        ("/part", "", "/part"),
        ("/part/", "/page", "/part/page"),
        ("/part", "page", "/part/page"),
        ("/", "/page", "/page"),
        ("", "/page", "/page"),
        ("/<int:number>", "/page", "/5/page"),
    ],
)
async def test_prefix_and_rule_are_joined_by_one_slash(prefix: str, rule: str, path: str) -> None:
    part = Blueprint("part", __name__, url_prefix=prefix)
    echo(part, rule)
    app = Triows(__name__)
    app.register_blueprint(part)
    assert await text(app, path) == "part.view"


async def test_the_registration_may_choose_another_prefix() -> None:
    part = Blueprint("part", __name__, url_prefix="/part")
    echo(part, "/page")
    app = Triows(__name__)
    app.register_blueprint(part, url_prefix="/other")
    assert await text(app, "/other/page") == "part.view"
    assert (await app.test_client().get("/part/page")).status_code == 404


async def test_a_blueprint_may_be_registered_twice_under_two_names() -> None:
    part = Blueprint("part", __name__)
    echo(part)
    app = Triows(__name__)
    app.register_blueprint(part, url_prefix="/one")
    app.register_blueprint(part, url_prefix="/two", name="second")
    assert [await text(app, "/one/"), await text(app, "/two/")] == ["part.view", "second.view"]


async def test_a_blueprint_may_be_registered_on_two_apps() -> None:
    part = Blueprint("part", __name__)
    echo(part)
    for _ in range(2):
        app = Triows(__name__)
        app.register_blueprint(part)
        assert await text(app, "/") == "part.view"


async def test_defaults_of_the_blueprint_are_arguments() -> None:
    part = Blueprint("part", __name__, url_defaults={"language": "en"})
    part.get("/", endpoint="view", defaults={"page": 1})(lambda language, page: f"{language} {page}")
    app = Triows(__name__)
    app.register_blueprint(part, url_prefix="/a")
    app.register_blueprint(part, url_prefix="/b", name="b", url_defaults={"language": "de"})
    assert [await text(app, "/a/"), await text(app, "/b/")] == ["en 1", "de 1"]


async def test_a_blueprint_may_have_a_subdomain() -> None:
    part = Blueprint("part", __name__, subdomain="api")
    echo(part)
    app = Triows(__name__, subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.com"
    app.register_blueprint(part)
    assert await text(app, "/", subdomain="api") == "part.view"
    assert (await app.test_client().get("/")).status_code == 404


async def test_limits_of_a_blueprints_websocket_are_its_own() -> None:
    part = Blueprint("part", __name__)

    @part.websocket("/", max_message_size=7)
    async def ws() -> None:
        await websocket.send(str(websocket.connection.limits.max_message_size))

    app = Triows(__name__)
    app.register_blueprint(part)
    assert await message(app, "/") == "7"


async def test_a_function_may_come_after_its_rule() -> None:
    part = Blueprint("part", __name__)
    part.add_url_rule("/", "later")
    part.endpoint("later")(lambda: "here")
    app = Triows(__name__)
    app.register_blueprint(part)
    assert await text(app, "/") == "here"


async def test_a_websockets_function_may_come_after_its_rule() -> None:
    part = Blueprint("part", __name__)
    part.add_websocket("/", "later")

    @part.endpoint("later")
    async def ws(socket: WebSocket) -> None:
        await socket.send("here")

    app = Triows(__name__)
    app.register_blueprint(part)
    assert await message(app, "/") == "here"


# Names


async def test_the_request_knows_its_blueprints() -> None:
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__)
    inner.get("/", endpoint="view")(lambda: [request.blueprint, request.blueprints])
    outer.register_blueprint(inner)
    app = Triows(__name__)
    app.register_blueprint(outer)
    app.get("/plain", endpoint="plain")(lambda: [request.blueprint, request.blueprints])
    client = app.test_client()
    assert await (await client.get("/")).get_json() == ["outer.inner", ["outer.inner", "outer"]]
    assert await (await client.get("/plain")).get_json() == [None, []]


async def test_url_for_with_a_dot_stays_in_the_blueprint() -> None:
    part = Blueprint("part", __name__, url_prefix="/part")
    part.get("/a", endpoint="a")(lambda: url_for(".b"))
    part.get("/b", endpoint="b")(lambda: "")
    app = Triows(__name__)
    app.register_blueprint(part)
    app.register_blueprint(part, name="other", url_prefix="/other")
    assert [await text(app, "/part/a"), await text(app, "/other/a")] == ["/part/b", "/other/b"]


async def test_url_for_with_a_dot_outside_of_a_blueprint_is_the_apps() -> None:
    app = Triows(__name__)
    app.get("/a", endpoint="a")(lambda: url_for(".b"))
    app.get("/b", endpoint="b")(lambda: "")
    assert await text(app, "/a") == "/b"


async def test_url_defaults_of_a_blueprint_are_for_its_endpoints() -> None:
    part = Blueprint("part", __name__)
    part.get("/<language>/", endpoint="view")(lambda language: "")

    @part.url_defaults
    def language(endpoint: str, values: dict[str, Any]) -> None:
        values.setdefault("language", "en")

    app = Triows(__name__)
    app.register_blueprint(part)
    app.get("/plain", endpoint="plain")(lambda: "")
    async with app.test_request_context("/"):
        assert [url_for("part.view"), url_for("plain")] == ["/en/", "/plain"]


async def test_preprocessors_of_a_blueprint_are_for_its_routes() -> None:
    part = Blueprint("part", __name__)
    part.get("/<language>/", endpoint="view")(lambda: "without the variable")

    @part.url_value_preprocessor
    def take(endpoint: str | None, values: dict[str, Any] | None) -> None:
        assert values is not None
        values.pop("language")

    app = Triows(__name__)
    app.register_blueprint(part)
    app.get("/plain", endpoint="plain")(lambda: "plain")
    assert [await text(app, "/en/"), await text(app, "/plain")] == ["without the variable", "plain"]


def test_a_name_is_taken_once() -> None:
    app = Triows(__name__)
    app.register_blueprint(Blueprint("part", __name__))
    with pytest.raises(ValueError, match=r"'part' already.*name='other'"):
        app.register_blueprint(Blueprint("part", __name__))


@pytest.mark.parametrize("name", ["", "with.dot"])
def test_names_have_no_dots_and_are_not_empty(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be named"):
        Blueprint(name, __name__)


def test_endpoints_have_no_dots() -> None:
    with pytest.raises(ValueError, match=r"'a\.b' cannot be an endpoint"):
        Blueprint("part", __name__).get("/", endpoint="a.b")(lambda: "")


LATE: dict[str, Callable[[Blueprint], object]] = {
    "a route": lambda part: part.get("/late", endpoint="late")(lambda: ""),
    "a websocket": lambda part: part.websocket("/late", endpoint="late")(nothing),
    "endpoint": lambda part: part.endpoint("late")(lambda: ""),
    "errorhandler": lambda part: part.errorhandler(ValueError)(print),
    "register_error_handler": lambda part: part.register_error_handler(404, print),
    "app_errorhandler": lambda part: part.app_errorhandler(404)(print),
    "register_blueprint": lambda part: part.register_blueprint(Blueprint("child", __name__)),
    "record": lambda part: part.record(print),
    "record_once": lambda part: part.record_once(print),
    **{
        name: lambda part, name=name: getattr(part, name)(print)  # type: ignore[misc]
        for name in (
            *(f"{when}_{kind}" for when in ("before", "after", "teardown") for kind in ("request", "websocket")),
            *(f"{when}_app_{kind}" for when in ("before", "after", "teardown") for kind in ("request", "websocket")),
            "before_app_serving",
            "after_app_serving",
            "while_app_serving",
            "url_value_preprocessor",
            "url_defaults",
        )
    },
}


async def nothing() -> None: ...


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_a_blueprint_is_complete_when_it_is_registered(late: Callable[[Blueprint], object]) -> None:
    part = Blueprint("part", __name__)
    Triows(__name__).register_blueprint(part)
    with pytest.raises(RuntimeError, match=r"'part' was registered already.*before register_blueprint\(\)"):
        late(part)


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_a_nested_blueprint_is_complete_when_the_outer_one_is_registered(late: Callable[[Blueprint], object]) -> None:
    outer, part = Blueprint("outer", __name__), Blueprint("part", __name__)
    outer.register_blueprint(part)
    Triows(__name__).register_blueprint(outer)
    with pytest.raises(RuntimeError, match="'part' was registered already"):
        late(part)


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_a_recorded_function_cannot_add_to_its_blueprint(late: Callable[[Blueprint], object]) -> None:
    part = Blueprint("part", __name__)
    part.record(lambda setup: late(part) and None)
    with pytest.raises(RuntimeError, match="'part' was registered already"):
        Triows(__name__).register_blueprint(part)


@pytest.mark.parametrize("name", ["name", "subdomain", "url_prefix", "url_values"])
def test_what_a_registration_has_read_cannot_be_set_any_more(name: str) -> None:
    part = Blueprint("part", __name__)
    setattr(part, name, {"before": 1} if name == "url_values" else "before")
    app = Triows(__name__)
    app.config["SERVER_NAME"] = "example.com"
    app.register_blueprint(part)
    with pytest.raises(RuntimeError, match=rf"^{name} of the blueprint '\w+' is set to 'late', but .*already"):
        setattr(part, name, "late")


def test_a_registration_has_no_other_options() -> None:
    part, outer = Blueprint("part", __name__), Blueprint("outer", __name__)
    with pytest.raises(TypeError, match=r"no option 'prefix'.*the options are cli_group, name, .*url_prefix"):
        Triows(__name__).register_blueprint(part, prefix="/part")
    with pytest.raises(TypeError, match="no option 'prefix'"):
        outer.register_blueprint(part, prefix="/part")


def test_a_recorded_function_reads_options_of_its_own() -> None:
    part = Blueprint("part", __name__)
    seen: list[Any] = []
    part.record(lambda setup: seen.append(setup.options["color"]))
    Triows(__name__).register_blueprint(part, color="red")
    assert seen == ["red"]


# On a second app


async def test_what_is_for_the_whole_app_is_for_each_app() -> None:
    part = Blueprint("part", __name__)
    events: list[str] = []
    part.before_app_request(lambda: abort(401) if "Authorization" not in request.headers else None)
    part.app_errorhandler(404)(lambda error: ("the blueprint's", 404))
    part.before_app_serving(lambda: events.append("before"))
    part.after_app_serving(lambda: events.append("after"))
    part.record_once(lambda setup: events.append(f"registered on {setup.app.name}"))

    @part.before_app_websocket
    async def login_required() -> None:
        abort(401)

    @part.after_app_request
    async def mark(response: Any) -> Any:
        response.headers["X-Part"] = "1"
        return response

    for name in ("one", "two"):
        app = Triows(name)
        app.register_blueprint(part)
        app.get("/", endpoint="view")(lambda: "secret")
        app.websocket("/ws")(nothing)
        async with app.test_app() as test_app:
            client = test_app.test_client()
            refused = await client.get("/")
            assert (refused.status_code, refused.headers["X-Part"]) == (401, "1")
            missing = await client.get("/nowhere", headers={"Authorization": "x"})
            assert await missing.get_data() == b"the blueprint's"
            with pytest.raises(WebsocketResponseError) as rejected:
                async with client.websocket("/ws"):
                    pass
            assert rejected.value.response.status_code == 401
        assert events == [f"registered on {name}", "before", "after"]
        events.clear()


def test_a_blueprint_is_first_once_on_each_app() -> None:
    part, outer = Blueprint("part", __name__), Blueprint("outer", __name__)
    first: list[Any] = []
    part.record(lambda setup: first.append((setup.full_name, setup.first_registration)))
    outer.register_blueprint(part, name="inner")
    for _ in range(2):
        app = Triows(__name__)
        app.register_blueprint(part)
        app.register_blueprint(part, name="again")
        app.register_blueprint(outer)
        assert first == [("part", True), ("again", False), ("outer.inner", False)]
        first.clear()


# Nesting


async def test_prefixes_and_names_of_nested_blueprints_add_up() -> None:
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    middle = Blueprint("middle", __name__, url_prefix="/middle")
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    echo(inner, "/page")
    middle.register_blueprint(inner)
    outer.register_blueprint(middle)
    app = Triows(__name__)
    app.register_blueprint(outer)
    assert await text(app, "/outer/middle/inner/page") == "outer.middle.inner.view"
    assert list(app.blueprints) == ["outer", "outer.middle", "outer.middle.inner"]


async def test_nested_blueprints_may_be_registered_with_another_prefix_and_name() -> None:
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    echo(inner)
    outer.register_blueprint(inner, url_prefix="/other", name="renamed")
    app = Triows(__name__)
    app.register_blueprint(outer)
    assert await text(app, "/outer/other/") == "outer.renamed.view"


async def test_subdomains_of_nested_blueprints_add_up() -> None:
    outer, inner = Blueprint("outer", __name__, subdomain="b"), Blueprint("inner", __name__, subdomain="a")
    echo(inner)
    outer.register_blueprint(inner)
    app = Triows(__name__, subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.com"
    app.register_blueprint(outer)
    assert await text(app, "/", subdomain="a.b") == "outer.inner.view"


async def test_a_nested_blueprints_error_handler_wins_over_the_outer_ones() -> None:
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__, url_prefix="/inner")
    for owner, name in ((outer, "outer"), (inner, "inner")):
        owner.errorhandler(ZeroDivisionError)(lambda error, name=name: name)
        owner.get("/", endpoint="view")(lambda: 1 / 0)
    outer.register_blueprint(inner)
    app = Triows(__name__)
    app.register_blueprint(outer)
    assert [await text(app, "/inner/"), await text(app, "/")] == ["inner", "outer"]


def test_a_blueprint_is_not_nested_in_itself() -> None:
    part = Blueprint("part", __name__)
    with pytest.raises(ValueError, match="on itself"):
        part.register_blueprint(part)


# For the whole app


async def test_app_error_handlers_are_for_all_routes() -> None:
    part = Blueprint("part", __name__)
    part.app_errorhandler(404)(lambda error: "the blueprint's")
    app = Triows(__name__)
    app.register_blueprint(part)
    assert await text(app, "/nowhere") == "the blueprint's"


async def test_serving_functions_of_a_blueprint_run_with_the_app() -> None:
    events: list[str] = []
    part = Blueprint("part", __name__)
    part.before_app_serving(lambda: events.append("before"))
    part.after_app_serving(lambda: events.append("after"))

    @part.while_app_serving
    async def during() -> AsyncIterator[None]:
        events.append("while")
        yield
        events.append("end while")

    app = Triows(__name__)
    app.register_blueprint(part)
    async with app.test_app():
        assert events == ["before", "while"]
    assert events[2:] == ["end while", "after"]


def test_records_are_called_with_each_registration() -> None:
    part = Blueprint("part", __name__, url_prefix="/part")
    always: list[Any] = []
    once: list[Any] = []
    part.record(lambda setup: always.append((setup.full_name, setup.url_prefix, setup.first_registration)))
    part.record_once(lambda setup: once.append(setup.full_name))
    app = Triows(__name__)
    app.register_blueprint(part)
    app.register_blueprint(part, name="again", url_prefix="/again")
    assert always == [("part", "/part", True), ("again", "/again", False)]
    assert once == ["part"]


def test_a_setup_has_what_quarts_has(app: Triows) -> None:
    part, inner = Blueprint("part", __name__, url_prefix="/part"), Blueprint("inner", __name__, subdomain="own")
    seen: list[BlueprintSetup[Any]] = []
    inner.record(seen.append)
    part.register_blueprint(inner, name="renamed", url_prefix="/inner", url_defaults={"a": 1})
    app.register_blueprint(part, subdomain="sub")
    (setup,) = seen
    assert (setup.app, setup.blueprint, setup.first_registration) == (app, inner, True)
    assert (setup.name, setup.name_prefix, setup.full_name) == ("renamed", "part", "part.renamed")
    assert (setup.url_prefix, setup.subdomain, setup.url_defaults) == ("/part/inner", "own.sub", {"a": 1})
    assert setup.options["url_defaults"] == {"a": 1}


async def test_a_setup_adds_rules_with_the_prefix_and_the_name(app: Triows) -> None:
    part = Blueprint("part", __name__, url_prefix="/part")

    async def page(name: str) -> str:
        return f"{name} {request.endpoint}"

    async def socket() -> None:
        await websocket.send(f"{websocket.endpoint}")

    def add(setup: BlueprintSetup[Any]) -> None:
        setup.add_url_rule("/<name>", view_func=page)
        setup.add_url_rule("/", "root", page, defaults={"name": "root"})
        setup.add_websocket("/ws", view_func=socket)

    part.record(add)
    app.register_blueprint(part)
    client = app.test_client()
    assert await (await client.get("/part/ann")).get_data() == b"ann part.page"
    assert await (await client.get("/part/")).get_data() == b"root part.root"
    async with client.websocket("/part/ws") as ws:
        assert await ws.receive() == "part.socket"


def test_a_setup_without_a_prefix_has_none(app: Triows) -> None:
    part, seen = Blueprint("part", __name__), []
    part.record(lambda setup: seen.append((setup.url_prefix, setup.name_prefix)))
    app.register_blueprint(part)
    assert seen == [(None, "")]


def test_an_override_of_register_is_called_for_blueprints_inside_of_others(app: Triows) -> None:
    class Part(Blueprint):
        def register(self, app: Any, options: dict[str, Any]) -> None:
            seen.append(options["name_prefix"])
            super().register(app, options)

    seen: list[str] = []
    outer = Blueprint("outer", __name__)
    outer.register_blueprint(Part("inner", __name__))
    app.register_blueprint(outer)
    assert seen == ["outer"]
    assert "outer.inner" in app.blueprints
