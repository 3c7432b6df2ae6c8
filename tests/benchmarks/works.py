"""What is measured of whole servers, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["echo", "handshake", "http", "idle", "syscalls", "scale"]

_OWN = ("triows",)
_TRIO = (*_OWN, "triows on hypercorn", "raw Trio stream", "trio-websocket", "quart-trio on hypercorn")
_ASYNCIO = ("websockets", "aiohttp", "picows")
_ALL = (*_TRIO, *_ASYNCIO)
_LARGE = (*_OWN, "triows without speedups", *_ALL[1:])
_WITHOUT_RAW = tuple(name for name in _ALL if name != "raw Trio stream")


@dataclass(frozen=True)
class Work:
    """One thing that servers are made to do.

    :ivar kind: how it is measured: a function of :mod:`.measure`.
    :ivar servers: who does it, by their names in :data:`.fleet.PEERS`; ratios are with the first.
    :ivar connections: how many clients there are.
    :ivar window: how many messages each has in flight.
    :ivar talk: what they say: arguments of :class:`.talks.FrameTalk`; empty: HTTP.
    """

    name: str
    title: str
    kind: Kind
    servers: tuple[str, ...]
    connections: int
    window: int = 1
    talk: Mapping[str, Any] = field(default_factory=lambda: {"size": 32})
    tls: bool = False
    deflate: bool = False

    @property
    def text(self) -> str:
        """What is said for those who read the tables."""
        return _TEXTS[self.kind]


_TEXTS: dict[Kind, str] = {
    "echo": "",
    "handshake": "Each client connects, upgrades, and resets the connection.",
    "http": "GET of a route that answers with 5 bytes.",
    "idle": "Growth of the server's memory (Pss) with each further connection, which has exchanged one message.",
    "syscalls": "What strace counts in the server while messages go to and fro.",
    "scale": (
        "A hundred clients have one message each in flight: few, when they are alone; all, beside the others, which"
        " idle. The seconds are for all the others, opened 128 at a time."
    ),
}

WORKS = {
    work.name: work
    for work in (
        Work("ping-pong", "64 clients, 32 bytes of text, 1 message in flight each", "echo", _ALL, 64),
        Work("alone", "One client, 32 bytes of text, 1 message in flight", "echo", _ALL, 1),
        Work("pipelined", "16 clients, 32 bytes of text, 16 messages in flight each", "echo", _ALL, 16, 16),
        Work("64KiB", "4 clients, 64 KiB of binary", "echo", _LARGE, 4, talk={"size": 65536, "binary": True}),
        Work("1MiB", "2 clients, 1 MiB of binary", "echo", _LARGE, 2, talk={"size": 1 << 20, "binary": True}),
        Work(
            "tls",
            "wss: 64 clients, 32 bytes of text, 1 message in flight each",
            "echo",
            (*_OWN, "trio-websocket", "websockets", "aiohttp"),
            64,
            tls=True,
        ),
        Work("handshakes", "Opening handshakes, 16 at a time", "handshake", _WITHOUT_RAW, 16),
        Work(
            "http",
            "HTTP GET over 32 connections that are kept",
            "http",
            (*_OWN, "triows on hypercorn", "quart-trio on hypercorn", "starlette on uvicorn", "aiohttp"),
            32,
            talk={},
        ),
        Work("idle", "Memory of an idle connection", "idle", _WITHOUT_RAW, 1000),
        Work(
            "idle-deflate",
            "Memory of an idle connection with permessage-deflate",
            "idle",
            (*_OWN, "quart-trio on hypercorn", "websockets", "aiohttp"),
            500,
            talk={"size": 512, "deflate": True},
            deflate=True,
        ),
        Work("syscalls", "System calls for a message, 64 clients", "syscalls", _ALL, 64),
        Work("syscalls-alone", "System calls for a message, one client", "syscalls", _ALL, 1),
        Work("scale", "10,000 open connections", "scale", (*_OWN, "trio-websocket", *_ASYNCIO), 10_000),
    )
}
