"""The Jinja environment of an app. This module imports Jinja; it is imported when the app uses templates first.

What is different from Jinja's own environment: rendering is always async, the templates are in the folders of the app
and its blueprints, and the async generators over which loops iterate are closed when the rendering ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, NoReturn, Protocol, cast
from weakref import WeakValueDictionary

try:
    import jinja2
except ModuleNotFoundError as _error:
    raise ImportError("templates need Jinja: pip install 'triows[templates]'") from _error
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.meta import find_referenced_templates

from ..web.templates import closed_with_rendering

Source = tuple[str, str | None, Callable[[], bool] | None]
"""What a loader returns: the source of a template, its file, and whether that has not changed since."""


class Owner(Protocol):
    """An app or a blueprint, as far as its templates go."""

    @property
    def jinja_loader(self) -> jinja2.BaseLoader | None: ...


class TemplateOwners(Protocol):
    """The app, as far as its templates go."""

    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def debug(self) -> bool: ...
    @property
    def logger(self) -> Any: ...
    def template_owners(self) -> Iterable[tuple[str, Owner]]: ...
    def create_global_jinja_loader(self) -> jinja2.BaseLoader: ...


class ClosingCodeGenerator(CodeGenerator):
    """Jinja's compiler leaves open what a loop iterates over if the loop ends early. Here the rendering closes it.

    The async generators are those of the loop itself, of its ``if``, and of filters like ``map`` and ``select``.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._conditions: set[str] = set()

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        """Note which templates this one names, so that they can be compiled with it."""
        cast(Environment, self.environment).note_referenced(find_referenced_templates(node))
        super().visit_Template(node, frame)

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        """Compile a loop."""
        node.iter = self._closed(node.iter)
        super().visit_For(node, frame)

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:
        """Compile a filter. Those of Jinja that have an async variant iterate over what they filter."""
        function = self.environment.filters.get(node.name)
        if node.node is not None and getattr(function, "jinja_async_variant", False):
            node.node = self._closed(node.node)
        super().visit_Filter(node, frame)

    def _closed(self, node: nodes.Node) -> nodes.Expr:
        function = nodes.EnvironmentAttribute("closed_with_rendering", lineno=node.lineno)
        return nodes.Call(function, [cast(nodes.Expr, node)], [], None, None, lineno=node.lineno)

    # The condition of a loop ("for x in y if z") becomes an async generator function with a name that is used once.

    def func(self, name: str) -> str:
        """Begin a function."""
        if name.startswith("t_"):
            self._conditions.add(f"{name}(")
        return super().func(name)

    def write(self, x: str) -> None:
        """Write a piece of code; the call of a condition so that the rendering closes the generator."""
        super().write(f"environment.condition({x[:-1]})(" if x in self._conditions else x)


class Template(jinja2.Template):
    """A template that is rendered in Trio's tasks alone: what would run asyncio raises an error."""

    def render(self, *args: Any, **kwargs: Any) -> str:
        """Raise RuntimeError, unless the environment was made to be synchronous."""
        if self.environment.is_async:
            self._refuse("render()", "await template.render_async(...)")
        return super().render(*args, **kwargs)

    def generate(self, *args: Any, **kwargs: Any) -> Iterator[str]:
        """Raise RuntimeError, unless the environment was made to be synchronous."""
        if self.environment.is_async:
            self._refuse("generate()", "async for piece in template.generate_async(...)")
        return super().generate(*args, **kwargs)

    def _refuse(self, method: str, remedy: str) -> NoReturn:
        raise RuntimeError(f"{method} of the template {self.name!r} would run asyncio: write '{remedy}'")


class Environment(jinja2.Environment):
    """The Jinja environment of an app.

    :param options: Jinja's own, save that rendering is async, and that ``auto_reload`` is by default
        TEMPLATES_AUTO_RELOAD of the config, else DEBUG.
    """

    code_generator_class: type[CodeGenerator] = ClosingCodeGenerator
    template_class: type[jinja2.Template] = Template

    def __init__(self, app: TemplateOwners, **options: Any) -> None:
        if not options.setdefault("enable_async", True):
            raise ValueError("jinja_options has 'enable_async': False; rendering is always async, so leave it out")
        if "loader" not in options:
            options["loader"] = app.create_global_jinja_loader()
        options.setdefault("auto_reload", None)
        self.app = app
        self._compiled: WeakValueDictionary[str, jinja2.Template] = WeakValueDictionary()
        self._referenced: set[str] = set()
        super().__init__(**options)

    @property
    def auto_reload(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether a template is compiled again when its file has changed."""
        for value in (self._auto_reload, self.app.config["TEMPLATES_AUTO_RELOAD"]):
            if value is not None:
                return bool(value)
        return self.app.debug

    @auto_reload.setter
    def auto_reload(self, value: bool | None) -> None:
        self._auto_reload = value

    def get_template(
        self,
        name: str | jinja2.Template,
        parent: str | None = None,
        globals: MutableMapping[str, Any] | None = None,
    ) -> jinja2.Template:
        """See :meth:`jinja2.Environment.get_template`."""
        template = super().get_template(name, parent, globals)
        if isinstance(name, str):
            self._compiled[name] = template
        return template

    def select_template(
        self,
        names: Any,
        parent: str | None = None,
        globals: MutableMapping[str, Any] | None = None,
    ) -> jinja2.Template:
        """See :meth:`jinja2.Environment.select_template`."""
        try:
            return super().select_template(names, parent, globals)
        except jinja2.TemplatesNotFound as error:
            tried: list[Any] = error.templates
            if not tried or not isinstance(self.loader, DispatchingJinjaLoader):
                raise
            message = f"there is none of the templates {', '.join(map(repr, tried))} {self.loader.places()}"
            raise jinja2.TemplatesNotFound(tried, message) from None

    def has_compiled(self, name: Any) -> bool:
        """Whether a template has no need to be read and compiled. Any thread may call this."""
        if not isinstance(name, str):
            return isinstance(name, jinja2.Template)
        template = self._compiled.get(name)
        return template is not None and (not self.auto_reload or template.is_up_to_date)

    def note_referenced(self, names: Iterable[str | None]) -> None:
        """Note the names of templates for :meth:`compile_referenced`; None stands for a name that is computed."""
        self._referenced.update(name for name in names if name is not None)

    def compile_referenced(self) -> None:
        """Compile the templates that compiled ones extend, include or import."""
        while self._referenced:
            name = self._referenced.pop()
            if name not in self._compiled:
                try:
                    self.get_template(name)
                except Exception:  # raised again where a rendering comes to it, if one does
                    pass

    @staticmethod
    def closed_with_rendering(iterable: Any) -> Any:
        """Called by compiled templates with what a loop iterates over."""
        return closed_with_rendering(iterable)

    @staticmethod
    def condition(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Called by compiled templates with the condition of a loop."""
        return lambda iterable: closed_with_rendering(function(iterable))


class DispatchingJinjaLoader(jinja2.BaseLoader):
    """Finds templates in the app's folder, then in those of its blueprints, in the order of their registration."""

    def __init__(self, app: TemplateOwners) -> None:
        self.app = app

    def get_source(self, environment: jinja2.Environment, template: str) -> Source:
        """Return the source of the first template of that name.

        :raises jinja2.TemplateNotFound: if there is none; the message says where it was looked for.
        """
        explaining = self.app.config["EXPLAIN_TEMPLATE_LOADING"]
        found: Source | None = None
        attempts = []
        for owner, loader in self._loaders():
            try:
                source = loader.get_source(environment, template)
                attempts.append(f"{_place(loader)} of {owner}: found, {source[1] or 'not in a file'}")
                found = found or source
            except jinja2.TemplateNotFound:
                attempts.append(f"{_place(loader)} of {owner}: not found")
            if found and not explaining:
                return found
        if explaining:
            self.app.logger.info("looking for the template %r%s", template, "".join(f"\n  {one}" for one in attempts))
        if found is None:
            raise jinja2.TemplateNotFound(template, f"there is no template {template!r} {self.places()}")
        return found

    def places(self) -> str:
        """Return where templates are looked for, for messages."""
        places = [f"{_place(loader)} of {owner}" for owner, loader in self._loaders()]
        return f"in {', or in '.join(places)}" if places else "since no template_folder is set"

    def list_templates(self) -> list[str]:
        """Return the names of all templates."""
        return sorted({name for _, loader in self._loaders() for name in loader.list_templates()})

    def _loaders(self) -> Iterator[tuple[str, jinja2.BaseLoader]]:
        for name, owner in self.app.template_owners():
            if (loader := owner.jinja_loader) is not None:
                yield name, loader


def folder_loader(folder: str) -> jinja2.BaseLoader:
    """Return the loader of one folder."""
    return jinja2.FileSystemLoader(folder)


def _place(loader: jinja2.BaseLoader) -> str:
    paths: Sequence[str] = getattr(loader, "searchpath", ())
    if not paths:
        return type(loader).__name__
    return ", ".join(path if os.path.isdir(path) else f"{path} (no such folder)" for path in paths)
