"""The logs of ``triows run`` and ``app.run()``: each line comes once, however the program has set up its logging.

Tests triows/tasks/default_handler.py, triows/framework/application.py and triows/server/process/runner.py.
"""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from triows import Triows

from .support.commands import command, write
from .support.wire import Wire

APP = """
import logging
import logging.config

log = logging.getLogger(__name__)
{before}
from triows import Triows

app = Triows(__name__)
{after}


@app.before_serving
async def start():
    {start}


@app.get("/")
async def index():
    app.logger.info("said by app.logger")
    log.info("said by the module's logger")
    raise LookupError("a fault of the handler")
"""

BASIC = 'logging.basicConfig(level="INFO", format="OWN %(name)s %(message)s")'
USED_BEFORE = f'app.logger.warning("said early"); {BASIC}'
CONFIG = """{
    "version": 1,
    "formatters": {"own": {"format": "OWN %(name)s %(message)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}},
    "root": {"level": "INFO", "handlers": ["own"]},
}"""
DICT = "logging.config.dictConfig(" + " ".join(CONFIG.split()) + ")"
OWN_HANDLER = "h = logging.StreamHandler(); h.setFormatter(logging.Formatter('OWN %(name)s %(message)s'))"
ON_ROOT = f"{OWN_HANDLER}; logging.getLogger().addHandler(h); logging.getLogger().setLevel('INFO')"
ON_APP = f"{OWN_HANDLER}; app.logger.addHandler(h)"
ON_APP_ALONE = f"{ON_APP}; app.logger.propagate = False"
ON_TRIOWS = f"{OWN_HANDLER}; logging.getLogger('triows').addHandler(h)"
ON_ACCESS = f"{OWN_HANDLER}; logging.getLogger('triows.access').addHandler(h)"
ERRORS_TO_TERMINAL = f"{OWN_HANDLER}; h.setLevel('ERROR'); logging.getLogger().addHandler(h)"
ERRORS_TO_FILE = "h = logging.FileHandler('errors.log'); h.setLevel('ERROR'); logging.getLogger().addHandler(h)"


async def lines(place: str, *arguments: str) -> list[str]:
    """What comes on stderr while the app starts, answers two requests, and ends."""
    async with command(place, *arguments) as served:
        _, port = await served.address()
        for _ in range(2):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                wire = Wire(stream)
                await wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert (await wire.read_response()).status == 500
        code, errors = await served.end(signal.SIGTERM)
    assert code == 0
    return errors.splitlines()


def by_whom(lines: list[str], text: str) -> list[str]:
    """Of each line with this text, whether the program's own handler has written it, or triows's."""
    return [
        "own" if line.startswith("OWN ") else "default" if re.match(r"\d{4}-\d\d-\d\d ", line) else line
        for line in lines
        if text in line
    ]


TEXTS = ('"GET / HTTP/1.1" 500', "unhandled LookupError", "said by app.logger", "said by the module's logger")


@pytest.mark.parametrize(
    ("where", "set_up", "writers"),
    [
        ("after", "pass", ("default", "default", "default", "default")),
        ("before", BASIC, ("own", "own", "own", "own")),
        ("after", BASIC, ("own", "own", "own", "own")),
        ("after", USED_BEFORE, ("own", "own", "own", "own")),
        ("start", BASIC, ("own", "own", "own", "own")),
        ("after", DICT, ("own", "own", "own", "own")),
        ("start", DICT, ("own", "own", "own", "own")),
        ("before", ON_ROOT, ("own", "own", "own", "own")),
        ("after", ON_APP, ("default", "own", "own", "own")),
        ("start", ON_APP, ("default", "own", "own", "own")),
        ("after", ON_APP_ALONE, ("default", "own", "own", "own")),
        ("after", ON_TRIOWS, ("own", "default", "default", "default")),
        ("start", ON_TRIOWS, ("own", "default", "default", "default")),
        ("after", ON_ACCESS, ("own", "default", "default", "default")),
        ("after", ERRORS_TO_TERMINAL, ("default", "own", "default", "default")),
        ("after", ERRORS_TO_FILE, ("default", "default", "default", "default")),
    ],
)
async def test_each_line_comes_once_and_from_the_programs_own_handler_if_it_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, set_up: str, writers: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"before": "", "after": "", "start": "pass", where: set_up}
    found = await lines(write(tmp_path / "chat.py", APP.format(**places)))
    assert {text: by_whom(found, text) for text in TEXTS} == {
        text: [writer] * 2 for text, writer in zip(TEXTS, writers, strict=True)
    }


async def test_a_level_that_the_program_has_set_up_holds_also_if_it_does_so_late(tmp_path: Path) -> None:
    late = "logging.basicConfig(level='WARNING', format='OWN %(name)s %(message)s')"
    found = await lines(write(tmp_path / "chat.py", APP.format(before="", after="", start=late)))
    assert [by_whom(found, text) for text in TEXTS] == [[], ["own", "own"], [], []]


@pytest.mark.parametrize("name", ["chat", "triows", "triows.access", "triows.error"])
async def test_a_level_that_the_program_has_set_holds(tmp_path: Path, name: str) -> None:
    level = f"logging.getLogger({name!r}).setLevel('CRITICAL')"
    found = await lines(write(tmp_path / "chat.py", APP.format(before="", after=level, start="pass")))
    of_app, of_access = ([], ["default"] * 2) if name == "chat" else (["default"] * 2, [])
    assert by_whom(found, "said by app.logger") == of_app
    assert by_whom(found, "HTTP/1.1") == (["default"] * 2 if name == "triows.error" else of_access)


async def test_the_apps_debug_setting_shows_its_debug_lines(tmp_path: Path) -> None:
    text = APP.format(before="", after="app.debug = True", start="app.logger.debug('said for debugging')")
    assert by_whom(await lines(write(tmp_path / "chat.py", text)), "said for debugging") == ["default"]


async def test_libraries_are_not_made_talkative(tmp_path: Path) -> None:
    text = APP.format(before="", after="", start="logging.getLogger('library').info('said by a library')")
    assert by_whom(await lines(write(tmp_path / "chat.py", text)), "said by a library") == []


async def test_an_adapter_may_be_the_apps_logger(tmp_path: Path) -> None:
    adapter = "app.logger = logging.LoggerAdapter(app.logger, {})"
    found = await lines(write(tmp_path / "chat.py", APP.format(before="", after=adapter, start="pass")))
    assert by_whom(found, "unhandled LookupError") == ["default"] * 2


async def test_a_logger_that_the_program_disables_itself_is_silent(tmp_path: Path) -> None:
    off = "logging.getLogger('triows.access').disabled = True"
    found = await lines(write(tmp_path / "chat.py", APP.format(before="", after=off, start="pass")))
    assert [by_whom(found, text) for text in TEXTS[:2]] == [[], ["default", "default"]]


def test_a_program_that_runs_its_app_has_each_line_once_and_the_apps_logger_has_the_files_name(tmp_path: Path) -> None:
    place = write(
        tmp_path / "chat.py",
        "import os, signal\nfrom triows import Triows\n\napp = Triows(__name__)\n\n\n"
        "@app.before_serving\nasync def start():\n    app.logger.info('said once')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n\n\napp.run(port=0)\n",
    )
    done = subprocess.run([sys.executable, place], capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    assert line.endswith(" INFO chat: said once")


# The examples of docs/logging.rst

EXAMPLES = Path(__file__).parent.parent / "examples" / "logs"


async def example(name: str, folder: Path) -> list[str]:
    """What comes on stderr while the example answers one request, and fails to answer another."""
    async with command(str(EXAMPLES / f"{name}.py"), folder=folder) as served:
        _, port = await served.address()
        for path, status in ((b"/", 200), (b"/broken", 500)):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                wire = Wire(stream)
                await wire.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path)
                assert (await wire.read_response()).status == status
        code, errors = await served.end(signal.SIGTERM)
    assert code == 0
    return errors.splitlines()


async def test_the_example_with_basic_config(tmp_path: Path) -> None:
    lines = await example("basic_config", tmp_path)
    records = [line.partition(",")[2][4:] for line in lines if re.match(r"\d{4}-", line)]
    assert [record.partition(": ")[0] for record in records] == [
        "INFO     basic_config",
        "INFO     triows.access",
        "ERROR    basic_config",
        "INFO     triows.access",
    ]
    assert lines[-2] == "LookupError: out of ideas"


async def test_the_example_with_dict_config(tmp_path: Path) -> None:
    lines = await example("dict_config", tmp_path)
    assert [line.split(" ", 2)[2] for line in lines if re.match(r"\d{4}-", line)] == [
        "DEBUG chat: somebody is here",
        "ERROR chat: GET '/broken': unhandled LookupError",
    ]
    access = (tmp_path / "access.log").read_text().splitlines()
    assert [re.search(r'"(GET .*)" (\d+) ', line)[2] for line in access] == ["200", "500"]  # type: ignore[index]


async def test_the_example_with_json(tmp_path: Path) -> None:
    entries = [json.loads(line) for line in await example("json_lines", tmp_path)]
    assert [(entry["logger"], entry["level"], entry.get("status")) for entry in entries] == [
        ("json_lines", "INFO", None),
        ("triows.access", "INFO", 200),
        ("json_lines", "ERROR", None),
        ("triows.access", "INFO", 500),
    ]
    assert "LookupError: out of ideas" in entries[2]["traceback"]


# app.logger


def test_the_apps_logger_has_the_apps_name() -> None:
    assert Triows("logging.of_app").logger is logging.getLogger("logging.of_app")


def test_the_apps_logger_has_the_name_that_the_app_has_when_it_is_first_asked_for() -> None:
    app = Triows("logging.first")
    app.name = "logging.second"
    assert app.logger.name == "logging.second"


def test_another_logger_can_be_the_apps() -> None:
    app = Triows("logging.replaced")
    app.logger = logging.getLogger("logging.mine")
    assert app.logger.name == "logging.mine"


def test_in_debug_mode_the_apps_logger_has_the_level_debug_unless_it_has_one() -> None:
    for name, level, expected in (("none", logging.NOTSET, logging.DEBUG), ("error", logging.ERROR, logging.ERROR)):
        app = Triows(f"logging.debug_{name}")
        logging.getLogger(app.name).setLevel(level)
        app.debug = True
        assert app.logger.level == expected


def test_the_apps_logger_has_no_handler_of_triows_where_there_is_one_already() -> None:
    assert logging.getLogger().handlers  # pytest's
    assert Triows("logging.handled").logger.handlers == []


def test_an_app_is_heard_whose_logger_was_disabled_before_it_was_made() -> None:
    logging.getLogger("logging.disabled").disabled = True  # by a dictConfig()
    assert not Triows("logging.disabled").logger.disabled


def test_an_app_in_the_programs_file_has_the_files_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/srv/chat.py", raising=False)
    assert Triows("__main__").name == "chat"


def test_an_app_in_a_program_without_a_file_is_called_main(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    assert Triows("__main__").name == "__main__"
