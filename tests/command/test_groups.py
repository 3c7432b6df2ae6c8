"""The group of all commands: the app's beside the framework's, and the options that they share.

Tests triows/command/main.py and triows/framework/environment.py too.
"""

from __future__ import annotations

import os
from pathlib import Path

import click
import click.testing
import pytest

from triows import Triows, current_app
from triows.command.groups import ScriptInfo
from triows.command.main import TriowsGroup
from triows.framework.click_groups import pass_script_info

from ..support.commands import APP, complaint, triows, write

COMMANDS = (
    APP
    + """
import click, trio
from triows import Blueprint, current_app

@app.cli.command("greet")
@click.argument("name")
def greet(name):
    "Greet somebody."
    click.echo(f"hello {name}")

@app.cli.command("wait", with_appcontext=True)
async def wait():
    await trio.lowlevel.checkpoint()
    click.echo(f"{current_app.name} waited")

def blueprint(name, **options):
    part = Blueprint(name, name, **options)
    @part.cli.command(f"of-{name}")
    def command():
        click.echo(f"of {name}")
    return part

app.register_blueprint(blueprint("users"))
app.register_blueprint(blueprint("posts", cli_group="content"))
app.register_blueprint(blueprint("plain", cli_group=None))
"""
)


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("greet", "Ann"), "hello Ann"),
        (("wait",), "chat waited"),
        (("users", "of-users"), "of users"),
        (("content", "of-posts"), "of posts"),
        (("of-plain",), "of plain"),
    ],
)
def test_the_commands_of_an_app_and_its_blueprints_are_run_by_name(
    tmp_path: Path, arguments: tuple[str, ...], output: str
) -> None:
    write(tmp_path / "chat.py", COMMANDS)
    assert triows("--app", "chat.py", *arguments).stdout == f"{output}\n"


def test_the_app_of_a_command_may_be_found(tmp_path: Path) -> None:
    write(tmp_path / "app.py", COMMANDS)
    assert triows("greet", "Ann").stdout == "hello Ann\n"
    assert "Greet somebody." in triows("greet", "--help").stdout


def test_the_help_lists_the_commands_of_the_app(tmp_path: Path) -> None:
    write(tmp_path / "chat.py", COMMANDS)
    text = triows("--app", "chat.py", "--help").stdout
    for name in ("content", "dev", "greet", "of-plain", "run", "users", "wait"):
        assert f"\n  {name}" in text


def test_the_help_needs_no_app() -> None:
    result = triows("--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert triows().output.startswith("Usage: ")


def test_the_help_says_why_the_app_cannot_be_loaded(tmp_path: Path) -> None:
    write(tmp_path / "app.py", "1 / 0")
    result = triows("--help")
    assert result.exit_code == 0
    assert result.stderr.startswith("triows: cannot load app.py: it raises ZeroDivisionError\n")
    assert "run" in result.stdout


def test_a_command_that_is_none_says_what_is_missing(tmp_path: Path) -> None:
    assert complaint("greet").startswith("there is no command 'greet', and no app that could have it: there is ")
    assert "No such command 'rnu'" in triows("rnu").stderr
    write(tmp_path / "app.py", COMMANDS)
    assert "No such command 'greeet'" in triows("greeet").stderr


def test_a_command_of_the_app_may_be_called_nearly_as_one_of_the_others(tmp_path: Path) -> None:
    write(tmp_path / "app.py", COMMANDS.replace('"greet"', '"route"'))
    assert triows("route", "Ann").stdout == "hello Ann\n"


def test_an_app_that_is_given_twice_is_one_line(tmp_path: Path) -> None:
    assert complaint("--app", "a.py", "run", "b.py") == (
        "the app is given twice, as b.py and by --app a.py: leave out one"
    )


# Debug mode


DEBUGGED = APP + "\n@app.cli.command('debug')\ndef debug():\n    print(DEBUG, app.debug)\nDEBUG = app.debug\n"


@pytest.mark.parametrize(
    ("variable", "options", "debug"),
    [
        (None, (), False),
        (None, ("--debug",), True),
        ("1", (), True),
        ("true", (), True),
        ("1", ("--no-debug",), False),
        ("0", ("--debug",), True),
        ("no", (), False),
    ],
)
def test_debug_mode_is_known_while_the_app_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, options: tuple[str, ...], debug: bool
) -> None:
    if variable is not None:
        monkeypatch.setenv("TRIOWS_DEBUG", variable)
    write(tmp_path / "app.py", DEBUGGED)
    assert triows(*options, "debug").stdout == f"{debug} {debug}\n"


def test_the_environment_decides_over_what_the_app_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "app.py", DEBUGGED + "app.debug = True\n")
    assert triows("debug").stdout == "False True\n"
    monkeypatch.setenv("TRIOWS_DEBUG", "0")
    assert triows("debug").stdout == "False False\n"


def test_every_app_takes_debug_mode_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOWS_DEBUG", "yes")
    assert Triows("chat").debug
    monkeypatch.setenv("TRIOWS_DEBUG", "")
    assert not Triows("chat").debug


@pytest.mark.parametrize("name", ["TRIOWS_DEBUG", "TRIOWS_SKIP_DOTENV"])
def test_a_switch_that_is_neither_on_nor_off_is_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "perhaps")
    assert complaint("run") == f"{name} is 'perhaps'; it must be True or False"


# Programs of their own


def test_a_program_may_have_the_commands_too() -> None:
    @click.group(cls=TriowsGroup, create_app=lambda: Triows("shop"), add_default_commands=False)
    def manage() -> None:
        """The shop's own program."""

    @manage.command("name", with_appcontext=True)
    async def name() -> None:
        click.echo(current_app.name)

    @manage.command("loaded")
    @pass_script_info
    def loaded(info: ScriptInfo) -> None:
        click.echo(repr(info.load_app()))

    runner = click.testing.CliRunner()
    assert runner.invoke(manage, ["name"]).output == "shop\n"
    assert runner.invoke(manage, ["loaded"]).output == "<Triows 'shop'>\n"
    assert sorted(manage.commands) == ["loaded", "name"]


def test_options_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRIOWS_RUN_PORT", "http")
    result = triows("run", write(tmp_path / "chat.py"))
    assert (result.exit_code, "TRIOWS_RUN_PORT" in result.stderr or "'http'" in result.stderr) == (2, True)
    assert "TRIOWS_DEBUG" not in os.environ


def test_the_versions_are_told() -> None:
    lines = triows("--version").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["Python", "triows", "trio", "werkzeug"]
