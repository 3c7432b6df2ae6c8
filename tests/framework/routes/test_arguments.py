"""Mistakes that are found where a route, a hook or a handler is registered, and not by the first client.

Tests triows/framework/routes/arguments.py and triows/framework/routes/decorators.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import lru_cache, partial, update_wrapper, wraps
from typing import Any
from unittest import mock

import pytest

from triows import Blueprint, Request, Triows, WebSocket, g, request, websocket

Owner = Any
OWNERS: list[Callable[[], Owner]] = [lambda: Triows(__name__), lambda: Blueprint("part", __name__)]
owners = pytest.mark.parametrize("make", OWNERS, ids=["app", "blueprint"])


async def view() -> str:
    return "a page"


# Parentheses


@owners
@pytest.mark.parametrize("name", ["route", "get", "post", "put", "patch", "delete", "websocket"])
def test_a_route_needs_parentheses(make: Callable[[], Owner], name: str) -> None:
    owner = make()
    with pytest.raises(
        TypeError, match=rf"\.{name} stands without a rule before view\(\) .*write @.*\.{name}\('/path'\)"
    ):
        getattr(owner, name)(view)


@owners
@pytest.mark.parametrize("name", ["endpoint", "errorhandler"])
def test_other_decorators_with_an_argument_need_parentheses(make: Callable[[], Owner], name: str) -> None:
    with pytest.raises(TypeError, match=rf"\.{name} stands without parentheses before view\(\)"):
        getattr(make(), name)(view)


def test_a_blueprints_handler_of_the_apps_errors_needs_parentheses() -> None:
    with pytest.raises(TypeError, match=r"@blueprint\.app_errorhandler stands without parentheses before view\(\)"):
        Blueprint("part", __name__).app_errorhandler(view)  # type: ignore[arg-type]


BARE = [
    *(f"{when}_{kind}" for when in ("before", "after", "teardown") for kind in ("request", "websocket")),
    "url_value_preprocessor",
    "url_defaults",
]
OF_APPS = [*BARE, "before_serving", "after_serving", "while_serving", "lifespan", "teardown_appcontext"]
OF_BLUEPRINTS = [
    *BARE,
    *(f"{when}_app_{kind}" for when in ("before", "after", "teardown") for kind in ("request", "websocket")),
    *(f"{when}_app_serving" for when in ("before", "after", "while")),
]
BARE_OF_ALL = [(OWNERS[0], name) for name in OF_APPS] + [(OWNERS[1], name) for name in OF_BLUEPRINTS]


@pytest.mark.parametrize(("make", "name"), BARE_OF_ALL)
@pytest.mark.parametrize("arguments", [(), ("/path",), (None,)])
def test_a_hook_takes_no_parentheses(make: Callable[[], Owner], name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match=rf"\.{name} stands before a function, and got .*without parentheses"):
        getattr(make(), name)(*arguments)


@pytest.mark.parametrize(("make", "name"), BARE_OF_ALL)
def test_a_hook_that_was_called_asks_for_no_more_than_the_function(make: Callable[[], Owner], name: str) -> None:
    with pytest.raises(TypeError, match=r"did you forget 'await' before view\(\)\?"):
        getattr(make(), name)(view())


# Rules


@owners
@pytest.mark.parametrize("rule", [b"/", 3, None, ["/"]])
def test_a_rule_is_text(make: Callable[[], Owner], rule: Any) -> None:
    with pytest.raises(TypeError, match="a rule is text"):
        make().get(rule)


@owners
@pytest.mark.parametrize(
    ("rule", "meant"),
    [
        ("/users/{id}", "<id>"),
        ("/users/{id:int}", "<int:id>"),
        ("/files/{path:path}", "<path:path>"),
        (r"/users/{id:\d+}", "<id>"),
        ("/users/{id:str}", "<id>"),
        ("/<kind>/{name}", "<name>"),
        ("/{größe}", "<größe>"),
    ],
)
@pytest.mark.parametrize("kind", ["get", "websocket"])
def test_braces_in_a_rule_are_another_frameworks(make: Callable[[], Owner], kind: str, rule: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"did you mean '{meant}'\?"):
        getattr(make(), kind)(rule)


@pytest.mark.parametrize(
    ("text", "meant"), [("/{tenant}", "<tenant>"), ("/a/{tenant:int}/b", "<int:tenant>"), ("{tenant}", "<tenant>")]
)
@pytest.mark.parametrize("part", ["url_prefix", "subdomain"])
def test_braces_in_what_a_blueprint_puts_before_its_rules(app: Triows, part: str, text: str, meant: str) -> None:
    refused = pytest.raises(ValueError, match=rf"the {part} '{text}' has .*did you mean '{meant}'\?")
    with refused:
        Blueprint("part", __name__, **{part: text})  # type: ignore[arg-type]
    blueprint, outer = Blueprint("part", __name__), Blueprint("outer", __name__)
    with refused:
        setattr(blueprint, part, text)
    with refused:
        app.register_blueprint(blueprint, **{part: text})
    with refused:
        outer.register_blueprint(blueprint, **{part: text})
    app.register_blueprint(outer)
    app.register_blueprint(blueprint, **{part: meant.replace("<", "/<") if part == "url_prefix" else meant})
    assert [*app.blueprints] == ["outer", "part"]


def test_a_query_in_a_prefix_is_no_part_of_a_rule() -> None:
    with pytest.raises(ValueError, match=r"the url_prefix '/a\?b' has a '\?'"):
        Blueprint("part", __name__, url_prefix="/a?b")


def test_a_prefix_is_text(app: Triows) -> None:
    with pytest.raises(TypeError, match="url_prefix is 3; it is text, or None"):
        app.register_blueprint(Blueprint("part", __name__), url_prefix=3)


@owners
@pytest.mark.parametrize("kind", ["get", "websocket"])
@pytest.mark.parametrize("part", ["host", "subdomain"])
def test_braces_in_the_host_of_a_rule_are_another_frameworks(make: Callable[[], Owner], part: str, kind: str) -> None:
    with pytest.raises(ValueError, match=rf"the {part} '{{tenant}}.example.com' has .*did you mean '<tenant>'\?"):
        getattr(make(), kind)("/", **{part: "{tenant}.example.com"})(view)


async def test_braces_of_a_converters_argument_are_let_through(app: Triows) -> None:
    from werkzeug.routing import BaseConverter

    class Pattern(BaseConverter):
        def __init__(self, map: Any, pattern: str) -> None:
            super().__init__(map)
            self.regex = pattern

    app.url_map.converters["re"] = Pattern

    @app.get('/<re("[a-z]{2}|x{y}"):language>')
    async def page(language: str) -> str:
        return language

    assert await (await app.test_client().get("/en")).get_data() == b"en"


def test_a_query_is_no_part_of_a_rule(app: Triows) -> None:
    with pytest.raises(ValueError, match=r"has a '\?'.*request\.args"):
        app.get("/search?q=<q>")


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        ("/<id:int>", "did you mean '<int:id>'?"),
        ("/<name:str>", "did you mean '<name>'?"),
        ("/<name:string>", "did you mean '<name>'?"),
        ("/<rest:path>", "did you mean '<path:rest>'?"),
        ("/<str:name>", "did you mean 'string'?"),
        ("/<integer:id>", "did you mean 'int'?"),
        ("/<ind:id>", "did you mean 'int'?"),
        ("/<slug:name>", "The converters are any, default, float, int, path, string, uuid"),
    ],
)
def test_an_unknown_converter_says_which_was_meant(app: Triows, rule: str, hint: str) -> None:
    with pytest.raises(LookupError) as caught:
        app.get(rule)(view)
    assert hint in str(caught.value)
    assert repr(rule) in str(caught.value)


def test_the_same_function_can_be_registered_after_the_mistake(app: Triows) -> None:
    async def page(id: int) -> str:
        return str(id)

    for wrong in ("/<id:int>", "/", "/<int:number>"):
        with pytest.raises((LookupError, TypeError)):
            app.get(wrong)(page)
    app.get("/<int:id>")(page)
    assert [rule.rule for rule in app.url_map.iter_rules() if rule.endpoint == "page"] == ["/<int:id>"]


def test_an_endpoint_is_no_function(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"got the function view\(\) .* give it as view_func="):
        app.add_url_rule("/", view)  # type: ignore[arg-type]


def test_a_decorator_for_one_method_takes_no_others(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"use @app\.route\('/', methods=\['GET', 'POST'\]\)"):
        app.get("/", methods=["GET", "POST"])


def test_a_blueprints_websocket_handler_that_is_not_async_is_refused_where_it_stands() -> None:
    with pytest.raises(TypeError, match="is not async"):
        Blueprint("part", __name__).websocket("/")(lambda: None)


# Variables and parameters that do not suit each other


def register(kind: str, rule: str, function: Callable[..., Any], **options: Any) -> None:
    app = Triows(__name__)
    if kind == "blueprint":
        part = Blueprint("part", __name__)
        part.get(rule, **options)(function)
        app.register_blueprint(part)
    elif kind == "endpoint":
        app.add_url_rule(rule, endpoint="named", **options)
        app.endpoint("named")(function)
    elif kind == "add_url_rule":
        app.add_url_rule(rule, view_func=function, **options)
    else:
        getattr(app, kind)(rule, **options)(function)


KINDS = ["get", "websocket", "blueprint", "endpoint", "add_url_rule"]
kinds = pytest.mark.parametrize("kind", KINDS)


async def takes_id(id: int) -> None: ...
async def takes_request(request) -> None: ...  # type: ignore[no-untyped-def]
async def takes_ws(ws) -> None: ...  # type: ignore[no-untyped-def]
async def takes_keyword(*, id: int) -> None: ...
async def takes_position(id: int, /) -> None: ...


class Views:
    async def takes_id(self, id: int) -> None: ...

    async def __call__(self, id: int) -> None: ...


@kinds
@pytest.mark.parametrize(
    "function", [takes_id, takes_keyword, Views().takes_id, partial(takes_id), partial(Views().takes_id)]
)
def test_a_parameter_that_the_rule_does_not_give_is_an_error(kind: str, function: Any) -> None:
    options = {"endpoint": "named"} if isinstance(function, partial) and kind != "endpoint" else {}
    with pytest.raises(TypeError, match=r"takes 'id', which the rule '/' does not give; write '<id>' into the rule"):
        register(kind, "/", function, **options)


@kinds
def test_a_variable_that_the_function_does_not_take_is_an_error(kind: str) -> None:
    async def page() -> None: ...

    with pytest.raises(TypeError, match=r"the rule '/<int:id>' gives 'id', which .*page\(\) .* does not take"):
        register(kind, "/<int:id>", page)


@kinds
def test_names_that_differ_are_named_together(kind: str) -> None:
    with pytest.raises(TypeError, match=r"takes 'id', and the rule '/<int:number>' gives 'number'; give both the same"):
        register(kind, "/<int:number>", takes_id)


def test_a_default_that_the_function_does_not_take_is_an_error() -> None:
    with pytest.raises(TypeError, match="gives 'page', which"):
        register("get", "/<int:id>", takes_id, defaults={"page": 1})


def test_an_objects_call_is_checked_too() -> None:
    with pytest.raises(TypeError, match="takes 'id', which the rule '/' does not give"):
        register("get", "/", Views(), endpoint="named")


def test_a_parameter_by_position_alone_is_never_given() -> None:
    with pytest.raises(TypeError, match="takes 'id' by position alone"):
        register("get", "/<int:id>", takes_position)


def test_a_method_without_its_object_is_named(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"takes 'self' and 'id', which .*; it is a method: give that of an object"):
        register("get", "/", Views.takes_id)


def test_the_syntax_of_a_colon_is_explained() -> None:
    with pytest.raises(TypeError, match=r"did you mean '<id>' in place of ':id'\?"):
        register("get", "/users/:id", takes_id)


@pytest.mark.parametrize(
    ("kind", "function", "hint"),
    [
        ("get", takes_request, r"import 'request' from triows.*'request: triows\.Request'"),
        ("websocket", takes_ws, r"import 'websocket' from triows.*'ws: triows\.WebSocket'"),
    ],
)
def test_a_parameter_for_what_is_a_global_is_explained(kind: str, function: Any, hint: str) -> None:
    with pytest.raises(TypeError, match=hint):
        register(kind, "/", function)


def test_a_query_is_no_parameter() -> None:
    with pytest.raises(TypeError, match=r"a query is in request\.args, a body in"):
        register("get", "/", takes_id)


def test_the_prefix_of_a_blueprint_gives_variables_too(app: Triows) -> None:
    part = Blueprint("part", __name__, url_prefix="/<tenant>")
    part.get("/<int:id>")(takes_id)
    with pytest.raises(TypeError, match="'/<tenant>/<int:id>' gives 'tenant', which takes_id"):
        app.register_blueprint(part)


# What is let through


def wrapped(function: Callable[..., Any]) -> Any:
    """What a decorator that gives or takes arguments makes."""

    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


class Wrapper:
    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self.function = function

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await self.function(*args, **kwargs)


async def takes_all(**kwargs: Any) -> None: ...
async def takes_everything(*args: Any, **kwargs: Any) -> None: ...
async def has_default(id: int = 0, *, other: str = "") -> None: ...
async def takes_both(id: int, name: str) -> None: ...
async def takes_socket(id: int, socket: WebSocket) -> None: ...
async def takes_req(id: int, req: Request) -> None: ...
async def takes_text(id: int, req: triows.Request) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("rule", "function"),
    [
        ("/", takes_all),
        ("/<int:id>", takes_all),
        ("/<int:id>/<name>", takes_everything),
        ("/", has_default),
        ("/<int:id>", has_default),
        ("/<other>", has_default),
        ("/<int:id>", partial(takes_both, name="x")),
        ("/<name>", partial(takes_both, 3)),
        ("/<int:id>", Views().takes_id),
        ("/<int:id>", Views()),
        ("/", wrapped(takes_id)),
        ("/<int:id>/<name>", wrapped(takes_id)),
        ("/", Wrapper(takes_id)),
        ("/", partial(wrapped(takes_id))),
        ("/<int:id>", takes_req),
        ("/<int:id>", takes_text),
        ("/<int:id>", mock.AsyncMock(__name__="mocked")),
        ("/<int:id>", mock.create_autospec(takes_id)),
        ("/", lru_cache(lambda id: "")),
    ],
)
def test_what_may_be_called_with_the_variables_is_let_through(rule: str, function: Any) -> None:
    register("get", rule, function, endpoint="named")


def test_a_websocket_parameter_is_given(app: Triows) -> None:
    register("websocket", "/<int:id>", takes_socket)


def test_defaults_of_the_route_are_given() -> None:
    register("get", "/", takes_id, defaults={"id": 1})


def test_variables_of_the_host_are_given() -> None:
    app = Triows(__name__, host_matching=True)

    @app.get("/", host="<tenant>.example.com")
    async def page(tenant: str) -> str:
        return tenant


def test_variables_of_the_subdomain_are_given(app: Triows) -> None:
    @app.get("/", subdomain="<tenant>")
    async def page(tenant: str) -> str:
        return tenant


def test_the_defaults_of_a_blueprint_are_given(app: Triows) -> None:
    part = Blueprint("part", __name__, url_defaults={"id": 3})
    part.get("/")(takes_id)
    app.register_blueprint(part)


def test_a_rule_that_redirects_calls_no_view(app: Triows) -> None:
    app.add_url_rule("/old/<int:number>", view_func=view, redirect_to="/new")


def test_a_rule_that_only_builds_urls_calls_no_view(app: Triows) -> None:
    app.add_url_rule("/cdn/<path:file>", "cdn", view, build_only=True)


def pop_language(endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.language = values.pop("language") if values else None


async def page() -> str:
    return str(g.language)


async def test_a_variable_that_a_preprocessor_takes_out_is_let_through(app: Triows) -> None:
    app.url_value_preprocessor(pop_language)
    app.get("/<language>/")(page)
    assert await (await app.test_client().get("/en/")).get_data() == b"en"


async def test_the_preprocessor_may_be_registered_behind_the_route(app: Triows) -> None:
    app.get("/<language>/")(page)
    app.url_value_preprocessor(pop_language)
    assert await (await app.test_client().get("/en/")).get_data() == b"en"


def add_pages(app: Triows) -> None:
    app.get("/<language>/")(page)


async def test_the_preprocessor_may_be_registered_by_who_calls_the_function_with_the_routes(app: Triows) -> None:
    add_pages(app)
    app.url_value_preprocessor(pop_language)
    assert await (await app.test_client().get("/en/")).get_data() == b"en"


async def test_a_variable_that_a_before_hook_takes_out_is_let_through(app: Triows) -> None:
    @app.before_request
    async def pop() -> None:
        assert request.view_args is not None
        g.language = request.view_args.pop("language")

    add_pages(app)
    assert await (await app.test_client().get("/en/")).get_data() == b"en"


class Popping:
    def __call__(self) -> None:
        assert request.view_args is not None
        g.language = request.view_args.pop("language")

    def pop(self, name: str) -> None:
        assert request.view_args is not None
        g.language = request.view_args.pop(name)


@pytest.mark.parametrize("hook", [Popping(), Popping().__call__, partial(Popping().pop, "language")])
async def test_hooks_of_other_kinds_are_looked_into_too(app: Triows, hook: Any) -> None:
    app.before_request(hook)
    add_pages(app)
    assert await (await app.test_client().get("/en/")).get_data() == b"en"


def test_a_hook_that_cannot_be_read_may_change_anything(app: Triows) -> None:
    app.before_request(print)
    add_pages(app)


def test_a_hook_that_changes_nothing_hides_no_mistake(app: Triows) -> None:
    app.before_request(lambda: None)
    with pytest.raises(TypeError, match="gives 'language', which page"):
        add_pages(app)


async def test_a_parameter_that_a_preprocessor_gives_is_let_through(app: Triows) -> None:
    @app.url_value_preprocessor
    def give(endpoint: str | None, values: dict[str, Any] | None) -> None:
        assert values is not None
        values["id"] = 7

    @app.websocket("/")
    async def ws(id: int) -> None:
        await websocket.send_json(id)

    async with app.test_client().websocket("/") as client:
        assert await client.receive_json() == 7


# Functions that are called with something else than they take


CALLS: list[tuple[str, Any]] = [
    ("before_request", takes_request),
    ("before_websocket", takes_ws),
    ("after_request", view),
    ("after_websocket", view),
    ("teardown_request", view),
    ("teardown_websocket", view),
    ("url_value_preprocessor", lambda endpoint: None),
    ("url_defaults", lambda: None),
]


@owners
@pytest.mark.parametrize(("name", "function"), CALLS)
def test_a_hook_takes_what_it_is_called_with(make: Callable[[], Owner], name: str, function: Any) -> None:
    with pytest.raises(TypeError, match=rf"takes \(.*\), and @.*\.{name} calls it with \("):
        getattr(make(), name)(function)


@pytest.mark.parametrize("name", ["before_serving", "after_serving", "while_serving", "teardown_appcontext"])
def test_a_function_of_the_apps_life_takes_what_it_is_called_with(app: Triows, name: str) -> None:
    async def takes_two(one: Any, two: Any) -> AsyncIterator[None]:
        yield

    with pytest.raises(TypeError, match=rf"and @app\.{name} calls it with \("):
        getattr(app, name)(takes_two)


@owners
def test_an_error_handler_takes_the_error(make: Callable[[], Owner]) -> None:
    with pytest.raises(TypeError, match=r"calls it with \(error\)"):
        make().errorhandler(404)(view)


def test_a_hook_that_wants_the_request_is_told_of_the_global(app: Triows) -> None:
    with pytest.raises(TypeError, match="import 'request' from triows in place of a parameter"):
        app.before_request(takes_request)
