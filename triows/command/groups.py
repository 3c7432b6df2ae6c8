"""The group of all commands: the framework's own, and those of the app that the user names."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import click

from ..connection.checks import did_you_mean
from ..framework import click_groups
from ..framework.environment import DEBUG, debug_of_environment, get_load_dotenv
from . import discovery, environment
from .errors import CommandError, NoAppError


class ScriptInfo(click_groups.ScriptInfo):
    """What the commands of a program know of their app.

    :param app_import_path: ``MODULE_OR_FILE[:NAME]``. None: that of ``TRIOWS_APP``, or what is found in the working
        directory.
    :param create_app: returns the app, instead; it is called once, when :meth:`load_app` is.
    :param set_debug_flag: whether ``TRIOWS_DEBUG``, where it is set, decides over the app's ``debug``.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: Callable[[], Any] | None = None,
        set_debug_flag: bool = True,
    ) -> None:
        super().__init__(create_app=create_app)
        self.app_import_path = app_import_path
        self.set_debug_flag = set_debug_flag

    def find_app(self) -> Any:
        """Import the app."""
        return discovery.load_app(discovery.read_target(self.app_import_path), importlib.import_module)

    def load_app(self) -> Any:
        """Return the app.

        :raises NoAppError: if there is none.
        """
        first = self._app is None
        app = super().load_app()
        if first and self.set_debug_flag and (debug := debug_of_environment()) is not None:
            app.debug = debug
        return app


# Options


def _set_app(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(ScriptInfo).app_import_path = value


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool | None) -> None:
    # In the environment, so that the app knows it while it is made, and so does the process that a reloader starts.
    if value is not None:
        os.environ[DEBUG] = "1" if value else "0"


def _load_env_file(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        environment.load_env_file(value)


def target_argument() -> click.Argument:
    """The app, if it is not given by ``--app`` or found."""
    return click.Argument(["target"], metavar="[MODULE_OR_FILE[:NAME]]", required=False)


def name_app(context: click.Context, info: ScriptInfo, target: str | None) -> None:
    """Note the target of a command as that of the app.

    :raises CommandError: if ``--app`` has named one too.
    """
    if target is None:
        return
    if info.app_import_path is not None:
        raise CommandError(f"the app is given twice, as {target} and by --app {info.app_import_path}: leave out one")
    info.app_import_path = target


def env_file_option() -> click.Option:
    """``--env-file``; before the other options are read, which may come from the environment."""
    return click.Option(
        ["-e", "--env-file"],
        metavar="FILE",
        help="Take environment variables from FILE (needs triows[dotenv]).",
        is_eager=True,
        expose_value=False,
        callback=_load_env_file,
    )


def app_option() -> click.Option:
    """``--app``; before ``--help``, which lists the app's commands."""
    return click.Option(
        ["-A", "--app"],
        metavar="MODULE_OR_FILE[:NAME]",
        help="The app; by default TRIOWS_APP, or that in app.py or main.py.",
        is_eager=True,
        expose_value=False,
        allow_from_autoenv=False,  # what the command names comes before it
        callback=_set_app,
    )


def debug_option(default: bool | None = None) -> click.Option:
    """``--debug`` and ``--no-debug``."""
    shown = "" if default is None else f"  [default: {'debug' if default else 'no-debug'}]"
    return click.Option(
        ["--debug/--no-debug"],
        default=default,
        help=f"Set app.debug, before the app is loaded; also TRIOWS_DEBUG.{shown}",
        expose_value=False,
        allow_from_autoenv=False,
        callback=_set_debug,
    )


class AppsGroup(click_groups.AppGroup):
    """A group of the framework's commands, and of those of the app that is named by ``--app``, or found.

    :param add_default_commands: whether the framework's commands are in it.
    :param create_app: returns the app.
    :param add_version_option: whether it has ``--version``.
    :param load_dotenv: whether the files ``.env`` and ``.triowsenv`` are loaded.
    :param set_debug_flag: as for :class:`ScriptInfo`.
    """

    script_info_class: type[ScriptInfo] = ScriptInfo
    default_commands: Sequence[click.Command] = ()
    env_files: Sequence[str] = environment.FILES
    prefix = "TRIOWS"

    def __init__(
        self,
        add_default_commands: bool = True,
        create_app: Callable[..., Any] | None = None,
        add_version_option: bool = True,
        load_dotenv: bool = True,
        set_debug_flag: bool = True,
        **extra: Any,
    ) -> None:
        params = [*(extra.pop("params", None) or ()), env_file_option(), app_option(), debug_option()]
        if add_version_option:
            params.append(_version_option(self.version_lines))
        settings = {"auto_envvar_prefix": self.prefix, **(extra.pop("context_settings", None) or {})}
        super().__init__(params=params, context_settings=settings, **extra)
        self.create_app = create_app
        self.load_dotenv = load_dotenv
        self.set_debug_flag = set_debug_flag
        if add_default_commands:
            for command in self.default_commands:
                self.add_command(command)

    def version_lines(self) -> list[str]:
        """What ``--version`` says."""
        packages = ("triows", "trio", "werkzeug")
        return [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Load the files of environment variables, and make a context that knows how to find the app."""
        try:
            if get_load_dotenv(self.load_dotenv):
                environment.load_dotenv(names=self.env_files)
            debug_of_environment()
        except TypeError as error:
            raise CommandError(str(error)) from error
        if "obj" not in self.context_settings:
            extra.setdefault(
                "obj", self.script_info_class(create_app=self.create_app, set_debug_flag=self.set_debug_flag)
            )
        return super().make_context(info_name, args, parent=parent, **extra)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of the group's commands, or of the app's.

        :raises NoAppError: if it is neither, and there is no app.
        """
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        try:
            app = ctx.ensure_object(ScriptInfo).load_app()
        except NoAppError as error:
            if did_you_mean(cmd_name, self.commands):
                return None  # Click says what was meant
            raise NoAppError(
                f"there is no command {cmd_name!r}, and no app that could have it: {error.message}"
            ) from error
        found: click.Command | None = app.cli.get_command(ctx, cmd_name)
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands; what keeps the app from being loaded is a line on stderr."""
        names = set(super().list_commands(ctx))
        info = ctx.ensure_object(ScriptInfo)
        if info.create_app is None and not info.app_import_path and not discovery.finds_target():
            return sorted(names)
        try:
            names.update(info.load_app().cli.list_commands(ctx))
        except NoAppError as error:
            error.show()
        return sorted(names)


def _version_option(lines: Callable[[], list[str]]) -> click.Option:
    def show(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value and not context.resilient_parsing:
            click.echo("\n".join(lines()))
            context.exit()

    return click.Option(
        ["--version"], help="Show the versions.", is_flag=True, is_eager=True, expose_value=False, callback=show
    )
