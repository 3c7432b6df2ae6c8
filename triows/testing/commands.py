"""A runner for tests of an app's commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from click.testing import CliRunner, Result

from ..framework.application import App
from ..framework.click_groups import ScriptInfo


class TestCliRunner(CliRunner):
    """Click's runner, for the commands of one app: ``app.test_cli_runner()``.

    :param options: what :class:`click.testing.CliRunner` takes.
    """

    __test__ = False  # pytest takes any class named Test... for a collection of tests

    def __init__(self, app: App, **options: Any) -> None:
        super().__init__(**options)
        self.app = app

    def invoke(
        self, cli: click.Command | None = None, args: str | Sequence[str] | None = None, *more: Any, **options: Any
    ) -> Result:
        """Run a command, by default ``app.cli``, and return its output, exit code and exception.

        A command that is async, or has the app's context, has a Trio run of its own. In an async test, call this in a
        thread: ``await trio.to_thread.run_sync(runner.invoke, None, ["name"])``.
        """
        options.setdefault("obj", ScriptInfo(create_app=lambda: self.app))
        return super().invoke(self.app.cli if cli is None else cli, args, *more, **options)
