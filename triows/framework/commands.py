"""The commands of an app, and of its blueprints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..tasks.functions import check_not_async
from ..web.globals import g

if TYPE_CHECKING:
    from .click_groups import AppCommands, BlueprintCommands


F = TypeVar("F", bound=Callable[[], Mapping[str, Any]])


class WithCommands:
    """The commands of an app, which are imported with Click when somebody asks for them."""

    @cached_property
    def cli(self) -> AppCommands:
        """A group of Click's for the app's own commands: ``@app.cli.command()``.

        ``app.cli()`` in a program runs the command that the program's arguments name.
        """
        from .click_groups import AppCommands

        return AppCommands(self)

    @cached_property
    def shell_context_processors(self) -> list[Callable[[], Mapping[str, Any]]]:
        """The functions of :meth:`shell_context_processor`."""
        return []

    def shell_context_processor(self, function: F) -> F:
        """Let ``function()`` return names, in a dict, for the namespace of ``triows shell``."""
        check_not_async(function, "return what can be awaited, and await it in the shell")
        self.shell_context_processors.append(function)
        return function

    def make_shell_context(self) -> dict[str, Any]:
        """Return the namespace of ``triows shell``: ``app``, ``g``, and what the context processors add."""
        names: dict[str, Any] = {"app": self, "g": g}
        for processor in self.shell_context_processors:
            names.update(processor())
        return names


class AppWithCommands(Protocol):
    """The app that a blueprint's commands are added to."""

    @cached_property
    def cli(self) -> AppCommands: ...


class WithBlueprintCommands:
    """The commands of a blueprint, which join those of the app with the registration.

    :ivar cli_group: the name of their group. ``...``: the blueprint's name. None: they stand beside the app's own.
    """

    name: str
    cli_group: str | EllipsisType | None

    def _check_setup(self) -> None:
        raise NotImplementedError

    @cached_property
    def cli(self) -> BlueprintCommands:
        """A group of Click's for the blueprint's commands: ``@blueprint.cli.command()``."""
        from .click_groups import BlueprintCommands

        return BlueprintCommands(self.name, self._check_setup)

    def _add_commands(self, app: AppWithCommands, name: str, options: dict[str, Any]) -> None:
        """Add the commands to an app's.

        :param name: the full name of the blueprint's registration.
        """
        if "cli" not in vars(self):  # nobody has asked for it
            return
        group = check_cli_group(options.get("cli_group", self.cli_group))
        if group is None:
            for command_name, command in self.cli.commands.items():
                app.cli.add_command(command, command_name)
        elif self.cli.commands:
            app.cli.add_command(self.cli, name if isinstance(group, EllipsisType) else group)


def check_cli_group(group: Any) -> str | EllipsisType | None:
    """Raise TypeError for what is no ``cli_group``."""
    if group is None or isinstance(group, str | EllipsisType):
        return group
    raise TypeError(f"cli_group is the name of a group of commands, or None for no group, and cannot be {group!r:.100}")
