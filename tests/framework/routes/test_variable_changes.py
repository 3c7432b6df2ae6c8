"""Hooks that may change the variables of a URL: with them, views need not take what their rules give."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest

from triows import Blueprint, LifespanError, Triows, g, request, session, websocket

Function = Callable[..., Any]
mistake = pytest.raises(TypeError, match="gives 'language', which page")
logger = logging.getLogger(__name__)


async def page() -> str:
    return "a page"


def strip(values: Any) -> None:
    values.pop("language", None)


def strip_deep(values: Any) -> None:
    strip(values)


def strip_request() -> None:
    strip(request.view_args)


def show(values: Any) -> None:
    g.shown = {**values}


# Before hooks


def pops() -> None:
    request.view_args.pop("language")  # type: ignore[union-attr]


def pops_with_a_fallback() -> None:
    (request.view_args or {}).pop("language", None)


def pops_an_alias() -> None:
    values = request.view_args
    if values is not None:
        g.language = values.pop("language")


def pops_what_it_checks() -> None:
    if (values := request.view_args) and "language" in values:
        del values["language"]


def deletes() -> None:
    del request.view_args["language"]  # type: ignore[union-attr,attr-defined]


def sets() -> None:
    request.view_args["id"] = 3  # type: ignore[union-attr,index]


def sets_by_a_variable(name: str = "id") -> None:
    request.view_args[name] = 3  # type: ignore[union-attr,index]


def updates() -> None:
    request.view_args.update(id=3)  # type: ignore[union-attr,attr-defined]


def assigns() -> None:
    request.view_args = {}


def joins() -> None:
    request.view_args |= {"id": 3}  # type: ignore[operator]


def assigns_by_name() -> None:
    setattr(request, "view_args", {})  # noqa: B010


def inside() -> None:
    def work() -> None:
        request.view_args.pop("language")  # type: ignore[union-attr]

    work()


def calls() -> None:
    strip(request.view_args)


def calls_deeply() -> None:
    strip_deep(request.view_args)


def calls_what_changes() -> None:
    strip_request()


def closing_over() -> Function:
    def strip_here(values: Any) -> None:
        del values["language"]

    def hook() -> None:
        strip_here(request.view_args)

    return hook


async def is_async() -> None:
    request.view_args.pop("language")  # type: ignore[union-attr]


@wraps(pops)
def is_wrapped() -> None:
    pops()


class Hooks:
    def change(self) -> None:
        self.strip(request.view_args)

    def strip(self, values: Any) -> None:
        values.clear()

    def read(self) -> None:
        g.language = request.view_args["language"]  # type: ignore[union-attr,index]

    def __call__(self) -> None:
        request.view_args = None


CHANGING: list[Function] = [
    pops,
    pops_with_a_fallback,
    pops_an_alias,
    pops_what_it_checks,
    deletes,
    sets,
    sets_by_a_variable,
    updates,
    assigns,
    joins,
    assigns_by_name,
    inside,
    calls,
    calls_deeply,
    calls_what_changes,
    closing_over(),
    is_async,
    is_wrapped,
    partial(pops),
    Hooks().change,
    Hooks(),
    print,
]


@pytest.mark.parametrize("hook", CHANGING)
@pytest.mark.parametrize("kind", ["request", "websocket"])
def test_a_hook_that_changes_the_variables_lets_views_be(app: Triows, kind: str, hook: Any) -> None:
    getattr(app, f"before_{kind}")(hook)
    register = app.get if kind == "request" else app.websocket
    register("/<language>")(page)


def reads_an_item() -> None:
    g.language = request.view_args["language"]  # type: ignore[union-attr,index]


def reads_an_item_by_a_variable(name: str = "language") -> None:
    g.language = request.view_args[name]  # type: ignore[union-attr,index]


def reads_an_item_into_another() -> None:
    session["language"] = request.view_args["language"]  # type: ignore[union-attr,index]


def reads_an_item_as_a_key() -> None:
    g.seen[request.view_args["language"]] = 1  # type: ignore[union-attr,index]


def reads_by_get() -> None:
    session.update(language=request.view_args.get("language"))  # type: ignore[union-attr]


def reads_what_it_checks() -> None:
    if request.view_args and "language" in request.view_args:
        session["language"] = request.view_args["language"]


def compares() -> None:
    if request.view_args is None or request.view_args == session:
        session["language"] = "en"


def prints() -> None:
    print(request.view_args)


def logs() -> None:
    logger.info("variables: %s", request.view_args)


def shows() -> None:
    show(request.view_args)


def iterates() -> None:
    g.names = [name for name, _ in request.view_args.items()]  # type: ignore[union-attr]


def returns() -> Any:
    return request.view_args


def reads_nothing() -> None:
    session.pop("language", None)
    session["x"] = request.path


READING: list[Function] = [
    reads_an_item,
    reads_an_item_by_a_variable,
    reads_an_item_into_another,
    reads_an_item_as_a_key,
    reads_by_get,
    reads_what_it_checks,
    compares,
    prints,
    logs,
    shows,
    iterates,
    returns,
    reads_nothing,
    lambda: request.view_args,
    Hooks().read,
]


@pytest.mark.parametrize("hook", READING)
def test_a_hook_that_reads_the_variables_hides_no_mistake(app: Triows, hook: Any) -> None:
    app.before_request(hook)
    with mistake:
        app.get("/<language>")(page)


# Preprocessors


def takes(endpoint: str | None, values: dict[str, Any] | None) -> None:
    if values:
        g.language = values.pop("language", None)


def gives(endpoint: str | None, values: Any) -> None:
    values["id"] = 3


def gives_by_default(endpoint: str | None, values: Any) -> None:
    values.setdefault("id", 3)


def joins_to(endpoint: str | None, values: Any) -> None:
    values |= {"id": 3}


def hands_on(endpoint: str | None, values: Any) -> None:
    strip_deep(values)


def takes_under_another_name(endpoint: str | None, values: Any) -> None:
    same = values
    del same["language"]


def takes_inside(endpoint: str | None, values: Any) -> None:
    def take() -> None:
        values.pop("language")

    take()


class Preprocessors:
    def take(self, endpoint: str | None, values: Any) -> None:
        values.pop("language")

    def read(self, endpoint: str | None, values: Any) -> None:
        g.language = values["language"]

    def __call__(self, endpoint: str | None, values: Any) -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        takes,
        gives,
        gives_by_default,
        joins_to,
        hands_on,
        takes_under_another_name,
        takes_inside,
        Preprocessors().take,
        Preprocessors(),
        partial(takes),
        lambda *args: None,
    ],
)
def test_a_preprocessor_that_changes_the_variables_lets_views_be(app: Triows, function: Any) -> None:
    app.url_value_preprocessor(function)
    app.get("/<language>")(page)


def reads(endpoint: str | None, values: dict[str, Any] | None) -> None:
    if values is not None and "language" in values:
        g.language = values["language"]
    g.other = values.get("other") if values else None
    g.seen = {"endpoint": endpoint}
    g.seen["other"] = g.other


def hands_on_to_read(endpoint: str | None, values: Any) -> None:
    show(values)


@pytest.mark.parametrize(
    "function", [reads, hands_on_to_read, Preprocessors().read, lambda endpoint, values: print(values)]
)
def test_a_preprocessor_that_reads_the_variables_hides_no_mistake(app: Triows, function: Any) -> None:
    app.url_value_preprocessor(function)
    with mistake:
        app.get("/<language>")(page)


def test_tracing_hides_no_mistake(app: Triows) -> None:
    tracing = pytest.importorskip("triows.tracing")
    tracing.Tracing(app)
    with mistake:
        app.get("/<language>")(page)


# Only of the app, and of the blueprints of the view


def test_a_view_that_uses_its_variables_hides_no_mistake_of_others(app: Triows) -> None:
    @app.get("/posts/<int:id>")
    async def post(**kwargs: Any) -> Any:
        request.view_args["id"] = str(request.view_args.pop("id"))  # type: ignore[union-attr,index]
        return request.view_args

    with mistake:
        app.get("/<language>")(page)


def test_a_blueprints_preprocessor_hides_no_mistake_of_the_app(app: Triows) -> None:
    part = Blueprint("part", __name__)
    part.url_value_preprocessor(takes)
    with mistake:
        app.get("/<language>")(page)
    part.before_request(pops)
    app.register_blueprint(part, url_prefix="/part")
    with mistake:
        app.get("/<language>")(page)


def test_a_blueprints_preprocessor_hides_no_mistake_of_another(app: Triows) -> None:
    part, other = Blueprint("part", __name__), Blueprint("other", __name__, url_prefix="/other")
    part.url_value_preprocessor(takes)
    other.get("/<language>")(page)
    with mistake:
        app.register_blueprint(other)
    part.get("/<language>")(page)
    app.register_blueprint(part, url_prefix="/part")


def test_another_apps_preprocessor_hides_no_mistake(app: Triows) -> None:
    other = Triows("other")
    with mistake:
        app.get("/<language>")(page)
    other.url_value_preprocessor(takes)
    other.get("/<language>")(page)


def test_a_preprocessor_is_one_of_the_blueprints_around_too(app: Triows) -> None:
    part, inner = Blueprint("part", __name__), Blueprint("inner", __name__)
    part.url_value_preprocessor(takes)
    inner.get("/<language>")(page)
    part.register_blueprint(inner)
    app.register_blueprint(part)


def test_a_blueprints_hook_for_the_app_lets_its_views_be(app: Triows) -> None:
    part = Blueprint("part", __name__)

    def pop_here() -> None:
        request.view_args.pop("language")  # type: ignore[union-attr]

    app.get("/<language>")(page)
    part.before_app_request(pop_here)
    app.register_blueprint(part)


# What is registered behind the route


async def test_a_preprocessor_behind_the_route_that_takes_its_variable(app: Triows) -> None:
    app.get("/<language>")(page)
    app.url_value_preprocessor(takes)
    async with app.test_app() as served:
        assert (await served.test_client().get("/en")).status_code == 200


async def test_a_hook_behind_the_route_that_takes_its_variable(app: Triows) -> None:
    app.get("/<language>")(page)

    @app.before_request
    def pop_here() -> None:
        request.view_args.pop("language")  # type: ignore[union-attr]

    async with app.test_app() as served:
        assert (await served.test_client().get("/en")).status_code == 200


def test_a_hook_behind_the_route_that_reads_hides_no_mistake(app: Triows) -> None:
    with mistake:
        app.get("/<language>")(page)

    @app.before_request
    def read_here() -> None:
        g.language = request.view_args["language"]  # type: ignore[union-attr,index]


def test_a_preprocessor_before_the_route_is_not_taken_for_one_behind_it(app: Triows) -> None:
    app.url_value_preprocessor(reads)
    with mistake:
        app.get("/<language>")(page)


async def test_a_preprocessor_behind_the_route_that_only_reads_is_found_at_the_start(app: Triows) -> None:
    app.get("/<language>")(page)
    app.url_value_preprocessor(reads)
    with pytest.raises(LifespanError, match="gives 'language', which page"):
        async with app.test_app():
            pass


async def test_a_view_that_has_been_replaced_since_is_checked_at_the_start(app: Triows) -> None:
    app.get("/<language>", endpoint="named")(page)
    app.url_value_preprocessor(reads)

    async def other(language: str) -> str:
        return language

    app.view_functions["named"] = other
    async with app.test_app() as served:
        assert await (await served.test_client().get("/en")).get_data() == b"en"


def test_a_function_that_is_to_register_a_preprocessor_may_be_for_any_app(app: Triows) -> None:
    def finish(made: Triows) -> None:
        made.url_value_preprocessor(takes)

    app.get("/<language>")(page)
    finish(app)


def test_a_parameter_of_such_a_function_is_no_other_app_of_the_same_name(app: Triows) -> None:
    made, app = app, Triows("other")

    def finish(app: Triows) -> None:
        app.url_value_preprocessor(takes)

    made.get("/<language>")(page)
    finish(made)


def test_an_attribute_is_no_other_app_of_the_same_name(app: Triows) -> None:
    class Holder:
        def __init__(self, app: Triows) -> None:
            self.app = app

    holder, app = Holder(app), Triows("other")
    holder.app.get("/<language>")(page)
    holder.app.url_value_preprocessor(takes)


async def test_a_websockets_variable_is_taken_out_as_well(app: Triows) -> None:
    @app.websocket("/<language>")
    async def ws() -> None:
        await websocket.send(g.language)

    app.url_value_preprocessor(takes)
    async with app.test_app() as served, served.test_client().websocket("/en") as client:
        assert await client.receive() == "en"
