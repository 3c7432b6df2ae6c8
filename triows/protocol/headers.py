"""Header fields as pairs of bytes, with lower-case names, and how values are found (RFC 9110, section 5)."""

from __future__ import annotations

Headers = list[tuple[bytes, bytes]]


def values(headers: Headers, name: bytes) -> list[bytes]:
    """The values of all fields with this (lower-case) name."""
    return [value for key, value in headers if key == name]


def list_values(headers: Headers, name: bytes) -> list[str]:
    """The members of a comma-separated field, in all its lines."""
    joined = b",".join(values(headers, name)).decode("latin-1")
    return [member for part in joined.split(",") if (member := part.strip(" \t"))]


def has_member(headers: Headers, name: bytes, member: bytes) -> bool:
    """Whether a comma-separated field has this member, in whatever case."""
    return any(member in map(bytes.strip, value.lower().split(b",")) for value in values(headers, name))
