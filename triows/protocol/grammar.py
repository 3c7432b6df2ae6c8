"""The grammar that several parsers share: tokens, and field lines (RFC 9110, sections 5.5 and 5.6.2)."""

from __future__ import annotations

import re

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# A header line, of requests and responses: name and value without the spaces around it (RFC 9110, 5.5 and 5.6.2).
# Possessive in front of the value: of nothing but spaces, two loops would try every way to share them.
FIELD = re.compile(
    rb"(?<=\n)(" + _TOKEN + rb"):[ \t]*+"
    rb"((?:[\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*\r\n"
)
