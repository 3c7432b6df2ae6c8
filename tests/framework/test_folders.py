"""Where the files of an app and of a blueprint are, and what names without files get."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from triows import Blueprint, Triows
from triows.framework.folders import root_path_of

HERE = str(Path(__file__).parent)


def test_the_root_path_is_the_folder_of_the_module() -> None:
    assert root_path_of(__name__) == HERE
    assert Triows(__name__).root_path == HERE
    assert Blueprint("part", __name__).root_path == HERE


def test_the_root_path_of_a_package_is_its_own_folder() -> None:
    assert root_path_of(__package__) == HERE


def test_a_module_that_is_not_imported_yet_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "not_imported_yet.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    assert root_path_of("not_imported_yet") == str(tmp_path)


def test_a_root_path_that_is_given_stays() -> None:
    assert Triows(__name__, root_path="/srv/app").root_path == "/srv/app"
    assert Blueprint("part", __name__, root_path="/srv/part").root_path == "/srv/part"


@pytest.mark.parametrize("name", ["no module of that name", "nobody.nothing", "", "sys"])
def test_a_name_that_is_no_modules_has_the_working_directory(name: str) -> None:
    assert root_path_of(name) == os.getcwd()


def test_a_main_module_without_a_file_has_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    assert root_path_of("__main__") == os.getcwd()


def test_a_namespace_package_of_several_folders_has_to_be_given_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for parent in ("one", "two"):
        (tmp_path / parent / "of_folders").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "one")
    assert root_path_of("of_folders") == str(tmp_path / "one" / "of_folders")
    monkeypatch.syspath_prepend(tmp_path / "two")
    with pytest.raises(RuntimeError, match=r"the package 'of_folders' has the folders \[.*\]; give root_path= one"):
        root_path_of("of_folders")
