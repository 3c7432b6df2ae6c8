"""The benchmarks run, in small, and say what they found. How fast anything is, no test asserts."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

if sys.platform != "linux":
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

from . import __main__ as command
from . import chart, engine, fleet, measure, proc, report, results, talks, works

TINY = measure.Effort(rounds=1, seconds=0.02, scale=0.005)


@pytest.fixture(autouse=True)
def _no_child_stays() -> None:
    """The servers of the fleet stay for all tests of this module. The fleet ends them, as one of the tests asks."""


@pytest.fixture(scope="module")
def ships() -> Iterator[fleet.Fleet]:
    with fleet.Fleet() as found:
        yield found


# Everything runs


@pytest.mark.parametrize("name", engine.PARTS)
def test_each_part_of_the_engine_takes_some_time(name: str) -> None:
    part = engine.PARTS[name]
    for row in engine.measure_part(part, replace(TINY, seconds=0.005)):
        if row.server.startswith("triows"):
            assert row.problem == ""
        assert row.problem or row.figures["time"] > 0


@pytest.mark.parametrize("name", [name for name, work in works.WORKS.items() if work.kind != "syscalls"])
def test_each_work_gets_positive_figures_of_triows(name: str, ships: fleet.Fleet) -> None:
    work = replace(works.WORKS[name], servers=("triows",))
    [row] = measure.measure(work, ["triows"], ships, TINY)
    assert row.problem == ""
    # Of memory and processor time so little is used here that the kernel may round it to nothing.
    coarse = {"memory", "cpu", "cpu_few", "cpu_many"}
    assert all(value > 0 for key, value in row.figures.items() if key not in coarse)


def test_the_yardstick_answers_like_a_server(ships: fleet.Fleet) -> None:
    work = replace(works.WORKS["pipelined"], servers=("raw Trio stream",))
    [row] = measure.measure(work, ["raw Trio stream"], ships, TINY)
    assert row.problem == ""
    assert row.figures["rate"] > 0


def test_a_server_that_is_not_installed_is_left_out_with_the_reason(
    ships: fleet.Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fleet.PEERS, "nobody", fleet.Peer("nobody", "nobody", ("no_such_module",), ""))
    [row] = measure.measure(works.WORKS["alone"], ["nobody"], ships, TINY)
    assert row == measure.Row("nobody", {}, "not installed: no_such_module")


def test_a_server_that_ends_is_left_out_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch, ships: fleet.Fleet
) -> None:
    monkeypatch.setitem(fleet.PEERS, "broken", fleet.Peer("broken", "no_such_module", (), ""))
    [row] = measure.measure(works.WORKS["alone"], ["broken"], ships, TINY)
    assert "ModuleNotFoundError" in row.problem


def test_every_server_of_a_work_is_known_and_has_its_module() -> None:
    for work in works.WORKS.values():
        assert set(work.servers) <= fleet.PEERS.keys()
    for peer in fleet.PEERS.values():
        assert (Path(fleet.__file__).parent / "peers" / f"{peer.module}.py").is_file()


def _command(pid: int) -> str:
    """The name of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def test_ctrl_c_ends_the_servers() -> None:
    arguments = ["--only", "alone", "--servers", "triows$", "--seconds", "60"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    try:
        family: list[int] = []
        while "benchmark-load" not in map(_command, family):  # the server is up then
            assert process.poll() is None
            time.sleep(0.01)  # nothing tells when another process has named itself
            family = proc.family(process.pid)
        assert len(family) == 3
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert [pid for pid in family if _command(pid)] == []
    finally:
        process.kill()
        process.wait()


# What the load says and hears


def test_frames_are_what_the_protocol_says() -> None:
    from triows.protocol.websocket.frames import BINARY, TEXT, encode
    from triows.protocol.websocket.inbox import Inbox
    from triows.protocol.websocket.reader import MessageReader

    for size, binary in ((5, False), (126, True), (65536, True)):
        talk = talks.FrameTalk(size, binary=binary)
        inbox = Inbox()
        MessageReader(inbox).receive_data(talk.request)
        [message] = inbox
        assert message == (talk.payload if binary else talk.payload.decode())
        assert talk.reply == encode(BINARY if binary else TEXT, talk.payload)


# Tables and the chart, from fixed figures


@pytest.fixture
def fixed() -> results.Results:
    rows = [
        measure.Row("triows", {"rate": 40000.0, "cpu": 12.34, "load": 0.5, "p50": 900.0, "p99": 1500.0, "ratio": 1.0}),
        measure.Row(
            "raw Trio stream",
            {"rate": 20000.0, "cpu": 25.0, "load": 0.95, "p50": 1800.0, "p99": 2500.0, "ratio": 2.0},
        ),
        measure.Row("picows", {}, "not installed: picows"),
    ]
    machine = {"processor": "Fast", "cores": 2, "system": "Linux 6", "python": "CPython 3", "versions": {"trio": "1"}}
    found = results.Results(machine)
    found.measured["ping-pong"] = results.Measured("2026-01-02", 5, 1.0, rows)
    scale = {"connections": 10000.0, "seconds": 3.0, "memory": 9.5}
    scale |= {f"{key}_{when}": 50.0 for key in ("p50", "p99", "cpu") for when in ("few", "many")}
    found.measured["scale"] = results.Measured("2026-01-03", 5, 1.0, [measure.Row("triows", scale)])
    head = [measure.Row("triows", {"time": 8.0, "ratio": 1.0}), measure.Row("h11", {"time": 16.0, "ratio": 2.0})]
    found.measured["head"] = results.Measured("2026-01-02", 5, 1.0, head)
    return found


def test_markdown_has_a_line_for_each_server_and_says_what_is_left_out(fixed: results.Results) -> None:
    text = report.markdown(report.tables(fixed)[0])
    assert "| triows          |     40,000 |        1.00 |             12.3 |    900 |  1,500 |" in text
    assert "| raw Trio stream |   ≥ 20,000 |        2.00 |" in text
    assert "Left out: picows (not installed: picows)." in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_restructured_text_has_as_many_cells_in_each_row(fixed: results.Results) -> None:
    for table in report.tables(fixed):
        text = report.rst(table)
        assert text.count("   * -") == len(table.rows) + 1
        assert text.count("\n     -") == (len(table.rows) + 1) * (len(table.columns) - 1)


def test_the_machine_is_described_with_the_days_of_the_figures(fixed: results.Results) -> None:
    text = report.machine_text(fixed)
    assert ":Date: 2026-01-02 to 2026-01-03\n" in text
    assert ":Machine: Fast, 2 cores, Linux 6\n" in text


def test_the_chart_is_accessible_svg_without_anything_from_elsewhere(fixed: results.Results) -> None:
    text = report.chart(fixed)
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("viewBox")
    assert root.get("role") == "img"
    assert root.findtext(f"{space}title")
    assert "triows 40,000, raw Trio stream 20,000" in (root.findtext(f"{space}desc") or "")
    assert len(root.findall(f"{space}rect[@height='16']")) == 2
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"<script|href|url\(|@import", text)


def test_the_chart_survives_names_that_are_markup_and_works_that_are_missing() -> None:
    group = chart.Group("a < b & c", [chart.Bar("<x>", 0.0)])
    ElementTree.fromstring(chart.bar_chart("t", "u", [group, chart.Group("empty", [])]))
    ElementTree.fromstring(chart.bar_chart("t", "u", []))


def test_files_are_written_and_read_back(fixed: results.Results, tmp_path: Path) -> None:
    report.write_files(fixed, tmp_path)
    assert results.read(tmp_path / "results.json") == fixed
    assert {path.name for path in tmp_path.iterdir()} == {
        "engine.inc",
        "machine.inc",
        "messages.svg",
        "peers.inc",
        "results.json",
        "servers.inc",
    }


def test_new_figures_replace_the_old_ones_of_the_same_server(fixed: results.Results) -> None:
    fixed.add("ping-pong", TINY, [measure.Row("picows", {"rate": 1.0}), measure.Row("aiohttp", {}, "see /home/me/x")])
    rows = fixed.measured["ping-pong"].rows
    assert [row.server for row in rows] == ["triows", "raw Trio stream", "picows", "aiohttp"]
    assert rows[2].figures == {"rate": 1.0}
    assert rows[3].problem == "see ..."


def test_what_strace_counts_is_read() -> None:
    with_errors = "100.00    0.000276           1       271        12 total"
    without = "100.00    0.000276           1       271           total"
    assert measure.strace_total(f"% time\n------\n{with_errors}\n") == 271
    assert measure.strace_total(without) == 271


def test_a_name_that_is_not_known_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["--only", "nothing"])
    assert caught.value.code == 2
    assert "--list" in capsys.readouterr().err


def test_the_names_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    assert capsys.readouterr().out.split() == [*works.WORKS, *engine.PARTS]


def test_what_the_documentation_includes_is_there() -> None:
    folder = Path(__file__).parents[2] / "docs" / "performance"
    found = results.read(folder / "results.json")
    assert found is not None
    assert {"ping-pong", "alone", "pipelined"} <= found.measured.keys()
    assert (folder / "messages.svg").read_text() == report.chart(found)
