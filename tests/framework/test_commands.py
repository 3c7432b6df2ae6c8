"""The commands of an app. Tests triows/framework/click_groups.py too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import trio
from click.testing import CliRunner, Result

from triows import Blueprint, Triows, current_app
from triows.quart.cli import AppGroup, ScriptInfo, pass_script_info, with_appcontext


def run(app: Triows, *arguments: str) -> Result:
    return CliRunner().invoke(app.cli, arguments)


@pytest.fixture
def app() -> Triows:
    return Triows("shop")


def test_a_command_of_an_app_is_run_by_name(app: Triows) -> None:
    @app.cli.command("greet")
    @click.argument("name")
    def greet(name: str) -> None:
        click.echo(f"Hello, {name}!")

    assert run(app, "greet", "Ann").output == "Hello, Ann!\n"
    assert run(app, "part").exit_code == 2


def test_a_command_may_have_the_apps_context(app: Triows) -> None:
    @app.cli.command("plain", with_appcontext=True)
    def plain() -> None:
        click.echo(current_app.name)

    @app.cli.command("waiting", with_appcontext=True)
    async def waiting() -> None:
        await trio.lowlevel.checkpoint()
        click.echo(f"{current_app.name} waited")

    assert (run(app, "plain").output, run(app, "waiting").output) == ("shop\n", "shop waited\n")


def test_an_async_command_runs_under_trio_without_a_context_too(app: Triows) -> None:
    @app.cli.group
    @click.pass_context
    async def user(context: click.Context) -> None:
        await trio.lowlevel.checkpoint()
        context.obj.data["group"] = "users"

    @user.command("count")
    @pass_script_info
    async def count(info: ScriptInfo) -> None:
        await trio.lowlevel.checkpoint()
        click.echo(f"{info.data['group']} {current_app!r}")

    part = Blueprint("part", "part")

    @part.cli.command
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise SystemExit(3)

    @click.command("made")
    async def made() -> None:
        await trio.lowlevel.checkpoint()
        click.echo("made")

    app.cli.add_command(made)
    app.register_blueprint(part)
    assert run(app, "user", "count").output == "users <app: none here>\n"
    assert run(app, "part", "fail").exit_code == 3
    assert run(app, "made").output == "made\n"


def test_a_command_gets_the_app(app: Triows) -> None:
    @click.command("name")
    @pass_script_info
    def name(info: ScriptInfo) -> None:
        assert info.load_app() is info.load_app() is app
        click.echo(info.load_app().name)

    app.cli.add_command(name)
    assert run(app, "name").output == "shop\n"


def test_a_command_may_be_decorated_without_parentheses(app: Triows) -> None:
    @app.cli.command
    def greet() -> None:
        click.echo("Hello!")

    assert isinstance(greet, click.Command)
    assert run(app, "greet").output == "Hello!\n"


def test_a_group_may_be_decorated_without_parentheses(app: Triows) -> None:
    @app.cli.group
    def user() -> None:
        pass

    @user.command(with_appcontext=True)
    def count() -> None:
        click.echo(current_app.name)

    assert run(app, "user", "count").output == "shop\n"


def test_groups_inside_have_contexts_too(app: Triows) -> None:
    @app.cli.group("user")
    def user() -> None:
        pass

    @user.command("count", with_appcontext=True)
    @click.option("--most", default=3)
    def count(most: int) -> None:
        click.echo(f"{current_app.name} {most}")

    assert isinstance(user, AppGroup)
    assert run(app, "user", "count", "--most", "4").output == "shop 4\n"


def test_a_command_without_an_app_says_so() -> None:
    @click.command()
    @with_appcontext
    def lost() -> None:
        raise AssertionError("it has no context")

    result: Any = CliRunner().invoke(lost)
    assert result.exit_code == 2
    assert "this command has no app: add it to app.cli" in result.output


def test_a_program_calls_its_commands(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from triows import Triows\n"
        "app = Triows('shop')\n"
        "@app.cli.command('greet')\n"
        "def greet():\n"
        "    print('hello')\n"
        "app.cli()\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "shop.py", "greet"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "hello\n"


def test_click_is_imported_when_commands_are_asked_for() -> None:
    shown = "print('click' in sys.modules)"
    program = f"import sys, triows; app = triows.Triows('a'); {shown}; app.cli; {shown}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\nTrue\n"


# Of blueprints


def blueprint(**options: Any) -> Blueprint:
    part = Blueprint("part", "part", **options)

    @part.cli.command("hello", with_appcontext=True)
    def hello() -> None:
        click.echo(f"{current_app.name} says hello")

    return part


@pytest.mark.parametrize(
    ("options", "registration", "arguments"),
    [
        ({}, {}, ["part", "hello"]),
        ({}, {"name": "other"}, ["other", "hello"]),
        ({"cli_group": "group"}, {}, ["group", "hello"]),
        ({"cli_group": None}, {}, ["hello"]),
        ({"cli_group": "group"}, {"cli_group": "other"}, ["other", "hello"]),
        ({"cli_group": "group"}, {"cli_group": None}, ["hello"]),
        ({"cli_group": "group"}, {"cli_group": ...}, ["part", "hello"]),
    ],
)
def test_the_commands_of_a_blueprint_join_the_apps(
    app: Triows, options: dict[str, Any], registration: dict[str, Any], arguments: list[str]
) -> None:
    app.register_blueprint(blueprint(**options), **registration)
    assert run(app, *arguments).output == "shop says hello\n"


def test_a_blueprint_that_is_registered_twice_has_its_commands_under_both_names(app: Triows) -> None:
    part = blueprint()
    app.register_blueprint(part)
    app.register_blueprint(part, name="again")
    assert run(app, "part", "hello").output == run(app, "again", "hello").output == "shop says hello\n"


def test_the_commands_of_a_nested_blueprint_are_under_its_full_name(app: Triows) -> None:
    outer = Blueprint("outer", "outer")
    outer.register_blueprint(blueprint())
    app.register_blueprint(outer)
    assert run(app, "outer.part", "hello").output == "shop says hello\n"


def test_a_blueprint_without_commands_adds_no_group(app: Triows) -> None:
    part = Blueprint("part", "part")
    assert part.cli.commands == {}
    app.register_blueprint(part)
    assert app.cli.commands == {}


def test_a_command_of_a_registered_blueprint_comes_too_late(app: Triows) -> None:
    part = blueprint()
    app.register_blueprint(part)
    with pytest.raises(RuntimeError, match="'part' was registered already"):
        part.cli.command("late")(lambda: None)
    with pytest.raises(RuntimeError, match=r"^cli_group of the blueprint 'part' is set to 'late'"):
        part.cli_group = "late"


def test_the_group_of_a_blueprints_commands_is_a_name_or_none(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"^cli_group is the name of a group of commands.* cannot be 5"):
        blueprint(cli_group=5)
    with pytest.raises(TypeError, match=r"^cli_group is .* cannot be 5"):
        app.register_blueprint(blueprint(), cli_group=5)
