"""Quart's ``quart.blueprints``."""

from __future__ import annotations

from ..framework.routes.blueprints import Blueprint as Blueprint
from ..framework.routes.blueprints import BlueprintSetup

BlueprintSetupState = BlueprintSetup
