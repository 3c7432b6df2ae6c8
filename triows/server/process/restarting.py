"""Serving an app in a child process that is restarted when a Python file changes, in one call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import trio

from .. import listeners
from . import systemd
from .reloading import INHERITS, Reloader


def run_reloading(
    command: Sequence[str],
    folders: Sequence[Path],
    say: Callable[[str], object],
    host: str | None,
    port: int,
    *,
    fds: Sequence[int] = (),
    reuse_port: bool = False,
    socket_mode: int | None = None,
) -> int:
    """Listen, and run the command again and again, until SIGINT or SIGTERM; return the exit code.

    Its processes inherit the sockets, see :func:`.take_parent`.

    :param folders: those whose Python files are watched.
    :param say: prints a line.
    :raises ListenError: if the address cannot be listened on.
    :raises ListenSettingError: if it makes no sense.
    """
    reloader = Reloader(command, folders, say)
    with ExitStack() as stack:
        inherited = []
        if INHERITS:
            fds = fds or systemd.take_descriptors()
            start = partial(
                listeners.open_listeners, host, port, fds=fds, reuse_port=reuse_port, socket_mode=socket_mode
            )
            inherited = [listener.socket.detach() for listener in trio.run(start)]
            if not fds and (path := listeners.unix_path(host)) is not None:
                stack.callback(listeners.SocketFile(path).remove)
        return reloader.run(inherited)


def rerun_program(
    folders: Sequence[Path],
    say: Callable[[str], object],
    host: str | None,
    port: int,
    *,
    fds: Sequence[int] = (),
    reuse_port: bool = False,
    socket_mode: int | None = None,
) -> int:
    """Do what :func:`run_reloading` does with this program itself, which ``python app.py`` may have started."""
    main = getattr(sys.modules["__main__"], "__file__", None)
    if main is not None:
        folders = [*folders, Path(main).resolve().parent]
    command = [sys.executable, *sys.orig_argv[1:]]
    return run_reloading(
        command,
        [*dict.fromkeys(folder.resolve() for folder in folders)],
        say,
        host,
        port,
        fds=fds,
        reuse_port=reuse_port,
        socket_mode=socket_mode,
    )
