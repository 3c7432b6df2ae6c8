"""Restarting an app when its code changes: a parent process that watches the files, and a child that serves.

- The parent opens the listening sockets, and every child inherits them. While no child is there, clients wait in their
  queue. If the child has ended by itself, they wait for a while, and are answered by 503 then.
- Both are in one process group. So the terminal is the child's as much as the parent's: a debugger in the app can read
  from it, and what the terminal sends (SIGINT by CTRL + C, SIGHUP when it is closed) reaches both.
- The child holds the reading end of a pipe whose other end the parent holds. When that is closed, the child begins its
  shutdown: the parent wants it to, or is gone, killed for instance. This is no signal, so that a signal which both have
  got counts once. A byte before says that another child follows, and that clients wait for that one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from traceback import format_exception_only
from types import FrameType
from warnings import catch_warnings, simplefilter

from ...tasks.terminal import styled
from .turning_away import PATIENCE, turn_away
from .watching import PythonFiles

# The descriptors of the pipe and of the sockets, in the child's environment; empty where it inherits none.
_VARIABLE = "TRIOWS_RELOADED"
# On Windows a child can inherit no descriptors: there it opens the sockets itself, and the parent ends it.
INHERITS = sys.platform != "win32"
ONE_SIGNAL = 0.5  # seconds; a second signal within them is the first one, which a wrapper has passed on as well


class Parent:
    """The child's view of its parent: when the parent wants the child to end, or has ended, it calls :attr:`on_end`.

    :ivar on_end: at first it ends the process at once, as SIGTERM ends one that does not handle it.
    :ivar on_restart: called before that, if the parent is about to start another child; at first it does nothing.
    :ivar fds: the sockets that the child inherits.
    :param pipe: the reading end; None where the child inherits nothing.
    """

    def __init__(self, pipe: int | None = None, fds: Sequence[int] = ()) -> None:
        self.fds: Sequence[int] = fds
        self.on_end: Callable[[], object] = lambda: os._exit(128 + signal.SIGTERM)
        self.on_restart: Callable[[], object] = lambda: None
        if pipe is None:
            return
        self._pipe = pipe
        # For processes that the app starts, the pipe and the sockets are not.
        for fd in (pipe, *fds):
            os.set_inheritable(fd, False)
        threading.Thread(target=self._wait, name="triows parent", daemon=True).start()

    def _wait(self) -> None:
        if os.read(self._pipe, 1):
            self.on_restart()
        self.on_end()


def take_parent() -> Parent | None:
    """The parent of this process, if that restarts it when files change. Its children have not this variable."""
    descriptors = os.environ.pop(_VARIABLE, None)
    if not descriptors:
        return None if descriptors is None else Parent()
    pipe, *fds = map(int, descriptors.split(","))
    return Parent(pipe, fds)


class _Child:
    """A process that serves."""

    def __init__(self, command: Sequence[str], fds: Sequence[int]) -> None:
        self._pipe: int | None = None
        if not INHERITS:
            self._process = subprocess.Popen(command, env={**os.environ, _VARIABLE: ""})
            return
        reading, self._pipe = os.pipe()
        inherited = (reading, *fds)
        environment = {**os.environ, _VARIABLE: ",".join(map(str, inherited))}
        try:
            self._process = subprocess.Popen(command, pass_fds=inherited, env=environment)
        finally:
            os.close(reading)

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def announce_restart(self) -> None:
        """Let the child know, before :meth:`end`, that another one takes its place, and clients wait for that."""
        if self._pipe is not None:
            with suppress(BrokenPipeError):  # it has ended
                os.write(self._pipe, b"r")

    def end(self) -> int:
        """Let the child shut down in order, and wait for it; return its exit code."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        elif self.poll() is None:
            self._process.terminate()
        return self._process.wait()

    def kill(self) -> None:
        """End the child at once."""
        self._process.kill()


class Reloader:
    """The parent.

    :param command: what a child runs.
    :param folders: those whose Python files are watched.
    :param say: prints a line.
    """

    def __init__(self, command: Sequence[str], folders: Sequence[Path], say: Callable[[str], object]) -> None:
        self._command = command
        self._fds: Sequence[int] = ()
        self._say = say
        self._files = PythonFiles(folders, self, self._tell)
        self._child: _Child | None = None
        self._ended = False  # the child has ended by itself, and this has been said
        self._ended_at = 0.0
        self._stopped_at: float | None = None
        self._forced: int | None = None
        self._restore_terminal = _terminal_keeper()

    def is_set(self) -> bool:
        """Whether a signal has come. No :class:`threading.Event`, which a signal handler may not set."""
        return self._stopped_at is not None

    def run(self, fds: Sequence[int]) -> int:
        """Run children, one after the other, until SIGINT or SIGTERM; return the exit code.

        :param fds: listening sockets, which the children inherit.
        """
        self._fds = fds
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        code = 0
        try:
            for changed in self._files:
                if self.is_set():
                    break
                if self._child is None:
                    self._child = _Child(self._command, self._fds)
                elif changed:
                    self._restart(self._child, changed)
                else:
                    self._note_end(self._child)
        finally:
            if self._child is not None:
                code = self._end(self._child)
        if self._forced is not None:
            return 128 + self._forced
        if self._ended:
            return 0  # an app that had failed before is no failure of the end
        return code if code >= 0 else 128 - code

    def _restart(self, child: _Child, changed: Sequence[str]) -> None:
        names = _name_files(changed)
        if errors := [*filter(None, map(syntax_error, changed))]:
            goes_on = "it starts" if self._ended else "the app goes on as it was, and restarts"
            self._tell(f"{names} changed, with a syntax error; {goes_on} when that is mended\n" + "\n".join(errors))
            return
        self._tell(f"{names} changed, restarting")
        child.announce_restart()
        self._end(child)
        self._child, self._ended = None, False
        if not self.is_set():
            self._child = _Child(self._command, self._fds)

    def _end(self, child: _Child) -> int:
        code = child.end()
        self._restore_terminal()
        return code

    def _note_end(self, child: _Child) -> None:
        code = child.poll()
        if self._ended:
            if time.monotonic() - self._ended_at >= PATIENCE:
                turn_away(self._fds)
        elif code is not None:
            self._ended, self._ended_at = True, time.monotonic()
            how = f"with exit code {code}" if code >= 0 else f"by {_signal_name(-code)}"
            self._tell(f"the app has ended {how}; it starts again when a file changes")

    def _tell(self, text: str) -> None:
        with suppress(OSError):  # a terminal that is gone
            self._say(f"{styled('triows:', 'warning', sys.stdout)} {text}")

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
        elif now - self._stopped_at >= ONE_SIGNAL and self._child is not None:
            self._forced = number
            self._child.kill()
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, signal.SIG_IGN)  # there is nothing more to end; the exit code stays


def _name_files(paths: Sequence[str]) -> str:
    """Name the first of the files, as seen from the working directory, and say how many more there are."""
    first, *others = paths
    with suppress(ValueError):  # on another drive of Windows
        relative = os.path.relpath(first)
        first = first if relative.startswith(os.pardir) else relative
    first = first.encode(errors="backslashreplace").decode()
    return f"{first} and {len(others)} other file{'s' * (len(others) > 1)}" if others else first


def syntax_error(path: str) -> str | None:
    """Return what Python says of a file that it cannot compile; None if it can, or the file is gone."""
    if not path.endswith((".py", ".pyw")):
        return None
    try:
        with catch_warnings():
            simplefilter("ignore")  # the app says them itself
            compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:  # a null byte is the latter in Python 3.11
        return "".join(format_exception_only(error)).rstrip()
    except OSError:
        pass
    return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _terminal_keeper() -> Callable[[], None]:
    """A function that gives the terminal back its settings of now: a debugger that was ended leaves its own behind."""
    try:
        import termios
    except ImportError:  # Windows
        return lambda: None
    try:
        settings = termios.tcgetattr(0)
    except termios.error:  # no terminal
        return lambda: None

    def restore() -> None:
        with suppress(OSError, termios.error):
            if os.tcgetpgrp(0) == os.getpgrp():  # in the background it would stop the process
                termios.tcsetattr(0, termios.TCSANOW, settings)

    return restore
