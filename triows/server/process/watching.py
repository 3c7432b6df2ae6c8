"""Watching the Python files of an app for changes.

The system's notifications only say when to look; what has changed is found by a look at the files. So nothing is missed
while the watch is being set up, and no error of the notifications ends it. A folder that cannot be read is passed by:
each folder is watched by itself, since a watch over a whole tree ends at the first one that it cannot read.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

_TICK = 200  # milliseconds between two values of the iteration while nothing happens
_PAUSE = 0.2  # seconds between two values where there are no notifications
_PAUSES_BETWEEN_LOOKS = 5
# There the system watches whole trees by itself, and reads no folder for that.
_WATCHES_TREES = sys.platform in ("darwin", "win32")

_SUFFIXES = (".py", ".pyw", ".pyx", ".pyd")
_IGNORED_FOLDERS = frozenset(
    ("__pycache__", ".git", ".hg", ".svn", ".tox", ".nox", ".venv", ".idea", "node_modules", "site-packages")
).union((".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"))

Files = dict[str, tuple[int, int]]


class Stop(Protocol):
    """Whether to end; a :class:`threading.Event`, for instance."""

    def is_set(self) -> bool: ...


class PythonFiles:
    """The Python files below some folders.

    Iterate over it: the paths of the files that have changed since the last value, come and gone ones too. The first
    value, which has none, comes when the files have been looked at, and there are several in a second, until ``stop``
    is set.

    Without watchfiles there are no notifications, and the files are looked at each second.

    :param note: called with a line of text for each folder that cannot be read, and if there are no notifications.
    """

    def __init__(self, roots: Sequence[Path], stop: Stop, note: Callable[[str], object]) -> None:
        try:
            from watchfiles import Change, watch
        except ImportError:
            self._watch = None
        else:
            self._watch = watch
            self._added = Change.added
        self._roots = [os.fspath(root) for root in roots]
        self._stop = stop
        self._note = note
        self._noted: set[str] = set()
        self._folders: set[str] = set()

    def __iter__(self) -> Iterator[list[str]]:
        files = self._look()
        yield []
        while not self._stop.is_set():
            folders, first = self._folders, True
            for woken in self._wake():
                before = files
                if woken or first:
                    files, first = self._look(), False
                yield [] if files is before else _changes(before, files)
                if self._folders != folders:
                    break  # watch the new ones too

    def _wake(self) -> Iterator[bool]:
        """Whether to look at the files, several times in a second. It ends with the notifications."""
        if self._watch is None:
            self._note_once("files", "files are looked at each second: pip install 'triows[reload]' reloads at once")
            yield from self._tick()
            return
        try:
            for folder in self._folders:
                folder.encode()  # watchfiles knows no other names
            for changes in self._watch(
                *(self._roots if _WATCHES_TREES else self._folders),
                recursive=_WATCHES_TREES,
                watch_filter=self._matters,
                rust_timeout=_TICK,
                yield_on_timeout=True,
                stop_event=self._stop,
            ):
                yield bool(changes)
        except (OSError, RuntimeError, UnicodeError) as error:  # the system's limit, for instance
            if not isinstance(error, FileNotFoundError):  # a folder that has just gone
                self._note_once("files", f"there are no notifications of changes, so files are looked at: {error}")
            yield from self._tick()

    def _tick(self) -> Iterator[bool]:
        """Look once, after a while."""
        for left in reversed(range(_PAUSES_BETWEEN_LOOKS)):
            time.sleep(_PAUSE)
            yield not left
            if self._stop.is_set():
                return

    def _matters(self, change: int, path: str) -> bool:
        if path.endswith(_SUFFIXES):
            return True
        if change == self._added:
            return Path(path).is_dir() and Path(path).name not in _IGNORED_FOLDERS
        return path in self._folders

    def _look(self) -> Files:
        """Find the folders, and return the files in them, each with the time of its last change and its size."""
        files: Files = {}
        self._folders = set()
        seen: set[tuple[int, int]] = set()  # links may lead in circles, and to a folder twice
        for root in self._roots:
            for folder, names, entries in os.walk(root, onerror=self._note_unreadable, followlinks=True):
                if self._stop.is_set():
                    return files
                identity = _identity(folder)
                if identity is None or identity in seen:
                    names.clear()
                    continue
                seen.add(identity)
                self._folders.add(folder)
                names[:] = [name for name in names if name not in _IGNORED_FOLDERS]
                for path in (os.path.join(folder, name) for name in entries):
                    if path.endswith(_SUFFIXES) and (state := _state(path)) is not None:
                        files[path] = state
        return files

    def _note_unreadable(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):  # it was there a moment ago
            folder = error.filename.encode(errors="backslashreplace").decode()
            self._note_once(folder, f"{folder} cannot be read and is not watched ({error.strerror})")

    def _note_once(self, about: str, text: str) -> None:
        if about not in self._noted:
            self._noted.add(about)
            self._note(text)


def _changes(before: Files, after: Files) -> list[str]:
    return sorted({path for path, _ in before.items() ^ after.items()})


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _state(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
