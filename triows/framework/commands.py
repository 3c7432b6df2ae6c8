"""The commands of an app."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .click_groups import AppCommands


class WithCommands:
    """The commands of an app, which are imported with Click when somebody asks for them."""

    @cached_property
    def cli(self) -> AppCommands:
        """A group of Click's for the app's own commands: ``@app.cli.command()``.

        ``app.cli()`` in a program runs the command that the program's arguments name.
        """
        from .click_groups import AppCommands

        return AppCommands(self)
