"""The table of routes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..support.commands import complaint, triows, write

HEAD = "from triows import Triows, websocket\n"
APP = (
    HEAD
    + """
app = Triows(__name__, static_folder=None)

@app.get("/b")
async def first(): pass

@app.route("/a/<int:n>", methods=["POST", "GET"], max_body_size=1000)
async def second(n): pass

@app.websocket("/ws", origins=["https://example.com"], ping_interval=5)
async def third(): pass

@app.websocket("/same")
async def fourth(): pass
"""
)


def test_rules_of_both_kinds_are_listed_with_their_limits_and_origins(tmp_path: Path) -> None:
    write(tmp_path / "app.py", APP)
    assert triows("routes").stdout.splitlines() == [
        "Rule        Methods    Endpoint  Origins              Limits",
        "----------  ---------  --------  -------------------  ------------------",
        "/b          GET        first",
        "/same       WS         fourth    same",
        "/a/<int:n>  GET, POST  second                         max_body_size=1000",
        "/ws         WS         third     https://example.com  ping_interval=5.0",
    ]


@pytest.mark.parametrize(
    ("sort", "rules"),
    [
        ("rule", ["/a/<int:n>", "/b", "/same", "/ws"]),
        ("endpoint", ["/b", "/same", "/a/<int:n>", "/ws"]),
        ("methods", ["/b", "/a/<int:n>", "/ws", "/same"]),
        ("match", ["/b", "/a/<int:n>", "/ws", "/same"]),
    ],
)
def test_rules_are_sorted(tmp_path: Path, sort: str, rules: list[str]) -> None:
    write(tmp_path / "app.py", APP)
    lines = triows("routes", "--sort", sort).stdout.splitlines()[2:]
    assert [line.split()[0] for line in lines] == rules


def test_automatic_methods_are_shown_if_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "app.py", APP)
    assert "GET, HEAD, OPTIONS, POST  second" in triows("routes", "--all-methods").stdout


@pytest.mark.parametrize(
    ("option", "route", "name"),
    [("subdomain_matching", "subdomain='api'", "Subdomain"), ("host_matching", "host='api'", "Host")],
)
def test_the_domain_of_a_rule_is_shown(tmp_path: Path, option: str, route: str, name: str) -> None:
    view = f"@app.get('/', {route})\nasync def index(): pass"
    text = f"{HEAD}app = Triows('chat', static_folder=None, {option}=True)\n{view}"
    lines = triows("routes", write(tmp_path / "chat.py", text)).stdout.splitlines()
    assert (lines[0].split(), lines[2].split()) == (["Rule", "Methods", "Endpoint", name], ["/", "GET", "index", "api"])


def test_rules_are_json_if_asked_for(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", APP)
    rows = json.loads(triows("routes", place, "--json").stdout)
    assert rows[3] == {
        "rule": "/ws",
        "methods": ["WS"],
        "endpoint": "third",
        "domain": "",
        "origins": ["https://example.com"],
        "limits": {"ping_interval": 5.0},
    }


def test_an_app_without_routes_says_so(tmp_path: Path) -> None:
    write(tmp_path / "app.py", HEAD + "app = Triows('chat', static_folder=None)")
    assert triows("routes").stdout == "There are no routes.\n"


def test_an_app_that_is_not_there_is_one_line() -> None:
    assert complaint("routes", "chat.py") == "there is no file chat.py"
