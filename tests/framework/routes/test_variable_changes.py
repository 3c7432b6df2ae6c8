"""What may change the variables of a URL: with it, views need not take what their rules give."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from types import MethodType
from typing import Any

import pytest

from triows import Blueprint, LifespanError, Triows, g, request, session, websocket

Function = Callable[..., Any]
mistake = pytest.raises(TypeError, match=r"gives 'language', which page.*let a url_value_preprocessor do it")
mistake_at_start = pytest.raises(LifespanError, match="gives 'language', which page")


async def page() -> str:
    return "a page"


def keep(endpoint: str | None, values: Any) -> None:
    g.language = values["language"]


def add_page(owner: Triows | Blueprint) -> None:
    owner.get("/<language>")(page)


def add_preprocessor(owner: Triows | Blueprint) -> None:
    owner.url_value_preprocessor(keep)


# Before hooks


def pops() -> None:
    request.view_args.pop("language")  # type: ignore[union-attr]


def deletes_from_an_alias() -> None:
    if (values := request.view_args) and "language" in values:
        del values["language"]


async def sets_an_item() -> None:
    request.view_args["id"] = 3  # type: ignore[union-attr,index]


def assigns() -> None:
    request.view_args = {}


def pops_inside() -> None:
    (lambda: request.view_args.pop("language"))()  # type: ignore[union-attr]


@wraps(pops)
def is_wrapped() -> None:
    pops()


class Hook:
    def __call__(self) -> None:
        request.view_args = None


PLAIN: list[Function] = [pops, deletes_from_an_alias, sets_an_item, assigns, pops_inside]
OTHERS: list[Function] = [is_wrapped, partial(pops), Hook(), Hook().__call__, print]  # which cannot be read


@pytest.mark.parametrize("hook", [*PLAIN, *OTHERS])
@pytest.mark.parametrize("kind", ["request", "websocket"])
def test_a_hook_that_changes_the_variables_lets_views_be(app: Triows, kind: str, hook: Any) -> None:
    getattr(app, f"before_{kind}")(hook)
    register = app.get if kind == "request" else app.websocket
    register("/<language>")(page)


def reads() -> None:
    g.language = request.view_args["language"]  # type: ignore[union-attr,index]


def changes_something_else() -> None:
    session.pop("language", None)
    session["x"] = request.path


def calls_what_changes() -> None:
    pops()


@pytest.mark.parametrize("hook", [reads, changes_something_else, calls_what_changes, lambda: request.view_args])
def test_a_hook_without_a_change_in_its_own_code_hides_no_mistake(app: Triows, hook: Any) -> None:
    app.before_request(hook)
    with mistake:
        add_page(app)


def test_a_hook_of_the_other_kind_hides_no_mistake(app: Triows) -> None:
    app.before_websocket(pops)
    with mistake:
        app.get("/<language>")(page)


@pytest.mark.parametrize("name", ["before_request", "before_app_request"])
def test_a_blueprints_hook_lets_its_views_be(app: Triows, name: str) -> None:
    part = Blueprint("part", __name__)
    add_page(part)
    getattr(part, name)(pops)
    app.register_blueprint(part)


# Preprocessors


@pytest.mark.parametrize("function", [keep, partial(keep), lambda *args: None])
def test_any_preprocessor_lets_views_be(app: Triows, function: Any) -> None:
    app.url_value_preprocessor(function)
    add_page(app)


@pytest.mark.parametrize("name", ["url_value_preprocessor", "app_url_value_preprocessor"])
def test_a_blueprints_preprocessor_lets_its_views_be(app: Triows, name: str) -> None:
    part = Blueprint("part", __name__)
    add_page(part)
    getattr(part, name)(keep)
    app.register_blueprint(part)


def test_a_preprocessor_of_an_outer_blueprint_lets_views_be(app: Triows) -> None:
    part, inner = Blueprint("part", __name__), Blueprint("inner", __name__)
    add_preprocessor(part)
    add_page(inner)
    part.register_blueprint(inner)
    app.register_blueprint(part)


def test_a_blueprints_preprocessor_hides_no_mistake_of_others(app: Triows) -> None:
    part, other = Blueprint("part", __name__), Blueprint("other", __name__, url_prefix="/other")
    add_preprocessor(part)
    app.register_blueprint(part)
    add_page(other)
    with mistake:
        app.register_blueprint(other)


def test_tracing_hides_no_mistake(app: Triows) -> None:
    pytest.importorskip("triows.tracing").Tracing(app)
    with mistake:
        add_page(app)


# Replaced methods of the app

STAGES = ["full_dispatch", "preprocess", "dispatch"]


def pops_and_goes_on(name: str) -> Function:
    async def stage(self: Triows, *args: Any) -> Any:
        (request if name.endswith("request") else websocket).view_args.pop("language")  # type: ignore[union-attr]
        return await getattr(Triows, name)(self, *args)

    return stage


def goes_on(name: str) -> Function:
    async def stage(self: Triows, *args: Any) -> Any:
        return await getattr(Triows, name)(self, *args)

    return stage


async def handler() -> None:
    await websocket.send("a page")


async def answer(app: Triows, kind: str) -> str:
    if kind == "request":
        app.get("/<language>")(page)
        return await (await app.test_client().get("/en")).get_data(as_text=True)
    app.websocket("/<language>")(handler)
    async with app.test_client().websocket("/en") as client:
        return str(await client.receive())


@pytest.mark.parametrize("kind", ["request", "websocket"])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("assigned", [False, True])
async def test_a_replaced_method_that_changes_the_variables_lets_views_be(
    assigned: bool, stage: str, kind: str
) -> None:
    name = f"{stage}_{kind}"
    function = pops_and_goes_on(name)
    if assigned:
        app = Triows("app")
        setattr(app, name, MethodType(function, app))
    else:
        app = type("Replacing", (Triows,), {name: function})("app")
    assert await answer(app, kind) == "a page"


async def test_a_replaced_method_may_be_that_of_a_class_between() -> None:
    name = "preprocess_request"
    between = type("Between", (Triows,), {name: pops_and_goes_on(name)})

    async def stage(self: Any, *args: Any) -> Any:
        return await getattr(super(below, self), name)(*args)

    below = type("Below", (between,), {name: stage})
    assert await answer(below("app"), "request") == "a page"


@pytest.mark.parametrize("stage", STAGES)
def test_a_replaced_method_without_a_change_hides_no_mistake(stage: str) -> None:
    name = f"{stage}_request"
    with mistake:
        add_page(type("Replacing", (Triows,), {name: goes_on(name)})("app"))


def test_a_replaced_method_of_the_other_kind_hides_no_mistake() -> None:
    name = "preprocess_websocket"
    with mistake:
        add_page(type("Replacing", (Triows,), {name: pops_and_goes_on(name)})("app"))


# What is registered behind the route


async def test_a_preprocessor_may_come_behind_the_route(app: Triows) -> None:
    add_page(app)
    app.url_value_preprocessor(lambda endpoint, values: values.pop("language"))
    async with app.test_app() as served:
        assert (await served.test_client().get("/en")).status_code == 200


async def test_a_hook_may_come_behind_the_route(app: Triows) -> None:
    add_page(app)

    @app.before_request
    def pop_here() -> None:
        request.view_args.pop("language")  # type: ignore[union-attr]

    async with app.test_app() as served:
        assert (await served.test_client().get("/en")).status_code == 200


async def test_a_mistake_is_found_at_the_start_if_nothing_came_behind_the_route(app: Triows) -> None:
    add_page(app)
    Triows("other").url_value_preprocessor(keep)
    with mistake_at_start:
        async with app.test_app():
            pass


async def test_a_view_that_has_been_replaced_since_is_checked_at_the_start(app: Triows) -> None:
    app.get("/<language>", endpoint="named")(page)
    Triows("other").url_value_preprocessor(keep)

    async def other(language: str) -> str:
        return language

    app.view_functions["named"] = other
    async with app.test_app() as served:
        assert await (await served.test_client().get("/en")).get_data() == b"en"
