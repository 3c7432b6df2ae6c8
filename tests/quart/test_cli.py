"""Quart's ``quart.cli``: its commands call the app as Quart's do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import click
import pytest
from click.testing import CliRunner, Result

from triows.quart import Quart, cli
from triows.quart.cli import NoAppException, QuartGroup, ScriptInfo
from triows.quart.helpers import get_debug_flag, get_load_dotenv


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    path, variables = list(sys.path), dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(variables)
    sys.path[:] = path


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Mock:
    module = ModuleType("module")
    app = Mock(spec=Quart)
    app.cli = cli.AppGroup()
    vars(module)["app"] = app
    monkeypatch.setattr(cli, "import_module", lambda name: module)
    return app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.cli, ["--app", "module:app", *arguments])


@pytest.mark.parametrize(
    ("options", "variable", "expected"),
    [
        ((), None, {}),
        (("--debug",), None, {"debug": True, "use_reloader": True}),
        (("--debug", "--no-reload"), None, {"debug": True}),
        (("--no-debug",), "1", {}),
        ((), "1", {"debug": True, "use_reloader": True}),
        (("-h", "::1", "-p", "80", "--reload"), None, {"host": "::1", "port": 80, "use_reloader": True}),
    ],
)
def test_run_calls_the_apps_run(
    app: Mock,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    variable: str | None,
    expected: dict[str, object],
) -> None:
    if variable is not None:
        monkeypatch.setenv("TRIOWS_DEBUG", variable)
    assert run("run", *options).exit_code == 0
    app.run.assert_called_once_with(
        **{
            "debug": False,
            "host": "127.0.0.1",
            "port": 5000,
            "certfile": None,
            "keyfile": None,
            "use_reloader": False,
            **expected,
        }
    )


def test_script_info_loads_the_app_once(app: Mock) -> None:
    info = ScriptInfo("module:app")
    assert info.load_app() is info.load_app() is app
    assert ScriptInfo(create_app=lambda: app).load_app() is app


def test_an_app_that_is_not_there_has_an_exception_of_its_own() -> None:
    with pytest.raises(NoAppException, match=r"there is no file nowhere\.py"):
        ScriptInfo("nowhere.py").load_app()
    assert issubclass(NoAppException, click.UsageError)


@pytest.mark.parametrize("name", [".env", ".quartenv", ".triowsenv"])
def test_files_of_variables_are_loaded(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("COLOUR=green\n")
    assert cli.load_dotenv()
    assert os.environ["COLOUR"] == "green"


def test_a_group_of_ones_own_has_the_commands() -> None:
    group = QuartGroup(name="shop", create_app=lambda: Quart("shop", static_folder=None), add_version_option=False)
    assert sorted(group.commands) == ["routes", "run", "shell"]
    assert CliRunner().invoke(group, ["routes"]).output == "There are no routes.\n"


def test_the_version_says_whose_api_it_is() -> None:
    assert run("--version").output.endswith("with the API of Quart\n")


def test_the_flags_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (get_debug_flag(), get_load_dotenv(), get_load_dotenv(False)) == (False, True, False)
    monkeypatch.setenv("TRIOWS_DEBUG", "1")
    monkeypatch.setenv("TRIOWS_SKIP_DOTENV", "1")
    assert (get_debug_flag(), get_load_dotenv()) == (True, False)
