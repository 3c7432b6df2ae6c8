"""Quart's ``quart.testing.client``."""

from __future__ import annotations

from ...testing.client import TestClient

QuartClient = TestClient
