"""The shape of the package: imports go one way, files stay small, what is public is documented, all of it is tested."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import triows
from triows.tasks.context import Proxy

ROOT = Path(triows.__file__).parent
MAX_LINES = 500

# docs/design.rst has the table of floors: packages and modules at the top of triows, each with its floor, its rule and
# the rooms that it may import. All imports count, those for type checkers and those inside of functions too.
ROW = re.compile(r"   \* - (\d+)\n     - (.*)\n     - (.*)\n     - (.*)\n")


@dataclass(frozen=True)
class Room:
    """A row of the table."""

    floor: int
    rule: str
    may_import: frozenset[str]


def rooms() -> dict[str, Room]:
    table = (ROOT.parent / "docs" / "design.rst").read_text().partition(":name: floors")[2].partition("\n\n``app``")[
        0
    ] + "\n"
    return {
        name: Room(int(floor), rule, frozenset(re.findall(r"``(\w+)``", may_import)))
        for floor, names, rule, may_import in ROW.findall(table)
        for name in re.findall(r"``(\w+)``", names)
    }


ROOMS = rooms()

# What an app that is served another way never loads.
LAZY = {
    *(("app", "asgi"), ("app", "server"), ("app", "testing"), ("quart", "testing")),
    *(("framework.templates", "framework.jinja"), ("quart.templating", "framework.jinja")),
    ("framework.commands", "framework.click_groups"),
    ("framework.response_filters", "web.content_coding"),
}

# Third-party imports that stand for an extra, or come with a dependency.
EXTRAS = {
    "dotenv": "dotenv",
    "jinja2": "templates",
    "opentelemetry": "otel",
    "prometheus_client": "metrics",
    "backports": "zstd",
    "coredis": "redis",
    "watchfiles": "reload",
    "websockets": "speedups",
}
LATER_STDLIB = {"compression"}  # of Python 3.14
BROUGHT_ALONG = {"colorama": "click", "idna": "trio", "markupsafe": "werkzeug", "wsproto": "trio-websocket"}


@dataclass(frozen=True)
class Import:
    """One import: the module that it is of (dotted, inside of triows without its name), and where it stands."""

    target: str
    inside: bool
    lazy: bool

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]


def modules() -> dict[str, Path]:
    """All modules by their dotted names below triows; a package has its own name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


MODULES = modules()


def nodes(body: list[ast.stmt], lazy: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The import statements, and whether nothing but a call or a type checker reaches them."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, lazy
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from nodes(node.body, True)
            yield from nodes(node.orelse, lazy)
        else:
            inner = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for name in ("body", "orelse", "finalbody"):
                yield from nodes(getattr(node, name, []), inner)
            for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
                yield from nodes(part.body, inner)


def imports(name: str) -> list[Import]:
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part != "__init__"]
    found = []
    for node, lazy in nodes(ast.parse(path.read_text()).body):
        if isinstance(node, ast.Import):
            found += [_of(alias.name, lazy) for alias in node.names]
        elif not node.level:
            assert node.module is not None
            found.append(_of(node.module, lazy))
        else:
            base = package[: len(package) - node.level + 1]
            whole = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                # `from . import name` may be of a module or of something in the package.
                deeper = f"{whole}.{alias.name}".strip(".")
                found.append(Import(deeper if deeper in MODULES else whole or "__init__", inside=True, lazy=lazy))
    return found


def _of(name: str, lazy: bool) -> Import:
    inside = name == "triows" or name.startswith("triows.")
    return Import((name.removeprefix("triows").strip(".") or "__init__") if inside else name, inside, lazy)


def test_the_table_of_rooms_is_complete() -> None:
    assert {name.partition(".")[0] for name in MODULES} == ROOMS.keys()


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_may_import_from_lower_floors_alone(name: str) -> None:
    assert {other for other in ROOMS[name].may_import if ROOMS[other].floor >= ROOMS[name].floor} == set()


@pytest.mark.parametrize("name", MODULES)
def test_imports_stay_in_the_room_or_go_where_the_table_allows(name: str) -> None:
    room = name.partition(".")[0]
    assert {one.top for one in imports(name) if one.inside} - {room} <= ROOMS[room].may_import


def test_imports_make_no_circle() -> None:
    graph = {name: {one.target for one in imports(name) if one.inside and one.target != name} for name in MODULES}
    while graph:
        free = [name for name, targets in graph.items() if not targets & graph.keys()]
        assert free, f"there is a circle among {sorted(graph)}"
        for name in free:
            del graph[name]


@pytest.mark.parametrize("name", MODULES)
def test_nothing_is_imported_lazily_but_what_an_app_may_not_need(name: str) -> None:
    top = name.partition(".")[0]
    for one in imports(name):
        if one.inside and one.lazy:
            assert {(top, one.top), (name, one.target)} & LAZY


@pytest.mark.parametrize("name", [name for name in ROOMS if MODULES[name].name == "__init__.py" and name[0] != "_"])
def test_a_package_says_the_rule_that_the_table_has(name: str) -> None:
    says = ast.get_docstring(ast.parse(MODULES[name].read_text()))
    assert says is not None
    assert " ".join(says.partition("\n\n")[0].split()) == ROOMS[name].rule


@pytest.mark.parametrize("name", [name for name in MODULES if name.partition(".")[0] == "protocol"])
def test_the_protocol_knows_nothing_but_bytes(name: str) -> None:
    for one in imports(name):
        if one.inside:
            assert one.top == "protocol"
        else:
            assert one.top in sys.stdlib_module_names | EXTRAS.keys()
            assert one.top not in ("socket", "ssl", "select", "time", "threading")


def test_importing_triows_loads_no_server() -> None:
    eager = {"__init__"}
    while True:
        reached = {
            one.target
            for name in eager
            for one in imports(name)
            if one.inside and not one.lazy and one.target in MODULES
        }
        if reached <= eager:
            break
        eager |= reached
    assert {name for name in eager if name.partition(".")[0] in ("asgi", "command", "server", "testing")} == set()


@pytest.mark.parametrize("name", MODULES)
def test_there_is_no_other_event_loop(name: str) -> None:
    assert {one.top for one in imports(name)} & {"asyncio", "anyio", "sniffio", "curio"} == set()


def test_every_third_party_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    declared = {_import_name(requirement) for requirement in project["dependencies"]}
    imported = {
        one.top
        for name in MODULES
        for one in imports(name)
        if not one.inside and one.top not in sys.stdlib_module_names | LATER_STDLIB and one.top != "__future__"
    }
    assert imported == declared | (EXTRAS.keys() & imported) | (BROUGHT_ALONG.keys() & imported)
    for module, extra in EXTRAS.items():
        assert any(module in _import_name(wanted) for wanted in project["optional-dependencies"][extra])
    assert set(map(_import_name, BROUGHT_ALONG.values())) <= declared


def _import_name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return match[0].lower().replace("-", "_")


# Size and form


@pytest.mark.parametrize("name", MODULES)
def test_files_stay_small(name: str) -> None:
    assert len(MODULES[name].read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("name", [name for name in MODULES if name != "__main__"])
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[name].read_text()))


def test_the_package_is_marked_as_typed() -> None:
    assert (ROOT / "py.typed").is_file()


# Documentation


def public(module: ModuleType) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }


def test_the_public_names_are_exported_explicitly() -> None:
    tree = ast.parse(MODULES["__init__"].read_text())
    names = {alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names == public(triows).keys()


@pytest.mark.parametrize("name", sorted(name for name, value in public(triows).items() if not isinstance(value, Proxy)))
def test_every_public_name_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(triows, name))


@pytest.mark.parametrize("name", sorted(name for name, value in public(triows).items() if isinstance(value, type)))
def test_every_public_attribute_of_a_public_class_is_documented(name: str) -> None:
    class_ = getattr(triows, name)
    missing = [
        attribute
        for owner in class_.__mro__
        if owner.__module__.partition(".")[0] == "triows"
        for attribute, value in vars(owner).items()
        if not attribute.startswith("_")
        and isinstance(value, property | staticmethod | classmethod | type(test_files_stay_small))
        and not inspect.getdoc(getattr(class_, attribute))
    ]
    assert missing == []


def test_the_hierarchy_of_errors_is_in_its_docstring() -> None:
    from triows import errors

    assert errors.__doc__ is not None
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            assert re.search(rf"\b{name}\b", errors.__doc__), name
            assert issubclass(value, errors.TriowsError)
