"""The engine's parts in one process, without sockets, beside those of other libraries that do the same.

Each part is prepared by a function that returns what is timed and how many operations one call of it is. What differs
in what libraries do is said in the part's text.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from triows.protocol.websocket.compression import Agreement, Compression, negotiate
from triows.protocol.websocket.deflate import Deflater, Inflater

from .fleet import Unavailable
from .measure import Effort, Figures, Row
from .proc import server_and_load_cores
from .talks import KEY, FrameTalk, masked

Timed = tuple[Callable[[], object], int]  # what is timed, and the operations in one call of it
Prepare = Callable[[], Timed]

_BATCH = 16
_TEXT = "abcdefghijklmnopqrstuvwxyz012345"
_SHORT_BATCH = masked(_TEXT.encode(), 0x81) * _BATCH
_LARGE = masked(bytes(range(256)) * 256, 0x82)
_MASK = b"\x37\xfa\x21\x3d"
_HEAD = FrameTalk(32).opening
_JSON = b'{"type":"message","room":"general","from":"someone","text":"hello to everybody in this room","seq":%d}'
BROWSER_HEAD = (
    b"GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36\r\n"
    b"Upgrade: websocket\r\nOrigin: https://example.com\r\nSec-WebSocket-Version: 13\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: session=0123456789abcdef\r\n"
    b"Sec-WebSocket-Key: " + KEY + b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)


@dataclass(frozen=True)
class Part:
    """One part of the engine, in the implementations of it by name; ratios are with the first."""

    name: str
    title: str
    implementations: dict[str, Prepare]


# Receiving


def _triows_receives(data: bytes, count: int) -> Prepare:
    def prepare() -> Timed:
        from triows.protocol.websocket.inbox import Inbox
        from triows.protocol.websocket.reader import MessageReader

        inbox = Inbox()
        protocol = MessageReader(inbox, 1 << 20)

        def run() -> None:
            protocol.receive_data(data)
            assert len(inbox) == count
            inbox.clear()

        return run, count

    return prepare


def _wsproto_receives(data: bytes, count: int) -> Prepare:
    def prepare() -> Timed:
        from wsproto.connection import Connection, ConnectionType

        connection = Connection(ConnectionType.SERVER)

        def run() -> None:
            connection.receive_data(data)
            assert len(list(connection.events())) == count

        return run, count

    return prepare


def _websockets_receives(data: bytes, count: int) -> Prepare:
    def prepare() -> Timed:
        from websockets.frames import Frame, Opcode
        from websockets.protocol import State
        from websockets.server import ServerProtocol

        protocol = ServerProtocol(state=State.OPEN)

        def run() -> None:
            protocol.receive_data(data)
            frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
            messages = [bytes(one.data).decode() if one.opcode is Opcode.TEXT else one.data for one in frames]
            assert len(messages) == count

        return run, count

    return prepare


# Sending


def _triows_encodes() -> Timed:
    from triows.protocol.websocket.frames import TEXT, encode

    return lambda: encode(TEXT, _TEXT.encode()), 1


def _wsproto_encodes() -> Timed:
    from wsproto.connection import Connection, ConnectionType
    from wsproto.events import TextMessage

    connection = Connection(ConnectionType.SERVER)
    return lambda: connection.send(TextMessage(data=_TEXT)), 1


def _websockets_encodes() -> Timed:
    from websockets.protocol import State
    from websockets.server import ServerProtocol

    protocol = ServerProtocol(state=State.OPEN)

    def run() -> bytes:
        protocol.send_text(_TEXT.encode())
        return b"".join(protocol.data_to_send())

    return run, 1


# Masks


def _masks(module: str, name: str, size: int, *needs: str) -> Prepare:
    """``needs``: modules without which the function is another one."""

    def prepare() -> Timed:
        for need in needs:
            importlib.import_module(need)
        function = getattr(importlib.import_module(module), name)
        data = bytes(range(256)) * (size // 256) + bytes(size % 256)
        return lambda: function(data, _MASK), 1

    return prepare


# Heads and handshakes


def _triows_reads_head() -> Timed:
    from triows.connection.limits import ServerLimits
    from triows.protocol.http1.request_head import HeadReader

    reader = HeadReader(ServerLimits())

    def run() -> None:
        reader.begin()
        assert reader.take(bytearray(BROWSER_HEAD)) is not None

    return run, 1


def _h11_reads_head() -> Timed:
    import h11

    def run() -> None:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(BROWSER_HEAD)
        assert isinstance(connection.next_event(), h11.Request)

    return run, 1


def _websockets_reads_head() -> Timed:
    from websockets.server import ServerProtocol

    def run() -> None:
        protocol = ServerProtocol()
        protocol.receive_data(BROWSER_HEAD)
        assert len(protocol.events_received()) == 1

    return run, 1


def _triows_checks_handshake() -> Timed:
    from triows.protocol.websocket import handshake

    lines = (line.partition(b": ") for line in _HEAD.split(b"\r\n")[1:] if line)
    headers = [(name.lower(), value) for name, _, value in lines]
    return lambda: handshake.accept_token(handshake.check("GET", "1.1", headers)), 1


def _websockets_checks_handshake() -> Timed:
    from websockets.server import ServerProtocol

    protocol = ServerProtocol()
    protocol.receive_data(_HEAD)
    [request] = protocol.events_received()
    return lambda: ServerProtocol().accept(request), 1  # type: ignore[arg-type]


# Compression


def _agreement() -> tuple[Agreement, Compression]:
    settings = Compression()
    agreement = negotiate(["permessage-deflate; client_max_window_bits"], settings)
    assert agreement is not None
    return agreement, settings


def _triows_deflates() -> Timed:
    deflater = Deflater(*_agreement())
    messages = [_JSON % number for number in range(_BATCH)]
    return lambda: [deflater.deflate(message) for message in messages], _BATCH


def _triows_inflates() -> Timed:
    agreement, settings = _agreement()
    deflater = Deflater(agreement, settings)
    # From a client whose window begins anew: the same bytes can be inflated again and again.
    payloads = [deflater.deflate(_JSON % 0)]
    inflater = Inflater(agreement)
    size = len(_JSON) * 2

    def run() -> None:
        for payload in payloads:
            assert len(inflater.inflate(payload, size) + inflater.end(size)) > 80

    return run, 1


def _websockets_extension() -> tuple[Any, Any]:
    from websockets.extensions.permessage_deflate import PerMessageDeflate
    from websockets.frames import Frame

    settings = {"level": 3, "memLevel": 5}
    return Frame, PerMessageDeflate(False, False, 12, 12, compress_settings=settings)


def _websockets_deflates() -> Timed:
    frame, extension = _websockets_extension()
    frames = [frame(1, _JSON % number) for number in range(_BATCH)]
    return lambda: [extension.encode(one) for one in frames], _BATCH


def _websockets_inflates() -> Timed:
    frame, extension = _websockets_extension()
    squeezed = extension.encode(frame(1, _JSON % 0))

    def run() -> None:
        assert len(extension.decode(squeezed).data) > 80

    return run, 1


def _mask_part(name: str, size: int) -> Part:
    return Part(
        f"mask-{name}",
        f"Unmask {name.replace('B', ' B').replace('Ki B', ' KiB').replace('Mi B', ' MiB')}",
        {
            "triows, in Python": _masks("triows.protocol.websocket.masking", "unmask_in_python", size),
            "triows with speedups": _masks("triows.protocol.websocket.masking", "unmask", size, "websockets.speedups"),
            "websockets, in Python": _masks("websockets.utils", "apply_mask", size),
        },
    )


PARTS = {
    part.name: part
    for part in (
        Part(
            "receive",
            "Receive a masked text message of 32 B, 16 at a time",
            {
                "triows": _triows_receives(_SHORT_BATCH, _BATCH),
                "websockets": _websockets_receives(_SHORT_BATCH, _BATCH),
                "wsproto": _wsproto_receives(_SHORT_BATCH, _BATCH),
            },
        ),
        Part(
            "receive-64KiB",
            "Receive a masked binary message of 64 KiB",
            {
                "triows": _triows_receives(_LARGE, 1),
                "websockets": _websockets_receives(_LARGE, 1),
                "wsproto": _wsproto_receives(_LARGE, 1),
            },
        ),
        Part(
            "encode",
            "Encode a text message of 32 B",
            {"triows": _triows_encodes, "websockets": _websockets_encodes, "wsproto": _wsproto_encodes},
        ),
        Part(
            "head",
            "Read a browser's request head",
            {"triows": _triows_reads_head, "h11": _h11_reads_head, "websockets": _websockets_reads_head},
        ),
        Part(
            "handshake",
            "Check a handshake and make its token (websockets: with the response)",
            {"triows": _triows_checks_handshake, "websockets": _websockets_checks_handshake},
        ),
        Part(
            "deflate",
            "Deflate a message of 100 B of JSON, the same settings",
            {"triows": _triows_deflates, "websockets": _websockets_deflates},
        ),
        Part(
            "inflate",
            "Inflate a message of 100 B of JSON",
            {"triows": _triows_inflates, "websockets": _websockets_inflates},
        ),
        *(
            _mask_part(name, size)
            for name, size in {"16B": 16, "125B": 125, "1KiB": 1024, "64KiB": 65536, "1MiB": 1 << 20}.items()
        ),
    )
}


def measure_part(part: Part, effort: Effort) -> list[Row]:
    """The part's rows: the processor time of one operation in µs, and the ratio to the first implementation's."""
    timed: dict[str, tuple[Callable[[], object], int, int]] = {}
    problems: dict[str, str] = {}
    sample = effort.seconds / 20
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, server_and_load_cores()[0])
    try:
        for name, prepare in part.implementations.items():
            try:
                function, operations = prepare()
                timed[name] = function, operations, _calls(function, sample)
            except (ImportError, AttributeError, Unavailable) as error:
                problems[name] = f"not there: {error}"
        rounds: list[Figures] = [
            {name: _time(function, calls) / calls / operations for name, (function, operations, calls) in timed.items()}
            for _ in range(effort.rounds)
        ]
    finally:
        os.sched_setaffinity(0, cores)
    base = next(iter(part.implementations))
    return [Row(name, _summary(rounds, name, base), problems.get(name, "")) for name in part.implementations]


def _summary(rounds: list[Figures], name: str, base: str) -> Figures:
    if name not in rounds[0]:
        return {}
    figures = {"time": median(one[name] for one in rounds) * 1e6}
    if base in rounds[0]:
        figures["ratio"] = median(one[name] / one[base] for one in rounds)
    return figures


def _calls(function: Callable[[], object], sample: float) -> int:
    """How many calls take about this time, in seconds."""
    calls = 1
    while (taken := _time(function, calls)) < sample / 4:
        calls *= 4
    return max(1, int(calls * sample / taken))


def _time(function: Callable[[], object], calls: int) -> float:
    """The processor time of so many calls, in seconds."""
    repeat = range(calls)
    started = time.process_time()
    for _ in repeat:
        function()
    return time.process_time() - started
