"""The process that fuzzes one target, under atheris: ``python -m tests.fuzz.engine TARGET [libFuzzer's options]``.

``python -m tests.fuzz`` starts it, and says how it ended. Only triows is instrumented: what its own code does is what
guides the search.
"""

from __future__ import annotations

import sys

import atheris

from .targets import TARGETS


def main() -> None:
    """Does not return: libFuzzer ends the process."""
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["triows"]):
        run = TARGETS[name].load()
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
