"""Judge the report of a run of the Autobahn suite's cases: ``python -m tests.conformance.judge REPORTS``.

Beside the verdicts it looks at the close code that the server put on the wire, which the suite leaves alone. It ends
with 1 if a case did not pass as it should, and with 2 if there is no report.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROTOCOL_ERROR, INVALID_DATA = 1002, 1007

# What a server may be asked for and has no duty to do: 7.1.6, 7.13.1 and 7.13.2.
MOST_INFORMATIONAL = 3

# The client's fault in these cases, or sections, and what the server's Close frame has to name it.
FAULTS: dict[str, tuple[int, ...]] = {
    "3": (PROTOCOL_ERROR,),  # reserved bits
    "4": (PROTOCOL_ERROR,),  # reserved opcodes
    **{f"5.{number}": (PROTOCOL_ERROR,) for number in (1, 2, 9, 10, 11, 12, 13, 14, 16, 17, 18)},  # fragments
    "6.3": (INVALID_DATA,),  # text that is not UTF-8
    "6.4": (INVALID_DATA,),
    "7.3.2": (PROTOCOL_ERROR,),  # half a close code
    "7.5.1": (INVALID_DATA, PROTOCOL_ERROR),  # a reason that is not UTF-8
    "7.9": (PROTOCOL_ERROR,),  # codes that may not be sent
}


def expected_codes(case: str) -> tuple[int, ...] | None:
    """The close codes of which the server has to send one, or None if any will do."""
    parts = case.split(".")
    for length in range(len(parts), 0, -1):
        if (codes := FAULTS.get(".".join(parts[:length]))) is not None:
            return codes
    return None


def complaint(case: str, result: Mapping[str, Any]) -> str | None:
    """What is wrong with the result of a case, or None."""
    if result["behavior"] not in ("OK", "INFORMATIONAL"):
        return f"verdict {result['behavior']}"
    if result["behaviorClose"] not in ("OK", "INFORMATIONAL"):
        return f"closing {result['behaviorClose']}"
    codes = expected_codes(case)
    if codes is not None and result["remoteCloseCode"] not in codes:
        return f"close code {result['remoteCloseCode']} instead of {' or '.join(map(str, codes))}"
    return None


def judge(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """All complaints about these cases."""
    complaints = [f"{case}: {found}" for case, result in results.items() if (found := complaint(case, result))]
    informational = sum(result["behavior"] == "INFORMATIONAL" for result in results.values())
    if informational > MOST_INFORMATIONAL:
        complaints.append(f"{informational} cases are informational, and {MOST_INFORMATIONAL} at most should be")
    return complaints


def main(folder: str) -> int:
    """Print what came of the cases."""
    index = Path(folder) / "index.json"
    servers = json.loads(index.read_text()) if index.is_file() else {}
    results = {case: result for cases in servers.values() for case, result in cases.items()}
    if not results:
        print(f"no report in {folder}")
        return 2
    complaints = judge(results)
    verdicts = Counter(result["behavior"] for result in results.values())
    print(f"{len(results)} cases:", ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
    print("\n".join(complaints[:40]) or "every close code is right")
    if len(complaints) > 40:
        print(f"and {len(complaints) - 40} more")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
