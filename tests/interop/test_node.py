"""Node's own clients against both servers: its WebSocket, fetch() and node:http. The scenarios are in clients.mjs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .conftest import GUARD, ServerProcess, find_program

SCRIPT = Path(__file__).with_name("clients.mjs")
SCENARIOS = re.findall(
    r"^  async (\w+)\(\) \{$", SCRIPT.read_text("utf-8").partition("const scenarios")[2], re.MULTILINE
)

Reports = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def node() -> list[str]:
    """The command that runs Node with its WebSocket switched on."""
    program = find_program("node", "Node.js 20.10 or later")
    for options in ([], ["--experimental-websocket", "--no-warnings"]):
        command = [program, *options]
        test = subprocess.run([*command, "--print", "typeof WebSocket"], capture_output=True, text=True, check=False)
        if test.stdout.strip() == "function":
            return command
    lack = "these tests need Node.js 20.10 or later, for its WebSocket"
    if os.environ.get("CI"):
        pytest.fail(lack)
    pytest.skip(lack)


@pytest.fixture(scope="session")
def all_reports() -> dict[str, Reports]:
    """What the scenarios reported, by the kind of the server."""
    return {}


@pytest.fixture
def reports(node: list[str], server: ServerProcess, all_reports: dict[str, Reports]) -> Reports:
    """Run all scenarios against the server, once: most of the time is Node's start."""
    if server.kind not in all_reports:
        try:
            output = subprocess.run(
                [*node, SCRIPT, server.address], stdout=subprocess.PIPE, timeout=GUARD, check=False
            ).stdout
        except subprocess.TimeoutExpired as error:
            output = error.stdout or b""
        lines = [json.loads(line) for line in output.splitlines()]
        all_reports[server.kind] = {line["name"]: line for line in lines}
    return all_reports[server.kind]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(reports: Reports, scenario: str) -> None:
    assert scenario in reports, "it did not come to its end"
    assert reports[scenario]["error"] is None, reports[scenario]["error"]


def test_the_close_code_of_the_client_arrives(reports: Reports, server: ServerProcess) -> None:
    seen = [4321, "grüß dich", "closed"] if server.kind == "triows" else [1006, "", "lost"]  # hypercorn tells no code
    assert reports["websocket_close_by_the_client"]["result"] == seen
