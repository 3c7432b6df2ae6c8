"""The tables of hooks and error handlers under Quart's names."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.exceptions import NotFound

from triows import Blueprint, Triows, g, url_for


@pytest.fixture
def app() -> Triows:
    app = Triows("tested")
    app.config["SERVER_NAME"] = None

    @app.get("/")
    async def index() -> str:
        return "view"

    return app


async def test_a_function_put_into_a_table_runs(app: Triows) -> None:
    events: list[str] = []
    app.before_request_funcs[None].append(lambda: events.append("before"))
    app.after_request_funcs.setdefault(None, []).append(lambda response: events.append("after"))
    app.teardown_request_funcs[None] = [lambda error: events.append("teardown")]
    await app.test_client().get("/")
    assert events == ["before", "after", "teardown"]


def test_the_decorators_add_to_the_tables(app: Triows) -> None:
    async def hook(*args: Any) -> None: ...

    for name in ("before_request", "after_request", "teardown_request"):
        getattr(app, name)(hook)
        assert getattr(app, f"{name}_funcs")[None] == [hook]
    for name in ("before_websocket", "after_websocket", "teardown_websocket"):
        getattr(app, name)(hook)
        assert getattr(app, f"{name}_funcs") == {None: [hook]}
    app.teardown_appcontext(hook)
    app.before_serving(hook)
    app.after_serving(hook)
    assert app.teardown_appcontext_funcs == app.before_serving_funcs == app.after_serving_funcs == [hook]


async def test_a_function_taken_out_of_a_table_does_not_run(app: Triows) -> None:
    @app.before_request
    async def refuse() -> str:
        return "refused"

    app.before_request_funcs[None].remove(refuse)
    assert await (await app.test_client().get("/")).get_data() == b"view"


async def test_a_table_may_be_replaced(app: Triows) -> None:
    app.before_request_funcs = {None: [lambda: "replaced"]}
    assert await (await app.test_client().get("/")).get_data() == b"replaced"


@pytest.mark.parametrize("name", ["before_request_funcs", "error_handler_spec"])
def test_what_is_no_table_cannot_be_assigned(app: Triows, name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name} is a dict .*cannot be \[\]"):
        setattr(app, name, [])


async def test_error_handlers_may_be_read_and_added(app: Triows) -> None:
    async def not_found(error: Exception) -> tuple[str, int]:
        return "nothing here", 404

    app.error_handler_spec[None][404][NotFound] = not_found
    assert await (await app.test_client().get("/other")).get_data() == b"nothing here"
    app.error_handler_spec = {}
    assert b"nothing here" not in await (await app.test_client().get("/other")).get_data()


def test_blueprints_have_tables_of_their_own() -> None:
    part = Blueprint("part", __name__)
    assert part.before_request_funcs[None] == []
    assert type(part).before_request_funcs is not None


async def test_a_blueprint_adds_url_defaults_and_preprocessors_to_the_app(app: Triows) -> None:
    part = Blueprint("part", __name__)

    @part.app_url_defaults
    def add(endpoint: str, values: dict[str, Any]) -> None:
        values["lang"] = "en"

    @part.app_url_value_preprocessor
    def take(endpoint: str | None, values: dict[str, Any] | None) -> None:
        g.lang = (values or {}).pop("lang", None)

    app.register_blueprint(part)

    @app.get("/<lang>/page")
    async def page() -> str:
        return f"{g.lang} {url_for('page')}"

    assert await (await app.test_client().get("/de/page")).get_data() == b"de /en/page"
    assert [*app.iter_blueprints()] == [part]
