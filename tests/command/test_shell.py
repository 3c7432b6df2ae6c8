"""The console: what it runs and how it ends, with input from a pipe, and as if somebody typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from triows import Triows
from triows.command import shell
from triows.command.shell import Console

from ..support.commands import APP, complaint, triows, write


def output(tmp_path: Path, *lines: str, text: str = APP) -> str:
    result = triows("shell", write(tmp_path / "chat.py", text), input="\n".join(lines) + "\n")
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_await_works_anywhere(tmp_path: Path) -> None:
    lines = ("await trio.sleep(0)", "for n in range(2):", "    await trio.sleep(0)", "    print(n)", "", "n + 41")
    assert output(tmp_path, *lines) == "0\n1\n42\n"


def test_a_block_at_the_end_of_the_input_is_run(tmp_path: Path) -> None:
    assert output(tmp_path, "if True:", "    print('run')") == "run\n"


def test_names_stay(tmp_path: Path) -> None:
    assert output(tmp_path, "async def f(x):", "    return x + 1", "", "y = await f(1)", "y") == "2\n"


def test_the_app_and_its_context_are_there(tmp_path: Path) -> None:
    lines = ("from triows import current_app", "current_app.name, app.name", "g.x = 5", "g.x")
    assert output(tmp_path, *lines) == "('chat', 'chat')\n5\n"


def test_the_app_may_add_names(tmp_path: Path) -> None:
    text = APP + "\n@app.shell_context_processor\ndef names():\n    return {'colour': 'green'}\n"
    assert output(tmp_path, "colour", text=text) == "'green'\n"


def test_a_name_that_has_to_be_awaited_is_refused() -> None:
    with pytest.raises(TypeError, match="is async, and nobody would await it here"):

        @Triows("chat").shell_context_processor  # type: ignore[type-var]
        async def names() -> dict[str, Any]:
            return {}


@pytest.mark.parametrize(
    ("line", "error"), [("print('run'", "'(' was never closed"), ("if True:", "expected an indented")]
)
def test_a_statement_that_the_input_does_not_finish_is_an_error(tmp_path: Path, line: str, error: str) -> None:
    result = triows("shell", write(tmp_path / "chat.py"), input=f"1 + 1\n{line}\n")
    assert (result.exit_code, result.stdout) == (1, "2\n")
    assert error in result.stderr


def test_an_error_in_a_script_is_shown_and_ends_it_with_1_after_the_rest(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py")
    result = triows("shell", place, input="1 / 0\nx =\nasync def f():\n    1 / 0\n\nawait f()\n'still here'\n")
    assert (result.exit_code, result.stdout) == (1, "'still here'\n")
    assert result.stderr.count("ZeroDivisionError: division by zero") == 2
    assert "SyntaxError" in result.stderr
    assert "shell.py" not in result.stderr


def test_exit_ends_it_with_its_code(tmp_path: Path) -> None:
    assert triows("shell", write(tmp_path / "chat.py"), input="raise SystemExit(3)\nprint('more')\n").exit_code == 3


def test_an_app_that_is_not_there_is_one_line() -> None:
    assert complaint("shell", "chat.py") == "there is no file chat.py"


# As if somebody typed


class Typed(Console):
    """A console whose lines are given, and may be interrupted."""

    def __init__(self, *lines: str | type[BaseException]) -> None:
        super().__init__({}, interactive=True)
        self._lines: Iterator[str | type[BaseException]] = iter(lines)
        self.seen: list[str] = []

    def raw_input(self, prompt: str = "") -> str:
        self.seen.append(prompt)
        line = next(self._lines, EOFError)
        if not isinstance(line, str):
            raise line
        return line

    def write(self, data: str) -> None:
        self.seen.append(data)


async def test_ctrl_c_drops_the_line_and_ctrl_d_ends() -> None:
    console = Typed("if True:", KeyboardInterrupt, "x = 1")
    await console.run()
    assert console.seen == [">>> ", "... ", "\nKeyboardInterrupt\n", ">>> ", ">>> ", "\n"]
    assert console.locals["x"] == 1


@pytest.mark.parametrize("line", ["raise KeyboardInterrupt", "await interrupted()"])
async def test_ctrl_c_ends_what_runs_and_not_the_console(line: str) -> None:
    console = Typed("async def interrupted():", "    raise KeyboardInterrupt", "", line, "x = 1")
    await console.run()
    assert console.seen.count("\nKeyboardInterrupt\n") == 1
    assert console.locals["x"] == 1


async def test_whoever_types_is_greeted_and_has_their_own_startup_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", write(tmp_path / "startup.py", "mine = 5"))
    monkeypatch.setattr("sys.stdin", Terminal(["mine"]))
    hooked: list[str] = []
    monkeypatch.setattr("sys.__interactivehook__", lambda: hooked.append("hook"), raising=False)
    await shell.explore(Triows("chat"))
    text = capsys.readouterr().out
    assert "<Triows 'chat'>. Here are trio, mine, app, g; await works. CTRL + D ends." in text
    assert ">>> 5\n" in text
    assert hooked == ["hook"]


class Terminal:
    """The input of a terminal."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = iter(lines)

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return f"{line}\n" if (line := next(self._lines, "")) else ""
