"""The runner of an app's commands."""

from __future__ import annotations

import click
import pytest
import trio

from triows import Blueprint, Triows, current_app
from triows.quart.cli import ScriptInfo
from triows.quart.testing import QuartCliRunner
from triows.testing import TestCliRunner


@pytest.fixture
def app() -> Triows:
    app = Triows("shop")

    @app.cli.command("name", with_appcontext=True)
    async def name() -> None:
        await trio.lowlevel.checkpoint()
        click.echo(current_app.name)

    return app


def test_a_runner_runs_the_commands_of_the_app(app: Triows) -> None:
    runner = app.test_cli_runner()
    assert isinstance(runner, QuartCliRunner)
    assert runner.invoke(args=["name"]).output == "shop\n"
    assert runner.invoke(args=["age"]).exit_code == 2


def test_a_runner_runs_another_command_with_the_app(app: Triows) -> None:
    @click.command()
    @click.pass_obj
    def command(info: ScriptInfo) -> None:
        click.echo(info.load_app().name)

    assert app.test_cli_runner().invoke(command).output == "shop\n"
    assert app.test_cli_runner().invoke(command, obj=ScriptInfo(create_app=lambda: Triows("other"))).output == "other\n"


def test_a_runner_takes_clicks_options(app: Triows) -> None:
    @app.cli.command()
    @click.option("--color", envvar="COLOR")
    def paint(color: str) -> None:
        click.echo(color)

    assert app.test_cli_runner(env={"COLOR": "red"}).invoke(args=["paint"]).output == "red\n"


async def test_a_runner_runs_in_a_thread_of_an_async_test(app: Triows) -> None:
    result = await trio.to_thread.run_sync(app.test_cli_runner().invoke, None, ["name"])
    assert result.output == "shop\n"


def test_an_app_may_have_a_runner_of_its_own() -> None:
    class Runner(TestCliRunner):
        pass

    class App(Triows):
        test_cli_runner_class = Runner

    assert type(App("shop").test_cli_runner()) is Runner


def test_a_blueprints_commands_are_run_by_the_apps_runner(app: Triows) -> None:
    part = Blueprint("part", "part")
    part.cli.command("hello")(lambda: click.echo("hello"))
    app.register_blueprint(part)
    assert app.test_cli_runner().invoke(args=["part", "hello"]).output == "hello\n"
