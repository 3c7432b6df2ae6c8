"""The judge of the conformance suite's report. The suite itself is run by ``.ci/run conformance``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .judge import expected_codes, judge, main


def result(behavior: str = "OK", code: int | None = 1000, close: str = "OK") -> dict[str, Any]:
    return {"behavior": behavior, "behaviorClose": close, "remoteCloseCode": code}


def test_a_report_without_faults_passes() -> None:
    good = {"1.1.1": result(), "3.1": result(code=1002), "6.3.1": result(code=1007), "7.1.6": result("INFORMATIONAL")}
    assert judge(good) == []


@pytest.mark.parametrize("verdict", ["FAILED", "NON-STRICT", "UNIMPLEMENTED", "ERROR", "WRONG CODE"])
def test_any_other_verdict_is_a_complaint(verdict: str) -> None:
    assert judge({"1.1.1": result(verdict)}) == [f"1.1.1: verdict {verdict}"]
    assert judge({"1.1.1": result(close=verdict)}) == [f"1.1.1: closing {verdict}"]


def test_a_wrong_close_code_is_a_complaint() -> None:
    assert judge({"6.4.1": result(code=None)}) == ["6.4.1: close code None instead of 1007"]


def test_many_informational_ones_are_a_complaint() -> None:
    assert len(judge({f"7.1.{number}": result("INFORMATIONAL") for number in range(4)})) == 1


@pytest.mark.parametrize(("case", "codes"), [("5.1", (1002,)), ("5.15", None), ("6.30.1", None), ("7.9.3", (1002,))])
def test_cases_are_told_apart_by_their_whole_numbers(case: str, codes: tuple[int, ...] | None) -> None:
    assert expected_codes(case) == codes


def test_no_report_is_no_success(tmp_path: Path) -> None:
    assert main(str(tmp_path)) == 2
    (tmp_path / "index.json").write_text(json.dumps({"server": {"1.1.1": result()}}))
    assert main(str(tmp_path)) == 0
