"""The templates of apps and blueprints: their folders, and what is registered for them.

Jinja belongs to the extra ``templates``. It is imported when an app uses templates first, by ``jinja.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from ..tasks.functions import call, describe
from ..web.context import current_context
from ..web.flashes import get_flashed_messages
from ..web.globals import g, request, session, websocket
from ..web.json import JSONProvider
from .routes.arguments import check_callable
from .routes.decorators import bare
from .routes.hooks import F, HookTable, add_hook, hook_table

if TYPE_CHECKING:
    from jinja2 import BaseLoader

    from .jinja import Environment

_ESCAPED = (".html", ".htm", ".xml", ".xhtml", ".svg")
_UNSET: Any = object()


class WithTemplateFolder:
    """What apps and blueprints have in common: a folder, and functions that give variables to templates.

    :ivar template_context_processors: the functions by the name of the blueprint; None: for all templates.
    """

    template_context_processors: HookTable
    root_path: str
    _template_folder: str | os.PathLike[str] | None
    _jinja_loader: BaseLoader | None

    if TYPE_CHECKING:

        def _check_setup(self) -> None: ...
        def decorator_name(self, name: str) -> str: ...

    def _init_templates(self, folder: str | os.PathLike[str] | None) -> None:
        self.template_context_processors = hook_table()
        self.template_folder = folder

    @property
    def template_folder(self) -> str | os.PathLike[str] | None:
        """The folder of the templates, absolute or below ``root_path``; None: there is none."""
        return self._template_folder

    @template_folder.setter
    def template_folder(self, folder: str | os.PathLike[str] | None) -> None:
        self._template_folder = folder
        self._jinja_loader = _UNSET

    @property
    def jinja_loader(self) -> BaseLoader | None:
        """What finds the templates of this app or blueprint: by default, in its folder. It may be replaced."""
        if self._jinja_loader is _UNSET:
            if self._template_folder is None:
                return None
            from .jinja import folder_loader

            self._jinja_loader = folder_loader(os.path.join(self.root_path, self._template_folder))
        return self._jinja_loader

    @jinja_loader.setter
    def jinja_loader(self, loader: BaseLoader | None) -> None:
        self._jinja_loader = loader

    @bare()
    def context_processor(self, f: F) -> F:
        """Call ``f()`` before each rendering; it returns a dict of variables for the template.

        A blueprint's concerns the templates of its own routes only. What is given to ``render_template()`` comes first,
        then the variables of blueprints, then those of the app.
        """
        self._check_setup()
        return add_hook(self.template_context_processors, f)


class _DefaultEnvironment:
    """A class attribute whose default is imported when it is first read."""

    def __get__(self, app: object, owner: type) -> type[Environment]:
        from .jinja import Environment

        return Environment


class _UsedOptions(dict[str, Any]):
    """The options of an environment that is there already."""

    if not TYPE_CHECKING:

        def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
            raise RuntimeError(_TOO_LATE.format(name="jinja_options"))

        __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse


_TOO_LATE = (
    "{name} is changed after app.jinja_env was made of it, which would have no effect: change it before the first use"
    " of app.jinja_env and of the decorators for templates, or change app.jinja_env itself"
)


class WithTemplates(WithTemplateFolder):
    """The templates of an app."""

    jinja_environment: type[Environment] = cast(Any, _DefaultEnvironment())
    """The class of :attr:`jinja_env`, which is called with the app and the options."""
    jinja_options: dict[str, Any] = {}  # noqa: RUF012 - Quart's name and type; each app has its own copy

    if TYPE_CHECKING:
        blueprints: dict[str, Any]
        config: Any
        json: JSONProvider
        name: str
        url_for: Callable[..., str]

    def _init_templates(self, folder: str | os.PathLike[str] | None) -> None:
        super()._init_templates(folder)
        self.jinja_options = dict(self.jinja_options)

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            if name in ("jinja_environment", "jinja_options") and "_jinja_env" in self.__dict__:
                raise RuntimeError(_TOO_LATE.format(name=name))
            super().__setattr__(name, value)

    # The environment

    @property
    def jinja_env(self) -> Environment:
        """The Jinja environment, which is made when it is used first.

        :raises ImportError: without the extra ``templates``.
        """
        if "_jinja_env" not in self.__dict__:
            # A thread may have been quicker; then its environment is the one.
            self.__dict__.setdefault("_jinja_env", self.create_jinja_environment())
            self.__dict__["jinja_options"] = _UsedOptions(self.jinja_options)
        return cast("Environment", self.__dict__["_jinja_env"])

    def create_jinja_environment(self) -> Environment:
        """Return a new Jinja environment, of ``jinja_environment`` and ``jinja_options``."""
        environment = self.jinja_environment(cast(Any, self), **self._environment_options())
        environment.globals.update(
            config=self.config,
            g=g,
            get_flashed_messages=get_flashed_messages,
            request=request,
            session=session,
            url_for=self.url_for,
            websocket=websocket,
        )
        environment.policies["json.dumps_function"] = lambda value, **options: self.json.dumps(value, **options)
        environment.policies["json.dumps_kwargs"] = {}  # Jinja's would sort keys, whatever app.json does
        return environment

    def _environment_options(self) -> dict[str, Any]:
        return {"autoescape": self.select_jinja_autoescape, **self.jinja_options}

    def create_global_jinja_loader(self) -> BaseLoader:
        """Return what finds all templates: those in the app's folder, then those in the blueprints'."""
        from .jinja import DispatchingJinjaLoader

        return DispatchingJinjaLoader(cast(Any, self))

    def template_owners(self) -> Iterator[tuple[str, WithTemplateFolder]]:
        """Yield the app and its blueprints, in the order in which templates are looked for, with names for messages."""
        yield f"the app {self.name!r}", self
        seen = set()
        for name, blueprint in self.blueprints.items():
            if id(blueprint) not in seen:
                seen.add(id(blueprint))
                yield f"the blueprint {name!r}", blueprint

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Return whether values are escaped in a template of this name; None is that of a template given as text."""
        return filename is None or filename.endswith(_ESCAPED)

    async def update_template_context(self, context: dict[str, Any]) -> None:
        """Add the variables of the context processors to those of a rendering, which stay as they are."""
        given = dict(context)
        current = current_context()
        subject = None if current is None else current.subject
        names = [] if subject is None else subject.blueprints
        for name in (None, *reversed(names)):
            for function in self.template_context_processors.get(name, ()):
                variables = await call(function)
                if not isinstance(variables, Mapping):
                    raise TypeError(
                        f"{describe(function)} returned {type(variables).__name__} {variables!r:.100}; a context"
                        " processor returns a dict of variables"
                    )
                context.update(variables)
        context.update(given)

    # What templates may call

    def add_template_filter(self, f: Callable[..., Any], name: str | None = None) -> None:
        """Add a filter: what :meth:`template_filter` does, without a decorator."""
        self._check_setup()
        self.jinja_env.filters[_name_of(f, name)] = f

    def add_template_test(self, f: Callable[..., Any], name: str | None = None) -> None:
        """Add a test: what :meth:`template_test` does, without a decorator."""
        self._check_setup()
        self.jinja_env.tests[_name_of(f, name)] = f

    def add_template_global(self, f: Callable[..., Any], name: str | None = None) -> None:
        """Add a global: what :meth:`template_global` does, without a decorator."""
        self._check_setup()
        self.jinja_env.globals[_name_of(f, name)] = f

    def template_filter(self, name: str | None = None) -> Callable[[F], F]:
        """Make the decorated function a filter of templates: ``{{ value|name }}``. It may be async.

        Filters, tests and globals run in the event loop: one that blocks must be async and use a thread.

        :param name: by default the function's.
        """
        return _decorator(self.decorator_name("template_filter"), self.add_template_filter, name)

    def template_test(self, name: str | None = None) -> Callable[[F], F]:
        """Make the decorated function a test of templates: ``{% if value is name %}``. It may be async."""
        return _decorator(self.decorator_name("template_test"), self.add_template_test, name)

    def template_global(self, name: str | None = None) -> Callable[[F], F]:
        """Make the decorated function a global of templates: ``{{ name(value) }}``. It may be async."""
        return _decorator(self.decorator_name("template_global"), self.add_template_global, name)


class TemplateSetupApp(Protocol):
    """The app that a blueprint adds its filters, tests, globals and context processors to."""

    template_context_processors: HookTable

    def add_template_filter(self, f: Callable[..., Any], name: str | None = None) -> None: ...
    def add_template_test(self, f: Callable[..., Any], name: str | None = None) -> None: ...
    def add_template_global(self, f: Callable[..., Any], name: str | None = None) -> None: ...


class TemplateSetup(Protocol):
    """A registration of a blueprint on an app."""

    @property
    def app(self) -> TemplateSetupApp: ...


class WithAppTemplates(WithTemplateFolder):
    """The templates of a blueprint, and what a blueprint adds to those of the whole app."""

    if TYPE_CHECKING:

        def _record_once(self, function: Callable[[Any], None]) -> None: ...

    def _add_templates(self, app: TemplateSetupApp, full_name: str) -> None:
        processors = self.template_context_processors[None]
        app.template_context_processors.setdefault(full_name, []).extend(processors)

    @bare()
    def app_context_processor(self, f: F) -> F:
        """``context_processor`` for all templates of the app."""

        def add(setup: TemplateSetup) -> None:
            add_hook(setup.app.template_context_processors, f)

        self._record_once(add)
        return f

    def add_app_template_filter(self, f: Callable[..., Any], name: str | None = None) -> None:
        """``add_template_filter`` of the app."""
        name = _name_of(f, name)
        self._record_once(lambda setup: setup.app.add_template_filter(f, name))

    def add_app_template_test(self, f: Callable[..., Any], name: str | None = None) -> None:
        """``add_template_test`` of the app."""
        name = _name_of(f, name)
        self._record_once(lambda setup: setup.app.add_template_test(f, name))

    def add_app_template_global(self, f: Callable[..., Any], name: str | None = None) -> None:
        """``add_template_global`` of the app."""
        name = _name_of(f, name)
        self._record_once(lambda setup: setup.app.add_template_global(f, name))

    def app_template_filter(self, name: str | None = None) -> Callable[[F], F]:
        """``template_filter`` of the app."""
        return _decorator(self.decorator_name("app_template_filter"), self.add_app_template_filter, name)

    def app_template_test(self, name: str | None = None) -> Callable[[F], F]:
        """``template_test`` of the app."""
        return _decorator(self.decorator_name("app_template_test"), self.add_app_template_test, name)

    def app_template_global(self, name: str | None = None) -> Callable[[F], F]:
        """``template_global`` of the app."""
        return _decorator(self.decorator_name("app_template_global"), self.add_app_template_global, name)


def _decorator(
    written: str, add: Callable[[Callable[..., Any], str | None], None], name: str | None
) -> Callable[[F], F]:
    if callable(name):
        raise TypeError(f"{written}() takes a name, and not the function {describe(name)}: write {written}()")

    def decorator(function: F) -> F:
        check_callable(function, written)
        add(function, name)
        return function

    return decorator


def _name_of(function: Callable[..., Any], name: str | None) -> str:
    found = name or getattr(function, "__name__", None)
    if found is None:
        raise TypeError(f"{function!r} has no name of its own; give it one: name='...'")
    return str(found)
