"""Quart's ``quart.json.tag``."""

from __future__ import annotations

from ...web.tagged_json import JSONTag as JSONTag
from ...web.tagged_json import PassDict as PassDict
from ...web.tagged_json import PassList as PassList
from ...web.tagged_json import TagBytes as TagBytes
from ...web.tagged_json import TagDateTime as TagDateTime
from ...web.tagged_json import TagDict as TagDict
from ...web.tagged_json import TaggedJSONSerializer as TaggedJSONSerializer
from ...web.tagged_json import TagMarkup as TagMarkup
from ...web.tagged_json import TagTuple as TagTuple
from ...web.tagged_json import TagUUID as TagUUID
