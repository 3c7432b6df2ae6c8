"""Quart's names on apps, blueprints and settings that have no effect here, each with what to do instead.

Each table maps names to remedies. A name leaves its table when it has an effect. :class:`QuartNameGuard` is the base of
apps and blueprints that raises the remedies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..web.foreign_names import AbsentName
from ..web.quart_names import REQUEST, refuse_definitions

_CARRIERS = "what carries requests is no part of the app; wrap app.asgi_app"

APP: Mapping[str, str] = {
    "should_ignore_error": "raise the error again in an override of handle_user_exception()",
    "handle_background_exception": "catch the error in the task; what it lets through goes to app.logger",
    "handle_request": "override full_dispatch_request() and handle_exception()",
    "handle_websocket": "override full_dispatch_websocket() and handle_websocket_exception()",
    "redirect": "call triows.redirect(location), which uses the app's response_class",
    **dict.fromkeys(("asgi_http_class", "asgi_lifespan_class", "asgi_websocket_class"), _CARRIERS),
    "event_class": "events are Trio's: trio.Event",
    "lock_class": REQUEST["lock_class"],
    "background_tasks": "use app.nursery, which has child_tasks",
    "while_serving_gens": "use @app.while_serving",
}
"""Names that Quart calls or reads on an app, and triows does not."""

APP_ONLY_CALLED: Mapping[str, str] = {
    "app_context": "use app_ctx_globals_class, or receivers of the signals appcontext_pushed and appcontext_popped",
    "request_context": "override create_url_adapter() or preprocess_request()",
    "websocket_context": "override create_url_adapter() or preprocess_websocket()",
}
"""Methods that Quart calls for each request or websocket, and triows does not."""

APP_CALLS: Mapping[str, str] = {
    "startup": "use 'async with app.serving():'",
    "shutdown": "use 'async with app.serving():', or server.shutdown() of what app.serve() has started",
    "shutdown_event": "tasks in app.nursery are cancelled when the app shuts down",
}
"""Names that user code calls or reads on a Quart app. A subclass may define them for itself."""

APP_READ_WHEN_MADE: Mapping[str, str] = {
    "aborter_class": "set app.aborter to an Aborter",
    "config_class": "define it in a subclass of Triows",
    "default_config": "change app.config",
    "json_provider_class": "set app.json to a provider, like JSONProvider(app)",
    "make_aborter": "set app.aborter to an Aborter",
    "make_config": "define it in a subclass of Triows",
    "static_url_path": "give static_url_path= to Triows()",
    "url_map_class": "define it in a subclass of Triows",
}
"""Names that an app reads while it is made, and never again."""

URL_MAP: Mapping[str, str] = {"bind_to_request": "override create_url_adapter() of the app"}
"""Names that Quart calls on a URL map, and triows does not."""

BLUEPRINT: Mapping[str, str] = {
    "deferred_functions": "use blueprint.record(function)",
    "make_setup_state": "use blueprint.record(function), which is called with the setup",
    "url_values_defaults": "use Blueprint(..., url_defaults={...})",
    "view_functions": "set app.view_functions['blueprint.endpoint'] when the blueprint is registered",
}
"""Names that Quart calls or reads on a blueprint, and triows does not."""

_LIFE = "use @app.before_serving, @app.after_serving or @app.lifespan"
_MIDDLEWARE = "use @app.before_request and @app.after_request, or wrap app.asgi_app"

ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("include_router", "mount", "blueprint", "add_routes"), "use register_blueprint(Blueprint(...))"),
    **dict.fromkeys(
        ("on_event", "add_event_handler", "listener", "on_startup", "on_shutdown", "on_cleanup", "cleanup_ctx"), _LIFE
    ),
    "before_first_request": _LIFE,
    **dict.fromkeys(("middleware", "add_middleware", "middlewares"), _MIDDLEWARE),
    **dict.fromkeys(("exception_handler", "exception"), "use @errorhandler(SomeError)"),
    "add_exception_handler": "use register_error_handler(SomeError, function)",
    **dict.fromkeys(("api_route", "head", "options", "trace"), "use @route('/path', methods=[...])"),
    **dict.fromkeys(("add_route", "add_api_route"), "use add_url_rule('/path', view_func=function)"),
    **dict.fromkeys(("websocket_route", "ws"), "use @websocket('/path')"),
    **dict.fromkeys(
        ("add_websocket_route", "add_api_websocket_route"), "use add_websocket('/path', view_func=function)"
    ),
    "add_task": "use app.add_background_task(function), or app.nursery.start_soon(function)",
    "router": "rules are in app.url_map",
    "state": "keep what is yours in app.extensions, or in attributes of its own: app.name = value",
    "wsgi_app": "this is app.asgi_app here",
}
"""Names of frameworks that are no relatives of Quart's, on an app or a blueprint. A user may set each of them."""

RUN: Mapping[str, str] = {
    "reload": "give use_reloader=True",
    **dict.fromkeys(("use_debugger", "use_evalex"), "there is no debugger in the browser; use breakpoint()"),
    "loop": "the app runs on Trio, with trio.run(), which needs no loop",
    "ssl": "give certfile and keyfile, or ssl_context",
    "threaded": "each request runs in a task; ordinary functions are called in threads",
    **dict.fromkeys(("processes", "workers"), "start as many processes with reuse_port=True"),
    "log_level": "set it with logging.getLogger('triows').setLevel(), or run 'triows run --log-level LEVEL'",
    "load_dotenv": "load the file before, or run 'triows run --env-file FILE'",
}
"""Options of other frameworks' ``run()``, each with what to do instead."""

SETTINGS: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "BACKGROUND_TASK_SHUTDOWN_TIMEOUT": (
        (5,),
        "background tasks are cancelled at shutdown, and SHUTDOWN_TIMEOUT bounds the time that they have for it",
    ),
    "PREFER_SECURE_URLS": ((), "set PREFERRED_URL_SCHEME to 'https'"),
    "PRESERVE_CONTEXT_ON_EXCEPTION": ((), "in tests, 'async with app.test_client() as client:' preserves the context"),
    "RESPONSE_TIMEOUT": ((60,), "use trio.fail_after() in the view; SEND_TIMEOUT is for clients that do not read"),
}
"""Quart's settings without an effect here: the values that are accepted beside None and False, and the remedy."""


class _AbsentName(AbsentName):
    """A name of another framework that is not there."""

    what = "is not there"

    def message(self, owner: str) -> str:
        """Return the text of the error."""
        return _message(owner, self.name, self.what, self.remedy)


class _QuartName(_AbsentName):
    """A name of Quart's that is not there."""

    what = "is Quart's and not there"


class QuartNameGuard:
    """A base class that refuses Quart's names where they would have no effect.

    They are refused where a subclass defines them, where they are assigned, and where they are read. Each is a
    descriptor for the last of these: a ``__getattr__()`` would make all attributes slower, see :mod:`.foreign_names`.
    """

    _without_effect: ClassVar[Mapping[str, str]] = {}
    """Names that may not be defined, assigned or read."""
    _only_called: ClassVar[Mapping[str, str]] = {}
    """Names of methods that users call, and that may not be overridden or assigned."""
    _missing: ClassVar[Mapping[str, str]] = {}
    """Names that are not there to be read; a subclass may define them."""
    _read_when_made: ClassVar[Mapping[str, str]] = {}
    """Names that a subclass may define, and that may not be assigned."""
    _foreign: ClassVar[Mapping[str, str]] = ELSEWHERE
    """Names of other frameworks that are not there to be read; anybody may define and assign them."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._refuse_definitions()
        if "_without_effect" in vars(cls):
            quart = {name: _QuartName(name, remedy) for name, remedy in {**cls._missing, **cls._without_effect}.items()}
            foreign = {name: _AbsentName(name, remedy) for name, remedy in cls._foreign.items()}
            for name, absent in {**foreign, **quart}.items():
                if not hasattr(cls, name):
                    setattr(cls, name, absent)

    @classmethod
    def _refuse_definitions(cls) -> None:
        """Raise TypeError if the class or one of its bases defines what would have no effect."""
        refuse_definitions(cls, cls._without_effect)
        for name, remedy in cls._only_called.items():
            definers = [base for base in cls.__mro__ if name in vars(base)]
            if len(definers) > 1:
                raise TypeError(
                    f"{definers[0].__name__} overrides {name!r}, which triows itself never calls, so that this would"
                    f" have no effect: {remedy}"
                )

    def __dir__(self) -> Iterable[str]:
        absent = {*self._without_effect, *self._missing, *self._foreign}
        return [name for name in super().__dir__() if name not in absent or hasattr(self, name)]

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            owner = type(self).__name__
            if name in self._without_effect:
                raise AttributeError(_message(owner, name, "has no effect in triows", self._without_effect[name]))
            if name in self._only_called:
                raise AttributeError(_message(owner, name, "cannot be replaced", self._only_called[name]))
            if name in self._read_when_made:
                raise AttributeError(_message(owner, name, "is read while it is made", self._read_when_made[name]))
            super().__setattr__(name, value)


def _message(owner: str, name: str, what: str, remedy: str) -> str:
    return f"{name!r} of a {owner} {what}: {remedy}"
