"""Blueprints: groups of routes, hooks and error handlers, which may be registered on several apps, or several times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ...connection.checks import did_you_mean
from ...connection.limits import REQUEST_LIMITS, WEBSOCKET_LIMITS, check_limits, pop_limits
from ...tasks.functions import TEARDOWN_REMEDY, check_no_generator, check_not_async
from ...web.cors import CORS
from ...web.suggestions import suggests_arguments
from .. import quart_names
from ..commands import AppWithCommands, WithBlueprintCommands, check_cli_group
from ..files import StaticView, static_rule
from ..templates import WithAppTemplates
from .class_views import check_view_function
from .decorators import Scaffold, bare, check_error_key
from .hooks import F, HandlerTable, Hooks, HookTable, Kind, add_hook, register_handler
from .rules import check_endpoint, check_parts, endpoint_name

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
    def before_serving(self, func: F) -> F: ...
    def after_serving(self, func: F) -> F: ...
    def while_serving(self, func: F) -> F: ...
    def add_template_filter(self, f: Callable[..., Any], name: str | None = None) -> None: ...
    def add_template_test(self, f: Callable[..., Any], name: str | None = None) -> None: ...
    def add_template_global(self, f: Callable[..., Any], name: str | None = None) -> None: ...


A = TypeVar("A", bound=BlueprintApp)


class BlueprintSetup(Generic[A]):
    """One registration of a blueprint on an app: what :meth:`Blueprint.record`'s functions are called with.

    :ivar app: the app.
    :ivar blueprint: the blueprint.
    :ivar options: what :meth:`register_blueprint` was given.
    :ivar first_registration: whether this is the blueprint's first registration on this app, under any name.
    :ivar name: the name of the blueprint in this registration.
    :ivar name_prefix: the names of the blueprints around it, with dots between them; empty if there are none.
    :ivar url_prefix: the path before each rule; None if there is none.
    :ivar subdomain: the subdomain of each rule that has none of its own.
    :ivar url_defaults: the defaults of URL variables.
    """

    def __init__(self, blueprint: Blueprint, app: A, options: dict[str, Any], first_registration: bool) -> None:
        self.app: A = app
        self.blueprint: Blueprint = blueprint
        self.options: dict[str, Any] = options
        self.first_registration: bool = first_registration
        self.name: str = str(options.get("name", blueprint.name))
        self.name_prefix: str = options.get("name_prefix") or ""
        prefix = options.get("url_prefix")
        self.url_prefix: str | None = blueprint.url_prefix if prefix is None else prefix
        self.subdomain: str | None = options.get("subdomain", blueprint.subdomain)
        self.url_defaults: dict[str, Any] = {**blueprint.url_values, **(options.get("url_defaults") or {})}

    @property
    def full_name(self) -> str:
        """What stands before the endpoints of this registration, but for a dot."""
        return f"{self.name_prefix}.{self.name}".lstrip(".")

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: Callable[..., Any] | None = None, **options: Any
    ) -> None:
        """Add a rule to the app, with the prefix, the name and the defaults of this registration."""
        self._add(self.app.add_url_rule, rule, endpoint, view_func, options)

    def add_websocket(
        self, rule: str, endpoint: str | None = None, view_func: Callable[..., Any] | None = None, **options: Any
    ) -> None:
        """Add a rule for websockets, as :meth:`add_url_rule` does."""
        self._add(self.app.add_websocket, rule, endpoint, view_func, options)

    def _add(
        self, method: Callable[..., None], rule: str, endpoint: str | None, function: Any, options: dict[str, Any]
    ) -> None:
        if self.subdomain is not None:
            options.setdefault("subdomain", self.subdomain)
        defaults = {**self.url_defaults, **(options.pop("defaults", None) or {})}
        method(
            join_paths(self.url_prefix, rule),
            f"{self.full_name}.{endpoint_name(endpoint, function)}",
            function,
            defaults=defaults or None,
            **options,
        )

    def options_of_child(self, blueprint: Blueprint, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options for a blueprint inside of this one."""
        prefix = options.get("url_prefix")
        prefix = join_paths(self.url_prefix, blueprint.url_prefix or "" if prefix is None else prefix)
        inner = {**options, "url_prefix": prefix or None, "name_prefix": options.get("name_prefix") or self.full_name}
        if self.subdomain is not None:
            own = options.get("subdomain", blueprint.subdomain)
            inner["subdomain"] = f"{own}.{self.subdomain}" if own else self.subdomain
        return inner


def join_paths(prefix: str | None, rule: str) -> str:
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
        self._early_records: list[Callable[[BlueprintSetup[Any]], None]] = []
        self._records: list[Callable[[BlueprintSetup[Any]], None]] = []
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

    def record(self, func: Callable[[BlueprintSetup[Any]], None]) -> None:
        """Call ``func(setup)`` whenever the blueprint is registered on an app.

        :raises RuntimeError: if the blueprint is registered already, so that the app would not see the function.
        :raises TypeError: if the function is async.
        """
        check_not_async(func, "write 'def', and use before_app_serving for what has to wait")
        self._record(func)
        self._reads_options = True

    def record_once(self, func: Callable[[BlueprintSetup[Any]], None]) -> None:
        """Call ``func(setup)`` when the blueprint is registered on an app for the first time.

        Raises what :meth:`record` does.
        """
        check_not_async(func, "write 'def', and use before_app_serving for what has to wait")
        self._record_once(func)
        self._reads_options = True

    def _record(self, function: Callable[[BlueprintSetup[Any]], None]) -> None:
        self._check_setup()
        self._records.append(function)

    def _record_once(self, function: Callable[[BlueprintSetup[Any]], None]) -> None:
        self._record(lambda setup: function(setup) if setup.first_registration else None)

    def _record_once_early(self, function: Callable[[BlueprintSetup[Any]], None]) -> None:
        """Record what may change the variables of views, which are checked when their routes get to the app."""
        self._check_setup()
        self._early_records.append(lambda setup: function(setup) if setup.first_registration else None)

    def _add_http_rule(
        self, rule: str, endpoint: str | None, view_func: Callable[..., Any] | None, options: dict[str, Any]
    ) -> None:
        name = self._endpoint(endpoint, view_func)
        _check_own_limits(options, REQUEST_LIMITS)
        self._record(lambda setup: setup.add_url_rule(rule, name, view_func, **options))

    def _add_websocket_rule(
        self, rule: str, endpoint: str | None, view_func: Callable[..., Any] | None, options: dict[str, Any]
    ) -> None:
        name = self._endpoint(endpoint, view_func)
        _check_own_limits(options, WEBSOCKET_LIMITS)
        self._record(lambda setup: setup.add_websocket(rule, name, view_func, **options))

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
            self._record(lambda setup: _ignore(setup.app.endpoint(f"{setup.full_name}.{endpoint}")(function)))
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

    def register(self, app: BlueprintApp, options: dict[str, Any]) -> None:
        """Register all routes, hooks and handlers on an app. ``app.register_blueprint()`` calls it.

        It is called for blueprints inside of this one too, with the prefixes of this one in their options.

        :raises ValueError: if the app has a blueprint of this full name already.
        :raises TypeError: if there is no such option.
        """
        self._check_options(options)
        first = not any(known is self for known in app.blueprints.values())
        setup = BlueprintSetup(self, app, options, first)
        full_name = setup.full_name
        if full_name in app.blueprints:
            raise ValueError(
                f"the app has a blueprint {full_name!r} already;"
                " give this one another name: register_blueprint(blueprint, name='other')"
            )
        app.blueprints[full_name] = self
        self.registered = True
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
            setup.add_url_rule(static_rule(self), "static", StaticView(self))
        self._add_commands(app, full_name, options)
        for function in (*self._early_records, *self._records):
            function(setup)
        for child, child_options in self._children:
            child.register(app, setup.options_of_child(child, child_options))

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
    def before_app_request(self, f: F) -> F:
        """:meth:`before_request` for every request of the app."""
        self._record_once_early(lambda setup: _ignore(add_hook(setup.app.hooks["request"].before, f)))
        return f

    @bare("response")
    def after_app_request(self, f: F) -> F:
        """:meth:`after_request` for every request of the app."""
        self._record_once(lambda setup: _ignore(add_hook(setup.app.hooks["request"].after, f)))
        return f

    @bare("error")
    def teardown_app_request(self, f: F) -> F:
        """:meth:`teardown_request` for every request of the app."""
        check_no_generator(f, TEARDOWN_REMEDY)
        self._record_once(lambda setup: _ignore(add_hook(setup.app.hooks["request"].teardown, f)))
        return f

    @bare()
    def before_app_websocket(self, func: F) -> F:
        """:meth:`before_websocket` for every websocket of the app."""
        self._record_once_early(lambda setup: _ignore(add_hook(setup.app.hooks["websocket"].before, func)))
        return func

    @bare("response")
    def after_app_websocket(self, func: F) -> F:
        """:meth:`after_websocket` for every websocket of the app."""
        self._record_once(lambda setup: _ignore(add_hook(setup.app.hooks["websocket"].after, func)))
        return func

    @bare("error")
    def teardown_app_websocket(self, func: F) -> F:
        """:meth:`teardown_websocket` for every websocket of the app."""
        check_no_generator(func, TEARDOWN_REMEDY)
        self._record_once(lambda setup: _ignore(add_hook(setup.app.hooks["websocket"].teardown, func)))
        return func

    @bare("endpoint", "view_args")
    def app_url_value_preprocessor(self, f: F) -> F:
        """:meth:`url_value_preprocessor` for every request and websocket of the app."""
        check_not_async(f, "write 'def', or use before_app_request and request.view_args")
        self._record_once_early(lambda setup: _ignore(add_hook(setup.app.url_value_preprocessors, f)))
        return f

    @bare("endpoint", "values")
    def app_url_defaults(self, f: F) -> F:
        """:meth:`url_defaults` for every endpoint of the app."""
        check_not_async(f, "write 'def'")
        self._record_once(lambda setup: _ignore(add_hook(setup.app.url_default_functions, f)))
        return f

    @bare()
    def before_app_serving(self, func: F) -> F:
        """``before_serving`` of the app."""
        check_no_generator(func, "use @blueprint.while_app_serving")
        self._record_once(lambda setup: _ignore(setup.app.before_serving(func)))
        return func

    @bare()
    def after_app_serving(self, func: F) -> F:
        """``after_serving`` of the app."""
        check_no_generator(func, "use @blueprint.while_app_serving")
        self._record_once(lambda setup: _ignore(setup.app.after_serving(func)))
        return func

    @bare()
    def while_app_serving(self, func: F) -> F:
        """``while_serving`` of the app."""
        self._record_once(lambda setup: _ignore(setup.app.while_serving(func)))
        return func

    def app_errorhandler(self, code: type[BaseException] | int) -> Callable[[F], F]:
        """:meth:`errorhandler` for errors anywhere in the app."""
        check_error_key(code, self.decorator_name("app_errorhandler"))

        def decorator(function: F) -> F:
            self._record_once(lambda setup: register_handler(setup.app.error_handlers, code, function))
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
