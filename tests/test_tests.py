"""Where tests lie: ``triows/a/b.py`` is tested in ``tests/a/test_b.py``, or where the docstring of tests says so.

Tests that lie elsewhere name the modules that they test in the docstring of their file, by path. A folder that is not
named after a package of triows holds tests of triows as a whole; so does the top of the tree.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import triows

PACKAGE = Path(triows.__file__).parent
TESTS = Path(__file__).parent

MODULES = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
FILES = {path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")} - {Path(__file__).relative_to(TESTS)}
FOLDERS = {path.relative_to(TESTS).parent for path in TESTS.rglob("*.py")}


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse((TESTS / path).read_text())) or ""


def by_name(path: Path) -> Path:
    """The module that tests are for by the place and the name of their file, if there is one."""
    return path.with_name(path.name.removeprefix("test_"))


def by_docstring(path: Path) -> set[Path]:
    """The modules that tests are for by the docstring of their file."""
    return {Path(name) for name in re.findall(r"\btriows/([\w/]+\.py)", docstring(path))}


def test_every_module_is_tested_in_its_place_or_where_a_docstring_says_so() -> None:
    tested = {by_name(path) for path in FILES}.union(*map(by_docstring, FILES))
    assert sorted(map(str, MODULES - tested)) == []


def test_docstrings_name_modules_that_are_there() -> None:
    gone = {str(path): sorted(map(str, by_docstring(path) - MODULES)) for path in FILES}
    assert {path: modules for path, modules in gone.items() if modules} == {}


def test_what_lies_in_the_folder_of_a_package_says_which_module_it_tests() -> None:
    mirrored = {path for path in FILES if path.parent != Path() and (PACKAGE / path.parent).is_dir()}
    assert sorted(str(path) for path in mirrored if by_name(path) not in MODULES and not by_docstring(path)) == []


def test_every_folder_and_every_file_says_what_it_is_for() -> None:
    paths = FILES | {folder / "__init__.py" for folder in FOLDERS}
    assert sorted(str(path) for path in paths if not docstring(path)) == []
