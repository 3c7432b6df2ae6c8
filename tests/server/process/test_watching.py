"""The watch over Python files: what it sees, and what does not end it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from triows.server.process import watching
from triows.server.process.watching import PythonFiles


def _descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else set()


class Watch:
    """A watch, and what it has noted."""

    def __init__(self, *roots: Path) -> None:
        self.notes: list[str] = []
        self.stop = threading.Event()
        self._values = iter(PythonFiles(roots, self.stop, self.notes.append))
        assert next(self._values) == []

    def settle(self) -> None:
        """Go on until the watch is there, and for a while more. Nothing may have changed."""
        for _ in range(5):
            assert next(self._values) == []

    def sees(self) -> bool:
        """Whether a change is seen."""
        return bool(self.changes())

    def changes(self) -> list[str]:
        """The files that have changed, when a change is seen."""
        return next(filter(None, (next(self._values) for _ in range(1000))), [])


@pytest.fixture
def watch() -> Iterator[Callable[..., Watch]]:
    made: list[Watch] = []
    before = _descriptors()

    def make(*roots: Path) -> Watch:
        made.append(Watch(*roots))
        return made[-1]

    yield make
    for one in made:
        one.stop.set()
        assert len(list(one._values)) <= 2
    made.clear()
    deadline = time.monotonic() + 10
    while _descriptors() != before and time.monotonic() < deadline:  # a thread of watchfiles closes them
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAUSE", 0.01)
    monkeypatch.setattr(watching, "_TICK", 20)


def write(path: Path, text: str = "x = 1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def forbid(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Let these folders be unreadable, for a user who may read everything too."""
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path) in folders:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


@pytest.mark.parametrize("name", ["app.py", "package/deeper/module.py", "fast.pyx"])
def test_a_change_is_seen(tmp_path: Path, watch: Callable[..., Watch], name: str) -> None:
    path = write(tmp_path / name)
    write(tmp_path / "other.py")
    changes = watch(tmp_path)
    changes.settle()
    write(path, "x = 22\n")
    assert changes.changes() == [str(path)]
    changes.settle()


def test_a_new_file_and_one_that_is_gone_are_changes(tmp_path: Path, watch: Callable[..., Watch]) -> None:
    changes = watch(tmp_path)
    changes.settle()
    path = write(tmp_path / "app.py")
    assert changes.changes() == [str(path)]
    changes.settle()
    path.unlink()
    assert changes.changes() == [str(path)]


def test_a_change_before_the_watch_is_there_is_seen(tmp_path: Path, watch: Callable[..., Watch]) -> None:
    path = write(tmp_path / "app.py")
    changes = watch(tmp_path)
    write(path, "x = 22\n")
    assert changes.sees()


def test_a_file_in_a_new_folder_is_seen_and_so_are_its_changes(tmp_path: Path, watch: Callable[..., Watch]) -> None:
    changes = watch(tmp_path)
    changes.settle()
    path = write(tmp_path / "new" / "deeper" / "app.py")
    assert changes.sees()
    changes.settle()
    write(path, "x = 22\n")
    assert changes.sees()


def test_a_folder_that_is_moved_here_and_away_is_seen(tmp_path: Path, watch: Callable[..., Watch]) -> None:
    write(tmp_path / "elsewhere" / "package" / "app.py")
    (tmp_path / "here").mkdir()
    changes = watch(tmp_path / "here")
    changes.settle()
    (tmp_path / "elsewhere" / "package").rename(tmp_path / "here" / "package")
    assert changes.sees()
    changes.settle()
    (tmp_path / "here" / "package").rename(tmp_path / "elsewhere" / "package")
    assert changes.sees()


@pytest.mark.parametrize("name", ["notes.txt", ".git/hook.py", "node_modules/x/gyp.py", "app.pyc", ".venv/lib/site.py"])
def test_other_files_are_no_changes(tmp_path: Path, watch: Callable[..., Watch], name: str) -> None:
    changes = watch(tmp_path)
    changes.settle()
    write(tmp_path / name)
    changes.settle()


def test_a_file_that_is_written_as_it_was_is_a_change_once(tmp_path: Path, watch: Callable[..., Watch]) -> None:
    path = write(tmp_path / "app.py")
    changes = watch(tmp_path)
    changes.settle()
    write(path)
    assert changes.sees()
    changes.settle()


def test_links_in_a_circle_are_followed_once(tmp_path: Path, watch: Callable[..., Watch]) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "circle").symlink_to(tmp_path / "here")
    path = write(tmp_path / "elsewhere" / "app.py")
    (tmp_path / "here" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here" / "broken.py").symlink_to(tmp_path / "nowhere.py")
    changes = watch(tmp_path / "here")
    changes.settle()
    write(path, "x = 22\n")
    assert changes.sees()


def test_a_folder_that_cannot_be_read_is_noted_and_what_is_beside_it_is_watched(
    tmp_path: Path, watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    write(closed / "app.py")
    files = [write(tmp_path / name / "app.py") for name in ("before", "later", "later/deeper")]
    forbid(monkeypatch, closed)
    changes = watch(tmp_path)
    changes.settle()
    for path in files:
        write(path, "x = 22\n")
        assert changes.sees()
    assert changes.notes == [f"{closed} cannot be read and is not watched (Permission denied)"]


def test_a_folder_that_comes_and_cannot_be_read_is_passed_by(
    tmp_path: Path, watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "app.py")
    closed = tmp_path / "closed"
    forbid(monkeypatch, closed)
    changes = watch(tmp_path)
    changes.settle()
    closed.mkdir()
    changes.settle()
    write(path, "x = 22\n")
    assert changes.sees()
    assert len(changes.notes) == 1


def test_files_in_a_folder_whose_name_is_not_utf_8_are_looked_at(
    tmp_path: Path, watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "caf\udce9" / "app.py")
    closed = tmp_path / "clos\udce9"
    closed.mkdir()
    forbid(monkeypatch, closed)
    changes = watch(tmp_path)
    changes.settle()
    write(path, "x = 22\n")
    assert changes.sees()
    first, second = changes.notes
    assert first == f"{tmp_path}/clos\\udce9 cannot be read and is not watched (Permission denied)"
    assert second.startswith(
        "there are no notifications of changes, so files are looked at: 'utf-8' codec can't encode"
    )


def test_without_a_folder_that_can_be_read_it_goes_on(
    tmp_path: Path, watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch, tmp_path)
    changes = watch(tmp_path)
    changes.settle()
    assert len(changes.notes) == 1


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("error in the watcher")])
def test_without_notifications_the_files_are_looked_at(
    tmp_path: Path, watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(watchfiles, "watch", fail)
    path = write(tmp_path / "app.py")
    changes = watch(tmp_path)
    changes.settle()
    write(path, "x = 22\n")
    assert changes.sees()
    assert changes.notes == [f"there are no notifications of changes, so files are looked at: {error}"]


def test_without_watchfiles_the_files_are_looked_at(
    tmp_path: Path, watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    path = write(tmp_path / "app.py")
    changes = watch(tmp_path)
    changes.settle()
    write(path, "x = 22\n")
    assert changes.changes() == [str(path)]
    assert changes.notes == ["files are looked at each second: pip install 'triows[reload]' reloads at once"]


def test_a_folder_that_goes_before_it_is_watched_is_not_worth_a_note(
    tmp_path: Path, watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = watchfiles.watch
    calls = 0

    def fail_once(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise FileNotFoundError(2, "No path was found")
        return real(*args, **kwargs)

    monkeypatch.setattr(watchfiles, "watch", fail_once)
    path = write(tmp_path / "app.py")
    changes = watch(tmp_path)
    changes.settle()
    write(path, "x = 22\n")
    assert changes.sees()
    assert changes.notes == []
