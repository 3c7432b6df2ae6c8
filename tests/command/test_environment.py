"""Files of environment variables, and what is said without python-dotenv."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from triows.command.environment import load_dotenv

from ..support.commands import APP, complaint, triows, write

SHOWS = APP + "\nimport os\n@app.cli.command('show')\ndef show():\n    print(os.environ.get('COLOUR'), app.debug)\n"


@pytest.fixture
def _no_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dotenv", None)


def test_the_files_of_the_folder_or_one_above_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / ".env", "FIRST=env\nSECOND=env\n")
    write(tmp_path / ".triowsenv", "SECOND=triowsenv\nTHIRD=triowsenv\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setenv("FIRST", "environment")
    assert load_dotenv()
    assert [os.environ[name] for name in ("FIRST", "SECOND", "THIRD")] == ["environment", "env", "triowsenv"]


def test_a_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = write(tmp_path / "variables", "FIRST=1\n")
    assert load_dotenv(path)
    assert os.environ["FIRST"] == "1"
    assert not load_dotenv(tmp_path / "nowhere")
    assert not load_dotenv()


def test_commands_load_the_files_that_they_find(tmp_path: Path) -> None:
    write(tmp_path / "chat.py", SHOWS)
    write(tmp_path / ".env", "TRIOWS_APP=chat.py\nTRIOWS_DEBUG=1\nCOLOUR=green")
    assert triows("show").stdout == "green True\n"


def test_a_file_that_is_named_comes_before_those_that_are_found(tmp_path: Path) -> None:
    write(tmp_path / "app.py", SHOWS)
    write(tmp_path / ".env", "COLOUR=green")
    write(tmp_path / "other.env", "COLOUR=red")
    assert triows("--env-file", "other.env", "show").stdout == "red False\n"


def test_the_environment_comes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "app.py", SHOWS)
    write(tmp_path / "other.env", "COLOUR=red")
    monkeypatch.setenv("COLOUR", "blue")
    assert triows("-e", "other.env", "show").stdout == "blue False\n"


def test_a_variable_keeps_commands_from_looking_for_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "app.py", SHOWS)
    write(tmp_path / ".env", "COLOUR=green")
    monkeypatch.setenv("TRIOWS_SKIP_DOTENV", "1")
    assert triows("show").stdout == "None False\n"


@pytest.mark.usefixtures("_no_dotenv")
def test_without_python_dotenv_a_file_that_is_there_is_told_once(tmp_path: Path) -> None:
    write(tmp_path / "app.py", SHOWS)
    write(tmp_path / ".env", "COLOUR=green")
    result = triows("show")
    assert (result.exit_code, result.stdout) == (0, "None False\n")
    assert (
        result.stderr
        == "triows: .env is there and not loaded, for want of python-dotenv: pip install 'triows[dotenv]'\n"
    )
    assert not load_dotenv("nowhere")


@pytest.mark.usefixtures("_no_dotenv")
def test_without_python_dotenv_a_file_that_is_named_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "other.env", "COLOUR=red")
    line = "--env-file needs python-dotenv: pip install 'triows[dotenv]'"
    assert complaint("--env-file", "other.env", "run") == complaint("run", "--env-file", "other.env") == line


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    assert complaint("run", "-e", "nowhere.env") == "cannot read nowhere.env: No such file or directory"
    (tmp_path / "odd.env").write_bytes(b"A=\xe9\n")
    assert complaint("run", "-e", "odd.env") == "cannot read odd.env: it is not in UTF-8"
    write(tmp_path / "bad.env", "# a comment\n\nA=1\nexport B\n\nC is 1\nD=1\n")
    write(tmp_path / "open.env", "A=1\nB='open\n")
    assert complaint("run", "-e", "open.env") == "cannot read open.env: line 2 is no NAME=VALUE"
    assert complaint("run", "-e", "bad.env") == "cannot read bad.env: line 6 is no NAME=VALUE"
