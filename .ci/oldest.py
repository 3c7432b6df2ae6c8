"""Prints the requirements in pyproject.toml as constraints for pip that allow only the oldest version of each.

They are those of users, extras included, and of the tests. Where both name a project, they must name the same version:
with a newer one in the tests, what users are promised would not be tested.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)(?:; .+)?")  # the condition behind it is pip's matter

settings = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
project = settings["project"]
oldest: dict[str, str] = {}
for requirements in (
    project["dependencies"],
    *project["optional-dependencies"].values(),
    settings["dependency-groups"]["test"],
):
    for requirement in requirements:
        found = REQUIREMENT.fullmatch(requirement)
        if found is None:
            sys.exit(f"pyproject.toml: {requirement!r} must be of the form name>=version")
        name, version = found.groups()
        if oldest.setdefault(name, version) != version:
            sys.exit(f"pyproject.toml: {name} must have the same oldest version everywhere: {oldest[name]}, {version}")
for name, version in sorted(oldest.items()):
    print(f"{name}=={version}")
