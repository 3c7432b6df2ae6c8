"""The command ``triows``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from .groups import AppsGroup
from .routes import routes_command
from .run import dev_command, run_command
from .shell import shell_command


class TriowsGroup(AppsGroup):
    """``triows``, and any program of its kind: ``@click.group(cls=TriowsGroup, create_app=create_app)``."""

    default_commands: Sequence[click.Command] = (run_command, dev_command, routes_command, shell_command)


main: TriowsGroup = TriowsGroup(
    name="triows",
    help="""triows, the web framework for Trio.

    The app is named by the command, by --app or TRIOWS_APP, or found in app.py or main.py. Its own commands stand
    beside the others.
    """,
)
