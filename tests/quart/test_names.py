"""The names of Quart's modules: which are there, and what they lead to.

Tests triows/quart/app.py, triows/quart/blueprints.py, triows/quart/config.py, triows/quart/ctx.py,
triows/quart/datastructures.py, triows/quart/formparser.py, triows/quart/globals.py,
triows/quart/helpers.py, triows/quart/logging.py, triows/quart/routing.py, triows/quart/sessions.py,
triows/quart/signals.py, triows/quart/templating.py, triows/quart/typing.py, triows/quart/views.py,
triows/quart/json/provider.py, triows/quart/json/tag.py, triows/quart/testing/app.py, triows/quart/testing/client.py,
triows/quart/testing/connections.py, triows/quart/testing/utils.py, triows/quart/wrappers/base.py,
triows/quart/wrappers/request.py and triows/quart/wrappers/websocket.py.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from werkzeug import routing

import triows
import triows.quart
import triows.quart.app
import triows.quart.helpers
import triows.quart.logging
import triows.quart.templating
import triows.quart.testing
import triows.quart.views
from triows.framework import contexts
from triows.framework.pipeline import contexts as pipeline_contexts
from triows.quart import Quart, json
from triows.quart.blueprints import BlueprintSetupState
from triows.quart.config import ConfigAttribute
from triows.tasks import functions
from triows.web import globals as web_globals

from ..support.quart_names import PARAMETERS

FOLDER = Path(triows.quart.__file__).parent
MODULES = [
    ".".join(("triows.quart", *path.relative_to(FOLDER).with_suffix("").parts)).removesuffix(".__init__")
    for path in FOLDER.rglob("*.py")
]

# The public names of quart 0.22, from its page "API reference" and its __init__.
NAMES = """
    Blueprint Config Markup Quart Request Response ResponseReturnValue Websocket abort after_this_request
    appcontext_popped appcontext_pushed appcontext_tearing_down before_render_template copy_current_app_context
    copy_current_request_context copy_current_websocket_context current_app escape flash g get_flashed_messages
    get_template_attribute got_request_exception got_websocket_exception has_app_context has_request_context
    has_websocket_context jsonify make_push_promise make_response message_flashed redirect render_template
    render_template_string request request_finished request_started request_tearing_down send_file
    send_from_directory session signals_available stream_template stream_template_string stream_with_context
    template_rendered url_for websocket websocket_finished websocket_started websocket_tearing_down
""".split()  # noqa: SIM905


def test_every_public_name_of_quart_is_there() -> None:
    assert {name for name in NAMES if not hasattr(triows.quart, name)} == set()


@pytest.mark.parametrize("name", MODULES)
def test_a_star_imports_every_module(name: str) -> None:
    exec(f"from {name} import *", {})


@pytest.mark.parametrize("name", [name for name in NAMES if hasattr(triows, name)])
def test_names_that_triows_has_too_mean_the_same(name: str) -> None:
    assert getattr(triows.quart, name) is getattr(triows, name)


@pytest.mark.parametrize(
    ("module", "name", "other"),
    [
        ("app", "Quart", triows.Triows),
        ("wrappers", "Websocket", triows.WebSocket),
        ("testing", "QuartClient", triows.testing.TestClient),
        ("testing", "QuartCliRunner", triows.testing.TestCliRunner),
        ("testing.connections", "TestWebsocketConnection", triows.testing.TestWebSocket),
        ("json.provider", "DefaultJSONProvider", triows.JSONProvider),
        ("sessions", "SessionInterface", triows.SessionInterface),
        ("views", "MethodView", triows.MethodView),
        ("datastructures", "FileStorage", triows.FileStorage),
        ("ctx", "after_this_websocket", triows.after_this_request),
        ("ctx", "AppContext", contexts.AsyncContext),
        ("ctx", "RequestContext", pipeline_contexts.RequestContext),
        ("ctx", "WebsocketContext", pipeline_contexts.WebSocketContext),
        ("routing", "Map", routing.Map),
        ("routing", "MapAdapter", routing.MapAdapter),
        ("routing", "Rule", routing.Rule),
        ("globals", "request_ctx", web_globals.request_ctx),
        ("utils", "run_sync", functions.run_sync),
    ],
)
def test_other_names_lead_to_what_triows_has(module: str, name: str, other: object) -> None:
    assert getattr(import_module(f"triows.quart.{module}"), name) is other


def test_templating_has_jinjas_classes_when_they_are_asked_for() -> None:
    from triows.framework import jinja

    assert triows.quart.templating.Environment is jinja.Environment
    with pytest.raises(AttributeError, match="has no attribute 'Loader'"):
        triows.quart.templating.Loader  # type: ignore[attr-defined]  # noqa: B018


def test_the_methods_of_class_views_have_a_name() -> None:
    assert triows.quart.views.http_method_funcs >= {"get", "head", "post", "trace"}


async def test_a_push_promise_is_asked_for_by_path() -> None:
    async with Quart(__name__).test_request_context("/"):
        await triows.quart.helpers.make_push_promise("/style.css")
    await triows.quart.testing.no_op_push("/", triows.quart.testing.utils.Headers())


def test_the_logger_of_an_app_is_made() -> None:
    app = Quart(__name__)
    assert triows.quart.logging.create_logger(app) is app.logger


async def test_json_is_that_of_the_app_or_triowss_own() -> None:
    class Loud(triows.JSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return super().dumps(obj, **kwargs).upper()

        def dump(self, obj: Any, fp: Any, **kwargs: Any) -> None:
            dumped.append(obj)
            super().dump(obj, fp, **kwargs)

    dumped: list[Any] = []

    def there_and_back(value: Any) -> Any:
        file = StringIO()
        json.dump(value, file)
        file.seek(0)
        assert file.getvalue() == json.dumps(value)
        found = json.load(file)
        assert json.loads(file.getvalue()) == found
        return found

    assert there_and_back({"a": UUID(int=1)}) == {"a": str(UUID(int=1))}
    app = Quart(__name__)
    app.json = Loud(app)
    async with app.app_context():
        assert there_and_back({"a": 1}) == {"A": 1}
    assert dumped == [{"a": 1}]


# What Quart takes by a name, and triows does not: tests of an HTTP version, which the client does not choose, and
# parameters that docs/from_quart.rst explains.
WITHOUT = {
    "QuartClient.open": {"http_version"},
    "QuartClient.request": {"http_version"},
    "QuartClient.websocket": {"http_version"},
    "make_test_scope": {"_preserve_context"},
}


def test_what_quart_takes_by_a_name_is_taken_by_that_name() -> None:
    missing = {}
    for path, wanted in PARAMETERS.items():
        *owners, name = path.split(".")
        owner: Any = import_module(".".join(["triows.quart", *(part for part in owners if part.islower())]))
        for part in owners:
            owner = owner if part.islower() else getattr(owner, part)
        known = inspect.signature(getattr(owner, name)).parameters
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
            without = WITHOUT.get(f"{owners[-1]}.{name}" if owners else name, WITHOUT.get(name, set()))
            if unknown := set(wanted) - known.keys() - without:
                missing[path] = unknown
    assert missing == {}


def test_hooks_and_error_handlers_are_taken_by_quarts_names() -> None:
    app, blueprint = Quart(__name__), triows.Blueprint("part", __name__)
    calls: dict[str, Any] = {}
    for owner in (app, blueprint):
        owner.before_request(f=lambda: None)
        owner.after_request(f=lambda response: response)
        owner.before_websocket(func=lambda: None)
        owner.register_error_handler(code_or_exception=404, f=lambda error: "")
        owner.errorhandler(code_or_exception=ValueError)(lambda error: "")
    blueprint.app_errorhandler(code=403)(lambda error: "")
    blueprint.record_once(func=lambda setup: calls.update(name=setup.name))
    app.before_serving(func=lambda: None)
    app.register_blueprint(blueprint)
    assert calls == {"name": "part"}
    assert len(app.before_request_funcs[None]) == len(app.before_request_funcs["part"]) == 1


def test_a_hook_by_another_name_is_refused() -> None:
    app = Quart(__name__)
    with pytest.raises(TypeError, match="unexpected keyword argument 'function'"):
        app.before_request(function=print)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="multiple values for argument 'f'"):
        app.before_request(print, f=print)  # type: ignore[misc]  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    ("module", "name", "remedy"),
    [
        ("formparser", "FormDataParser", "request.form"),
        ("formparser", "MultiPartParser", "request.body"),
        ("helpers", "find_package", "importlib"),
        ("cli", "locate_app", "load_app"),
        ("debug", "TEMPLATE", "of your own"),
        ("logging", "LocalQueueHandler", "logging.handlers"),
        ("typing", "Event", "trio.Event"),
        ("typing", "ASGIHTTPProtocol", "app.asgi_app"),
        ("utils", "cancel_tasks", "cancel_scope"),
        ("utils", "restart", "triows dev"),
        ("wrappers.request", "SERVER_PUSH_HEADERS_TO_COPY", "do nothing"),
    ],
)
def test_the_import_of_what_is_not_there_says_what_to_do(module: str, name: str, remedy: str) -> None:
    with pytest.raises(ImportError, match=rf"^triows.quart.{module} has no '{name}': .*{remedy}"):
        exec(f"from triows.quart.{module} import {name}", {})
    assert not hasattr(import_module(f"triows.quart.{module}"), "other")


def test_an_attribute_of_an_app_may_stand_for_a_setting() -> None:
    class App(Quart):
        greeting = ConfigAttribute[str]("GREETING")
        loud = ConfigAttribute("GREETING", str.upper)

    app = App(__name__)
    app.greeting = "hello"
    assert (app.greeting, app.loud, app.config["GREETING"]) == ("hello", "HELLO", "hello")
    assert isinstance(App.greeting, ConfigAttribute)


def test_the_setup_of_a_blueprint_is_of_quarts_class() -> None:
    part, seen = triows.Blueprint("part", __name__), []
    part.record(seen.append)
    Quart(__name__).register_blueprint(part)
    assert isinstance(seen[0], BlueprintSetupState)
