"""What the tests of the adapter share."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def seen() -> list[Any]:
    return []
