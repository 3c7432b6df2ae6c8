"""Blueprints: groups of routes, hooks and error handlers, which may be registered on several apps, or several times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Protocol

from ...connection.checks import did_you_mean
from ...connection.limits import REQUEST_LIMITS, WEBSOCKET_LIMITS, check_limits, pop_limits
from ...tasks.functions import TEARDOWN_REMEDY, check_no_generator, check_not_async
from ...web.cors import CORS
from ...web.suggestions import suggests_arguments
from .. import quart_names
from ..commands import AppWithCommands, WithBlueprintCommands, check_cli_group
from ..files import static_rule
from ..templates import WithAppTemplates
from .class_views import check_view_function
from .decorators import Scaffold, bare, check_error_key
from .hooks import F, HandlerTable, Hooks, HookTable, Kind, add_hook, register_handler
from .rules import check_endpoint, check_parts

_OPTIONS = frozenset({"cli_group", "name", "name_prefix", "subdomain", "url_defaults", "url_prefix"})
_READ_ONCE = frozenset({"cli_group", "name", "static_url_path", "subdomain", "url_prefix", "url_values"})


class BlueprintApp(AppWithCommands, Protocol):
    """The app that a blueprint is registered on, and puts its rules, hooks and error handlers into."""

    blueprints: dict[str, Blueprint]
    hooks: dict[Kind, Hooks]
    error_handlers: HandlerTable
    url_value_preprocessors: HookTable
    url_default_functions: HookTable
    template_context_processors: HookTable

    def add_cors(self, name: str | None, policy: CORS) -> None: ...
    @property
    def add_url_rule(self) -> Callable[..., None]: ...
    @property
    def add_websocket(self) -> Callable[..., None]: ...
    def endpoint(self, endpoint: str) -> Callable[[F], F]: ...
    def before_serving(self, function: F) -> F: ...
    def after_serving(self, function: F) -> F: ...
    def while_serving(self, function: F) -> F: ...
    def add_template_filter(self, function: Callable[..., Any], name: str | None = None) -> None: ...
    def add_template_test(self, function: Callable[..., Any], name: str | None = None) -> None: ...
    def add_template_global(self, function: Callable[..., Any], name: str | None = None) -> None: ...


class BlueprintSetup:
    """One registration of a blueprint on an app: what :meth:`Blueprint.record`'s functions are called with.

    :ivar first: whether this is the blueprint's first registration on this app, under any name.
    :ivar name: the full name of this registration, with dots between the names of nested blueprints.
    """

    def __init__(
        self,
        app: BlueprintApp,
        blueprint: Blueprint,
        *,
        name: str,
        url_prefix: str,
        options: dict[str, Any],
        first: bool,
    ) -> None:
        self.app = app
        self.blueprint = blueprint
        self.name = name
        self.url_prefix = url_prefix
        self.options = options
        self.subdomain: str | None = options.get("subdomain", blueprint.subdomain)
        self.first = first
        self.url_defaults: dict[str, Any] = {**blueprint.url_values, **(options.get("url_defaults") or {})}

    def add(
        self, method: Callable[..., None], rule: str, endpoint: str, function: Any, options: dict[str, Any]
    ) -> None:
        """Add a rule to the app by one of its methods, with the prefix, name and defaults of this registration."""
        if self.subdomain is not None:
            options.setdefault("subdomain", self.subdomain)
        defaults = {**self.url_defaults, **(options.pop("defaults", None) or {})}
        method(
            join_paths(self.url_prefix, rule),
            f"{self.name}.{endpoint}",
            function,
            defaults=defaults or None,
            **options,
        )


def join_paths(prefix: str, rule: str) -> str:
    """Return the path of a rule below a prefix, with one slash between the two."""
    if not prefix:
        return rule
    return f"{prefix.rstrip('/')}/{rule.lstrip('/')}" if rule else prefix


class Blueprint(WithBlueprintCommands, WithAppTemplates, Scaffold):
    """A part of an app: ``Blueprint("chat", __name__, url_prefix="/chat")``.

    The blueprint's endpoints are called ``"chat.name"``. Blueprints may be nested.

    :param name: the blueprint's name, without dots.
    :param static_folder: the folder of files that are served as they are, absolute or relative to ``root_path``.
    :param static_url_path: the path before their names, by default ``/`` and the name of the folder.
    :param url_prefix: the path before each of the blueprint's rules.
    :param subdomain: the subdomain of the rules.
    :param url_defaults: defaults of URL variables for all rules.
    :param root_path: the folder of the blueprint's files, by default that of the module ``import_name``.
    :param template_folder: the folder of the blueprint's templates, absolute or below ``root_path``. The app's
        templates come first.
    :param cli_group: the name of the group that the blueprint's commands make in ``app.cli``, by default the
        blueprint's; None: they stand beside the app's own.
    """

    _called = "blueprint"
    _without_effect = quart_names.BLUEPRINT

    @suggests_arguments
    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        *,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, Any] | None = None,
        root_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        cli_group: str | EllipsisType | None = ...,
    ) -> None:
        super().__init__(import_name, root_path=root_path)
        self._init_templates(template_folder)
        if not name or "." in name:
            raise ValueError(f"a blueprint cannot be named {name!r}; its name is not empty and has no dots")
        self.name = name
        self.url_prefix = url_prefix
        self.subdomain = subdomain
        self.url_values: dict[str, Any] = url_defaults or {}
        self.cli_group: str | EllipsisType | None = check_cli_group(cli_group)
        self._take_static(static_folder, static_url_path)
        self.registered: bool = False
        self._reads_options = False
        self._early_records: list[Callable[[BlueprintSetup], None]] = []
        self._records: list[Callable[[BlueprintSetup], None]] = []
        self._children: list[tuple[Blueprint, dict[str, Any]]] = []

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            if name in _READ_ONCE and getattr(self, "registered", False):
                raise RuntimeError(
                    f"{name} of the blueprint {self.name!r} is set to {value!r:.100}, but the blueprint was registered"
                    " already, so the app would not see this; set it before register_blueprint()"
                )
            check_parts({name: value})
            super().__setattr__(name, value)

    def _check_setup(self) -> None:
        if self.registered:
            raise RuntimeError(
                f"blueprint {self.name!r} was registered already, so the app would not see this;"
                " add routes, hooks and handlers before register_blueprint()"
            )

    def record(self, function: Callable[[BlueprintSetup], None]) -> None:
        """Call ``function(setup)`` whenever the blueprint is registered on an app.

        :raises RuntimeError: if the blueprint is registered already, so that the app would not see the function.
        :raises TypeError: if the function is async.
        """
        check_not_async(function, "write 'def', and use before_app_serving for what has to wait")
        self._record(function)
        self._reads_options = True

    def record_once(self, function: Callable[[BlueprintSetup], None]) -> None:
        """Call ``function(setup)`` when the blueprint is registered on an app for the first time.

        Raises what :meth:`record` does.
        """
        check_not_async(function, "write 'def', and use before_app_serving for what has to wait")
        self._record_once(function)
        self._reads_options = True

    def _record(self, function: Callable[[BlueprintSetup], None]) -> None:
        self._check_setup()
        self._records.append(function)

    def _record_once(self, function: Callable[[BlueprintSetup], None]) -> None:
        self._record(lambda setup: function(setup) if setup.first else None)

    def _record_once_early(self, function: Callable[[BlueprintSetup], None]) -> None:
        """Record what may change the variables of views, which are checked when their routes get to the app."""
        self._check_setup()
        self._early_records.append(lambda setup: function(setup) if setup.first else None)

    def _add_http_rule(
        self, rule: str, endpoint: str | None, view_func: Callable[..., Any] | None, options: dict[str, Any]
    ) -> None:
        name = self._endpoint(endpoint, view_func)
        _check_own_limits(options, REQUEST_LIMITS)
        self._record(lambda setup: setup.add(setup.app.add_url_rule, rule, name, view_func, dict(options)))

    def _add_websocket_rule(
        self, rule: str, endpoint: str | None, view_func: Callable[..., Any] | None, options: dict[str, Any]
    ) -> None:
        name = self._endpoint(endpoint, view_func)
        _check_own_limits(options, WEBSOCKET_LIMITS)
        self._record(lambda setup: setup.add(setup.app.add_websocket, rule, name, view_func, dict(options)))

    def _endpoint(self, endpoint: str | None, function: Callable[..., Any] | None) -> str:
        name = endpoint if endpoint is not None else getattr(function, "__name__", None)
        if not name or "." in name:
            raise ValueError(
                f"{name!r} cannot be an endpoint of blueprint {self.name!r}; give endpoint= a name without dots"
            )
        return str(name)

    def endpoint(self, endpoint: str) -> Callable[[F], F]:
        """Register the decorated function as the view of an endpoint whose rules are added without one."""
        check_endpoint(endpoint, self.decorator_name("endpoint"))

        def decorator(function: F) -> F:
            check_view_function(function)
            self._record(lambda setup: _ignore(setup.app.endpoint(f"{setup.name}.{endpoint}")(function)))
            return function

        return decorator

    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint inside this one: its prefix and name are appended to this blueprint's.

        :raises ValueError: if a blueprint is registered on itself.
        """
        check_blueprint(blueprint)
        if blueprint is self:
            raise ValueError(f"blueprint {self.name!r} cannot be registered on itself")
        self._check_setup()
        blueprint._check_options(options)
        self._children.append((blueprint, options))

    def register(self, app: BlueprintApp, options: dict[str, Any], *, parent: BlueprintSetup | None = None) -> None:
        """Register all routes, hooks and handlers on an app. ``app.register_blueprint()`` calls it.

        :raises ValueError: if the app has a blueprint of this full name already.
        :raises TypeError: if there is no such option.
        """
        self._check_options(options)
        name = str(options.get("name", self.name))
        name_prefix = options.get("name_prefix") or (parent.name if parent is not None else "")
        full_name = f"{name_prefix}.{name}" if name_prefix else name
        if full_name in app.blueprints:
            raise ValueError(
                f"the app has a blueprint {full_name!r} already;"
                " give this one another name: register_blueprint(blueprint, name='other')"
            )
        prefix = options.get("url_prefix")
        if prefix is None:
            prefix = self.url_prefix or ""
        if parent is not None:
            prefix = join_paths(parent.url_prefix, prefix) if prefix else parent.url_prefix
            if parent.subdomain is not None:
                own = options.get("subdomain", self.subdomain)
                options = {**options, "subdomain": f"{own}.{parent.subdomain}" if own else parent.subdomain}
        first = not any(known is self for known in app.blueprints.values())
        app.blueprints[full_name] = self
        self.registered = True
        setup = BlueprintSetup(app, self, name=full_name, url_prefix=prefix, options=options, first=first)
        for kind, hooks in self.hooks.items():
            app.hooks[kind].merge(hooks, full_name)
        app.url_value_preprocessors.setdefault(full_name, []).extend(self.url_value_preprocessors.get(None, ()))
        app.url_default_functions.setdefault(full_name, []).extend(self.url_default_functions.get(None, ()))
        if None in self.cors_policies:
            app.add_cors(full_name, self.cors_policies[None])
        self._add_templates(app, full_name)
        for code, handlers in self.error_handlers.get(None, {}).items():
            app.error_handlers.setdefault(full_name, {}).setdefault(code, {}).update(handlers)
        if self.has_static_folder:
            setup.add(app.add_url_rule, static_rule(self), "static", self.send_static_file, {})
        self._add_commands(app, full_name, options)
        for function in (*self._early_records, *self._records):
            function(setup)
        for child, child_options in self._children:
            child.register(app, child_options, parent=setup)

    def _check_options(self, options: dict[str, Any]) -> None:
        check_parts(options)
        for name in options.keys() - _OPTIONS:
            if not self._reads_options:  # a recorded function may read setup.options
                raise TypeError(
                    f"register_blueprint() has no option {name!r}, and no function of {self.name!r} that was given to"
                    f" record() could read it; the options are {', '.join(sorted(_OPTIONS))}"
                    f"{did_you_mean(name, _OPTIONS)}"
                )

    # For the whole app

    @bare()
    def before_app_request(self, function: F) -> F:
        """:meth:`before_request` for every request of the app."""
        self._record_once_early(lambda setup: _ignore(add_hook(setup.app.hooks["request"].before, function)))
        return function

    @bare("response")
    def after_app_request(self, function: F) -> F:
        """:meth:`after_request` for every request of the app."""
        self._record_once(lambda setup: _ignore(add_hook(setup.app.hooks["request"].after, function)))
        return function

    @bare("error")
    def teardown_app_request(self, function: F) -> F:
        """:meth:`teardown_request` for every request of the app."""
        check_no_generator(function, TEARDOWN_REMEDY)
        self._record_once(lambda setup: _ignore(add_hook(setup.app.hooks["request"].teardown, function)))
        return function

    @bare()
    def before_app_websocket(self, function: F) -> F:
        """:meth:`before_websocket` for every websocket of the app."""
        self._record_once_early(lambda setup: _ignore(add_hook(setup.app.hooks["websocket"].before, function)))
        return function

    @bare("response")
    def after_app_websocket(self, function: F) -> F:
        """:meth:`after_websocket` for every websocket of the app."""
        self._record_once(lambda setup: _ignore(add_hook(setup.app.hooks["websocket"].after, function)))
        return function

    @bare("error")
    def teardown_app_websocket(self, function: F) -> F:
        """:meth:`teardown_websocket` for every websocket of the app."""
        check_no_generator(function, TEARDOWN_REMEDY)
        self._record_once(lambda setup: _ignore(add_hook(setup.app.hooks["websocket"].teardown, function)))
        return function

    @bare("endpoint", "view_args")
    def app_url_value_preprocessor(self, function: F) -> F:
        """:meth:`url_value_preprocessor` for every request and websocket of the app."""
        check_not_async(function, "write 'def', or use before_app_request and request.view_args")
        self._record_once_early(lambda setup: _ignore(add_hook(setup.app.url_value_preprocessors, function)))
        return function

    @bare("endpoint", "values")
    def app_url_defaults(self, function: F) -> F:
        """:meth:`url_defaults` for every endpoint of the app."""
        check_not_async(function, "write 'def'")
        self._record_once(lambda setup: _ignore(add_hook(setup.app.url_default_functions, function)))
        return function

    @bare()
    def before_app_serving(self, function: F) -> F:
        """``before_serving`` of the app."""
        check_no_generator(function, "use @blueprint.while_app_serving")
        self._record_once(lambda setup: _ignore(setup.app.before_serving(function)))
        return function

    @bare()
    def after_app_serving(self, function: F) -> F:
        """``after_serving`` of the app."""
        check_no_generator(function, "use @blueprint.while_app_serving")
        self._record_once(lambda setup: _ignore(setup.app.after_serving(function)))
        return function

    @bare()
    def while_app_serving(self, function: F) -> F:
        """``while_serving`` of the app."""
        self._record_once(lambda setup: _ignore(setup.app.while_serving(function)))
        return function

    def app_errorhandler(self, key: type[BaseException] | int) -> Callable[[F], F]:
        """:meth:`errorhandler` for errors anywhere in the app."""
        check_error_key(key, self.decorator_name("app_errorhandler"))

        def decorator(function: F) -> F:
            self._record_once(lambda setup: register_handler(setup.app.error_handlers, key, function))
            return function

        return decorator


def check_blueprint(blueprint: object) -> None:
    """Raise TypeError for what is no blueprint, a module or the class for instance."""
    if not isinstance(blueprint, Blueprint):
        raise TypeError(
            f"register_blueprint() got {blueprint!r:.100}; it takes a Blueprint: Blueprint('name', __name__)"
        )


def _check_own_limits(options: dict[str, Any], names: Iterable[str]) -> None:
    """Raise the error of a wrong limit where the route stands, and not only where the blueprint is registered."""
    check_limits(pop_limits(dict(options), names))


def _ignore(_result: object) -> None:
    """Drop the result: an app's decorators return the function, and a record returns None."""
