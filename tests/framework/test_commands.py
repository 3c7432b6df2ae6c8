"""The commands of an app. Tests triows/framework/click_groups.py and triows/quart/cli.py too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import trio
from click.testing import CliRunner, Result

from triows import Triows, current_app
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


def test_a_command_gets_the_app(app: Triows) -> None:
    @click.command("name")
    @pass_script_info
    def name(info: ScriptInfo) -> None:
        assert info.load_app() is info.load_app() is app
        click.echo(info.load_app().name)

    app.cli.add_command(name)
    assert run(app, "name").output == "shop\n"


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
