"""Quart's ``quart.blueprints``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ..app import Triows
from ..framework.routes.blueprints import Blueprint as Blueprint
from ..framework.routes.blueprints import BlueprintSetup

if TYPE_CHECKING:
    BlueprintSetupState: TypeAlias = BlueprintSetup[Triows]
else:
    BlueprintSetupState = BlueprintSetup  # a class, for subclasses and isinstance()
