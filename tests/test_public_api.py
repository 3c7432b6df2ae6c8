"""What is public: docs/api.rst says it, the public modules export it, and tests/typing/ checks its types."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import triows

PUBLIC = ("triows", "triows.errors", "triows.metrics", "triows.testing", "triows.tracing")

ROOT = Path(triows.__file__).parent.parent
API = ROOT / "docs" / "api.rst"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.rst"))]
PROGRAMS = sorted((ROOT / "examples").rglob("*.py"))
TYPED = sorted((ROOT / "tests" / "typing").glob("*.py"))


class Documented(NamedTuple):
    """A name on the page, below its module: ``Triows``, ``Triows.route``."""

    module: str
    name: str
    is_set_on_instances: bool


def documented() -> Iterator[Documented]:
    """What the directives of docs/api.rst name, those inside of a class with its name before theirs."""
    directive = re.compile(r"( *)\.\. (currentmodule|py:module|(?:auto)?(module|class|exception|\w+)):: ([\w.]+)")
    module = class_ = ""
    for line in API.read_text().splitlines():
        if (match := directive.match(line)) is None:
            continue
        inner, kind, name = bool(match[1]), match[2].removeprefix("auto"), match[4]
        if kind in ("currentmodule", "module"):
            module = name
        elif kind in ("class", "exception", "function", "data", "method", "property", "attribute"):
            if not inner:
                class_ = name
            of, _, rest = name.rpartition(".")
            if of in PUBLIC:  # with its module before it
                yield Documented(of, rest, False)
            else:
                yield Documented(module, f"{class_}.{name}" if inner else name, match[2] == "attribute")


DOCUMENTED = list(documented())


def exported(module: str) -> set[str]:
    """What type checkers take a module of a typed package to export, by the typing specification's rules.

    That is its ``__all__``; without one, what it imports under its own name, ``from .app import Triows as Triows``.
    """
    file = import_module(module).__file__
    assert file is not None
    body = ast.parse(Path(file).read_text()).body
    for node in body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    aliases = [alias for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]
    return {alias.name for alias in aliases if alias.asname == alias.name}


EXPORTED = [(module, name) for module in PUBLIC for name in sorted(exported(module))]


def test_the_reference_names_the_public_modules() -> None:
    sentence = re.search(r"Public are the modules (.*?), and\s+in them", API.read_text(), re.DOTALL)
    assert sentence is not None
    assert tuple(re.findall(r"``([\w.]+)``", sentence[1])) == PUBLIC


@pytest.mark.parametrize("one", DOCUMENTED, ids=lambda one: f"{one.module}.{one.name}")
def test_what_is_documented_is_exported(one: Documented) -> None:
    owner, *path = one.name.split(".")
    assert one.module in PUBLIC
    assert owner in exported(one.module)
    value = getattr(import_module(one.module), owner)
    for name in path:
        if not one.is_set_on_instances and name not in _annotated(value):
            value = inspect.getattr_static(value, name)


def _annotated(class_: object) -> set[str]:
    """The attributes that a class only declares."""
    owners = class_.__mro__ if isinstance(class_, type) else ()
    return {name for owner in owners for name in inspect.get_annotations(owner)}


@pytest.mark.parametrize(("module", "name"), EXPORTED)
def test_what_is_exported_is_documented(module: str, name: str) -> None:
    # Under any of its names: triows.testing has some of triows too.
    known = {id(getattr(import_module(one.module), one.name)) for one in DOCUMENTED if "." not in one.name}
    assert id(getattr(import_module(module), name)) in known


def test_dir_shows_what_is_exported() -> None:
    names = {name for name in dir(triows) if not name.startswith("_")}
    assert {name for name in names if not isinstance(getattr(triows, name), ModuleType)} == exported("triows")


@pytest.mark.parametrize("module", PUBLIC[1:])
def test_a_star_imports_what_is_exported(module: str) -> None:
    namespace: dict[str, object] = {}
    exec(f"from {module} import *", namespace)
    assert namespace.keys() - {"__builtins__"} == exported(module)


@pytest.mark.parametrize("module", PUBLIC)
def test_the_types_of_all_that_is_exported_are_checked(module: str) -> None:
    nodes = [node for path in TYPED for node in ast.walk(ast.parse(path.read_text()))]
    assert exported(module) <= {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module in PUBLIC
        for alias in node.names
    }


@pytest.mark.parametrize("path", [*PAGES, *PROGRAMS], ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_and_examples_import_from_public_modules(path: Path) -> None:
    text = path.read_text()
    if path.suffix == ".rst":  # what readers do not see is a test
        text = re.sub(r"^\.\. invisible-code-block: python\n(?:\n| .*\n)+", "", text, flags=re.MULTILINE)
    imported = re.findall(r"^ *(?:from|import) (triows[\w.]*)", text, flags=re.MULTILINE)
    assert {name for name in imported if name.split(".")[:2] != ["triows", "quart"]} <= {*PUBLIC}
