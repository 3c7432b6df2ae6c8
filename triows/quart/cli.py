"""Quart's ``quart.cli``: what commands of an app are made with. Its command ``quart`` is ``triows`` here."""

from __future__ import annotations

from ..framework.click_groups import AppGroup as AppGroup
from ..framework.click_groups import ScriptInfo as ScriptInfo
from ..framework.click_groups import pass_script_info as pass_script_info
from ..framework.click_groups import with_appcontext as with_appcontext
