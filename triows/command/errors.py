"""What the user gets wrong on the command line: one block on stderr that says what to do, and exit code 2."""

from __future__ import annotations

from typing import IO, Any

import click

from ..tasks.terminal import styled


class CommandError(click.UsageError):
    """Something that the user named cannot be used: an app, an address, a file."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message to stderr."""
        click.echo(f"{styled('triows:', 'error')} {self.format_message()}", file, err=True, color=True)


class NoAppError(CommandError):
    """There is no app where the user, or the search, expected one; or it cannot be loaded."""
