"""Reads what a server sent, and raises if that is not a sequence of well-formed responses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9]\d\d) [ -~]*\r\n")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9a-zA-Z]+): ([\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*)|)\r\n")
_CHUNK = re.compile(rb"([1-9a-f][0-9a-f]*)\r\n")
_CLOSE = 8


@dataclass
class Answers:
    """The final responses; and the frames behind a 101, by opcode and payload."""

    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    frames: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def judged(self) -> tuple[list[int], list[bytes], bytes | None]:
        """What must be the same in any cut: not the words of a refusal, nor the frames that a Close leaves out."""
        served = [body for status, body in zip(self.statuses, self.bodies, strict=False) if status < 400]
        return self.statuses, served, next((payload[:2] for opcode, payload in self.frames if opcode == _CLOSE), None)


def read_answers(data: bytes, methods: Sequence[str], *, until_close: bool = False) -> Answers:
    """``methods`` are those of the requests, in order; a further response refuses what may have been HEAD.

    ``until_close`` lets a body end with the connection, as streamed ones do in HTTP/1.0.
    """
    answers = Answers()
    position = 0
    last = False
    while position < len(data):
        assert not last, f"there is more after the last response: {data[position:]!r}"
        status, headers, position = _head(data, position)
        if status == 100:
            continue
        answers.statuses.append(status)
        if status == 101:
            answers.frames = _frames(data[position:])
            break
        number = len(answers.statuses) - 1
        is_head = methods[number] == "HEAD" if number < len(methods) else position == len(data)
        bodiless = status in (204, 304) or is_head
        last = b"close" in [option.strip() for option in headers.get(b"connection", b"").split(b",")]
        if bodiless:
            body = b""
        elif until_close and last and not headers.keys() & {b"content-length", b"transfer-encoding"}:
            body, position = data[position:], len(data)
        else:
            body, position = _body(data, position, headers)
        answers.bodies.append(body)
    return answers


def _head(data: bytes, position: int) -> tuple[int, dict[bytes, bytes], int]:
    line = _STATUS_LINE.match(data, position)
    assert line, data[position:]
    position = line.end()
    headers: dict[bytes, bytes] = {}
    while not data.startswith(b"\r\n", position):
        match = _FIELD.match(data, position)
        assert match, data[position:]
        name = match[1].lower()
        assert name not in headers or name == b"set-cookie", f"{name!r} comes twice"
        headers[name] = match[2]
        position = match.end()
    return int(line[1]), headers, position + 2


def _body(data: bytes, position: int, headers: dict[bytes, bytes]) -> tuple[bytes, int]:
    if b"content-length" in headers:
        assert b"transfer-encoding" not in headers
        end = position + int(headers[b"content-length"])
        assert end <= len(data), "the body is cut off"
        return data[position:end], end
    assert headers.get(b"transfer-encoding") == b"chunked", headers
    body = b""
    while match := _CHUNK.match(data, position):
        end = match.end() + int(match[1], 16)
        body += data[match.end() : end]
        assert data[end : end + 2] == b"\r\n"
        position = end + 2
    assert data.startswith(b"0\r\n\r\n", position), data[position:]
    return body, position + 5


def _frames(data: bytes) -> list[tuple[int, bytes]]:
    frames: list[tuple[int, bytes]] = []
    while data:
        assert not frames or frames[-1][0] != _CLOSE, "there is more after the Close frame"
        first, size, start = data[0], data[1], 2
        assert first & 0xB0 in (0x80, 0x00), hex(first)
        assert size < 128, "a server does not mask"
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
            assert size >= 126
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
            assert size >= 65536
        assert len(data) >= start + size, "a frame is cut off"
        frames.append((first & 0x0F, data[start : start + size]))
        data = data[start + size :]
    return frames
