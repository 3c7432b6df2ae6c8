"""The grammar that several parsers share: tokens and header lines (RFC 9110, sections 5.5 and 5.6.2).

As parts of regular expressions, for bytes and for text. They are possessive: no rule lets one of a token's characters
follow a token, so that giving characters back would find nothing more, and would let a client make the search long.
"""

from __future__ import annotations

import re

TOKEN_CHARACTER = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN = TOKEN_CHARACTER + "++"
BYTES_TOKEN = TOKEN.encode("ascii")

_WHOLE_TOKEN = re.compile(TOKEN)

# A header line, of requests and responses: name and value without the spaces around it. Possessive in front of the
# value: of nothing but spaces, two loops would try every way to share them. Not possessive in the value, which must
# give back the spaces at its end.
FIELD = re.compile(
    rb"(?<=\n)(" + BYTES_TOKEN + rb"):[ \t]*+"
    rb"((?:[\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*\r\n"
)


def is_token(text: str) -> bool:
    """Whether this is a token, and nothing else."""
    return _WHOLE_TOKEN.fullmatch(text) is not None
