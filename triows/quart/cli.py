"""Quart's ``quart.cli``: commands of apps, and the group that is the command ``quart`` there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from ..command import discovery, environment, groups
from ..command.errors import NoAppError
from ..command.routes import routes_command as routes_command
from ..command.shell import shell_command as shell_command
from ..framework.click_groups import AppGroup as AppGroup
from ..framework.click_groups import pass_script_info as pass_script_info
from ..framework.click_groups import with_appcontext as with_appcontext
from ..framework.environment import get_debug_flag as get_debug_flag
from ..framework.environment import get_load_dotenv as get_load_dotenv
from ..web.quart_names import refuse_imports as _refuse_imports

NoAppException: type[NoAppError] = NoAppError
_ENV_FILES: Sequence[str] = (*environment.FILES, ".quartenv")


class ScriptInfo(groups.ScriptInfo):
    """What the commands of a program know of their app: see there."""

    def find_app(self) -> Any:
        """Import the app, by this module's ``import_module``, as in Quart."""
        return discovery.load_app(discovery.read_target(self.app_import_path), import_module)


def load_dotenv(path: str | os.PathLike[str] | None = None) -> bool:
    """Set environment variables from a file, or from ``.env``, ``.triowsenv`` and ``.quartenv``.

    Return whether a file was loaded. Variables that are set already stay as they are.
    """
    return environment.load_dotenv(path, _ENV_FILES)


@click.command("run", params=[groups.debug_option()])
@click.option("--host", "-h", default="127.0.0.1", show_default=True, help="The interface to bind to.")
@click.option("--port", "-p", default=5000, show_default=True, help="The port to bind to.")
@click.option("--certfile", "--cert", type=click.Path(exists=True, dir_okay=False), help="A certificate, for HTTPS.")
@click.option("--keyfile", "--key", type=click.Path(exists=True, dir_okay=False), help="The certificate's key.")
@click.option("--reload/--no-reload", default=None, help="Restart when a file changes; by default in debug mode.")
@pass_script_info
def run_command(
    info: ScriptInfo, host: str, port: int, certfile: str | None, keyfile: str | None, reload: bool | None
) -> None:
    """Call the app's ``run()``."""
    app = info.load_app()
    debug = get_debug_flag()
    use_reloader = debug if reload is None else reload
    app.run(debug=debug, host=host, port=port, certfile=certfile, keyfile=keyfile, use_reloader=use_reloader)


class QuartGroup(groups.AppsGroup):
    """A group for programs: with ``run``, ``shell``, ``routes``, and the app's own commands."""

    script_info_class: type[groups.ScriptInfo] = ScriptInfo
    default_commands: Sequence[click.Command] = (run_command, shell_command, routes_command)
    env_files: Sequence[str] = _ENV_FILES

    def version_lines(self) -> list[str]:
        """What ``--version`` says."""
        return [*super().version_lines(), "with the API of Quart"]


cli: QuartGroup = QuartGroup(name="triows", help="Commands for apps with Quart's API.")


def main() -> None:
    """Run the command that the program's arguments name."""
    cli.main()


if not TYPE_CHECKING:
    __getattr__ = _refuse_imports(
        __name__,
        {
            **dict.fromkeys(
                ("find_best_app", "find_app_by_string", "locate_app", "prepare_import"),
                "ScriptInfo('module:app').load_app() finds an app",
            ),
            "get_version": "call QuartGroup().version_lines()",
        },
    )
