"""``triows shell``: a console in the context of an app, in which ``await`` may stand anywhere.

The console runs in Trio's main task, and reads its lines there. So CTRL + C reaches what it interrupts, the line that
is typed or the code that runs, as in any console of Python's. While it waits for a line, no other task runs.
"""

from __future__ import annotations

import ast
import code
import inspect
import os
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

import click
import trio

from ..framework.application import App
from ..framework.click_groups import pass_script_info, with_appcontext
from .groups import ScriptInfo, app_option, env_file_option, name_app, target_argument


class Console(code.InteractiveConsole):
    """A console that awaits what it compiles to a coroutine.

    :param names: the namespace.
    :param interactive: whether somebody types: then there are prompts.
    :ivar failed: whether an error has been shown.
    """

    def __init__(self, names: dict[str, Any], *, interactive: bool) -> None:
        super().__init__(names)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._interactive = interactive
        self._compiled: CodeType | None = None
        self.failed: bool = False

    def runcode(self, code: CodeType) -> None:
        """Keep the code, for :meth:`run` to run it where it can await."""
        self._compiled = code

    async def run(self) -> None:
        """Read and run lines until the end of the input.

        :raises SystemExit: by ``exit()``.
        """
        more = False
        while True:
            try:
                line = self.raw_input(("... " if more else ">>> ") if self._interactive else "")
            except EOFError:
                if more:  # the block that the last line belongs to
                    more = self.push("")
                    await self._run_compiled()
                if more and not self._interactive:
                    self._refuse_rest()
                if self._interactive:
                    self.write("\n")
                return
            except KeyboardInterrupt:
                self.write("\nKeyboardInterrupt\n")
                self.resetbuffer()
                more = False
                continue
            more = self.push(line)
            await self._run_compiled()

    def _refuse_rest(self) -> None:
        """Show what is missing from the statement that the input has not finished."""
        try:
            compile("\n".join(self.buffer), self.filename, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError:
            self.showsyntaxerror(self.filename)

    def showsyntaxerror(self, *args: Any, **options: Any) -> None:
        """Show the syntax error that is being handled."""
        self.failed = True
        super().showsyntaxerror(*args, **options)
        sys.stderr.flush()  # it may be the last that is written, into a stream that is not line-buffered

    def showtraceback(self) -> None:
        """Show the error that is being handled."""
        self.failed = True
        super().showtraceback()

    async def _run_compiled(self) -> None:
        compiled, self._compiled = self._compiled, None
        if compiled is None:
            return
        try:
            value = FunctionType(compiled, self.locals)()
            if inspect.iscoroutine(value):
                await value
        except KeyboardInterrupt:
            self.write("\nKeyboardInterrupt\n")
        except (Exception, BaseExceptionGroup):
            self.showtraceback()


def _set_up_readline(names: dict[str, Any]) -> None:
    """Let lines be edited, remembered and completed, where Python can do so."""
    hook: Callable[[], object] | None = getattr(sys, "__interactivehook__", None)
    if hook is None:
        return
    try:
        import readline
        from rlcompleter import Completer
    except ImportError:
        pass
    else:
        readline.set_completer(Completer(names).complete)
    hook()


def _run_startup_file(names: dict[str, Any]) -> None:
    path = os.environ.get("PYTHONSTARTUP")
    if path and os.path.isfile(path):
        with open(path, "rb") as file:
            exec(compile(file.read(), path, "exec"), names)


async def explore(app: App) -> None:
    """Run a console with the names that the app gives to its shell, until the end of the input.

    :raises SystemExit: by ``exit()``; and with exit code 1, if there was an error in a script that was piped in.
    """
    interactive = sys.stdin.isatty()
    names: dict[str, Any] = {"__name__": "__console__", "__doc__": None, "trio": trio}
    if interactive:
        _run_startup_file(names)
        _set_up_readline(names)
    names.update(app.make_shell_context())
    if interactive:
        python = sys.version.partition(" ")[0]
        own = ", ".join(name for name in names if not name.startswith("__"))
        click.echo(f"Python {python}, {app!r}. Here are {own}; await works. CTRL + D ends.")
    console = Console(names, interactive=interactive)
    await console.run()
    if console.failed and not interactive:
        sys.exit(1)


@with_appcontext
async def _explore() -> None:
    await explore(click.get_current_context().ensure_object(ScriptInfo).load_app())


@click.command(
    "shell", short_help="Open a Python console with await.", params=[target_argument(), app_option(), env_file_option()]
)
@pass_script_info
@click.pass_context
def shell_command(context: click.Context, /, info: ScriptInfo, target: str | None) -> None:
    """Open a Python console in the app's context, with top-level await under Trio.

    In it are 'app', 'g', 'trio', and what the functions of @app.shell_context_processor return. A script may be piped
    in; it is read as if somebody typed it.
    """
    name_app(context, info, target)
    context.invoke(_explore)
