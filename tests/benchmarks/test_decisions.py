"""The measurements behind docs/decisions run, in small, and what they say beside figures is so."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

from . import measure, report
from .decisions import __main__ as command
from .decisions import carrying, http1, loading, watching

PAGES = Path(__file__).parents[2] / "docs" / "decisions"
TINY = measure.Effort(rounds=1, seconds=0.02, scale=0.005)


@pytest.mark.parametrize("example", http1.EXAMPLES, ids=lambda example: example.title)
def test_h11_takes_what_the_server_refuses_or_resolves(example: http1.Example) -> None:
    assert not http1.read_by_h11(example.data).startswith("refused")
    ours = http1.read_by_triows(example.data)
    assert re.match("refused, (400|505)$", ours) or ours == "GET /x, host b"


@pytest.mark.parametrize("handler", watching.WRONG)
def test_driving_finds_a_handler_that_swallows(handler: watching.Handler) -> None:
    assert watching.verdict("driving the handler", handler)


@pytest.mark.parametrize("handler", watching.RIGHT)
def test_driving_accuses_no_other(handler: watching.Handler) -> None:
    assert not watching.verdict("driving the handler", handler)


@pytest.mark.parametrize("measured", [http1.measure, carrying.reactor, carrying.reading, loading.measure])
def test_each_decision_is_measured(measured: command.Measure) -> None:
    for table in measured(TINY):
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert report.markdown(table)


def test_what_watching_costs_is_measured() -> None:
    found, costs, server = watching.measure(TINY)
    assert [row[-1] for row in found.rows] == ["swallows"] * len(watching.WRONG) + ["-"] * len(watching.RIGHT)
    assert all(float(row[2]) > 0 for row in costs.rows)
    assert {row[1] for row in server.rows} == {"triows", "triows unwatched"}


def test_each_page_has_the_same_parts_and_is_listed() -> None:
    index = (PAGES / "index.rst").read_text()
    for page in PAGES.glob("*.rst"):
        if page.name != "index.rst":
            parts = re.findall(r"^\*\*([^*]+)\.\*\*", page.read_text(), re.MULTILINE)
            assert parts == ["Context", "Decision", "Measured", "Consequences", "What would change our mind"], page
            assert f"   {page.stem}\n" in index


def test_a_decision_that_is_not_known_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["nothing"])
    assert caught.value.code == 2
    assert "http1" in capsys.readouterr().err
