"""Groups of Click's for the commands of an app, and what a command gets: the app, and its context."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from inspect import isawaitable
from typing import Any, overload

import click
import trio


class ScriptInfo:
    """What a command that is decorated with :data:`pass_script_info` gets first.

    :param create_app: returns the app; it is called once, when :meth:`load_app` is.
    :ivar data: for commands that hand something on.
    """

    def __init__(self, *, create_app: Callable[[], Any] | None = None) -> None:
        self.create_app = create_app
        self.data: dict[Any, Any] = {}
        self._app: Any = None

    def load_app(self) -> Any:
        """Return the app.

        :raises click.UsageError: if there is none.
        """
        if self._app is None:
            self._app = self.find_app() if self.create_app is None else self.create_app()
        return self._app

    def find_app(self) -> Any:
        """Find the app of a program that has given no ``create_app``.

        :raises click.UsageError: always; the command ``triows`` knows how to find one.
        """
        raise click.UsageError("this command has no app: add it to app.cli, and call app.cli()")


_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
pass_script_info: _Decorator = click.make_pass_decorator(ScriptInfo, ensure=True)


def with_appcontext(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run a command inside ``async with app.app_context():``, in a Trio run of its own. It may be async."""

    @click.pass_context
    def run(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        app = context.ensure_object(ScriptInfo).load_app()

        async def inside() -> Any:
            async with app.app_context():
                result = context.invoke(function, *args, **kwargs)
                return await result if isawaitable(result) else result

        return trio.run(inside)

    return update_wrapper(run, function)


class _UnderTrio:
    """Calls the function of a command, and awaits what it returns in a Trio run of its own, if that can be awaited.

    A decorator such as :func:`click.pass_context` hides that the function is async. So the result tells.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._function(*args, **kwargs)
        if not isawaitable(result):
            return result

        async def wait() -> Any:
            return await result

        return trio.run(wait)


class AppGroup(click.Group):
    """A group of commands, which may be async, and whose decorator ``command`` takes ``with_appcontext=True``."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command; if it is async, it runs under Trio."""
        if cmd.callback is not None and not isinstance(cmd.callback, _UnderTrio):
            cmd.callback = _UnderTrio(cmd.callback)
        super().add_command(cmd, name)

    @overload
    def command(self, function: Callable[..., Any], /) -> click.Command: ...
    @overload
    def command(
        self, *args: Any, with_appcontext: bool = False, **options: Any
    ) -> Callable[[Callable[..., Any]], click.Command]: ...

    def command(self, *args: Any, with_appcontext: bool = False, **options: Any) -> Any:
        """Add the decorated function as a command.

        :param with_appcontext: whether ``current_app`` and ``g`` are available in it.
        """
        if args and callable(args[0]):  # a decorator without parentheses
            return self.command(*args[1:], with_appcontext=with_appcontext, **options)(args[0])

        def decorator(function: Callable[..., Any]) -> click.Command:
            if with_appcontext:
                function = _with_appcontext(function)
            command: click.Command = super(AppGroup, self).command(*args, **options)(function)
            return command

        return decorator


AppGroup.group_class = AppGroup  # the groups inside of one are of its kind
_with_appcontext = with_appcontext  # inside of AppGroup.command() the name is a parameter's


class BlueprintCommands(AppGroup):
    """``blueprint.cli``: the group of a blueprint's commands.

    :param check: raises an error when a command comes too late.
    """

    def __init__(self, name: str, check: Callable[[], None]) -> None:
        super().__init__(name)
        self._check = check

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command.

        :raises RuntimeError: if the blueprint is registered already.
        """
        self._check()
        super().add_command(cmd, name)


class AppCommands(AppGroup):
    """``app.cli``: the group of the app's commands, which knows the app."""

    def __init__(self, app: Any) -> None:
        super().__init__(app.name)
        self._app = app

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command that the arguments of the program name; ``app.cli()`` calls this."""
        options.setdefault("obj", ScriptInfo(create_app=lambda: self._app))
        return super().main(*args, **options)
