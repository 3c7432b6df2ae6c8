"""Bad HTTP requests, and the answer due (RFC 9110, 9112), as :mod:`.bad_input` writes it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from triows import Triows, request

from ..support.served import served
from ..support.wire import Wire, upgrade
from .bad_input import FIN, LONG, SEGMENTS, Connect, Watched, responses, send
from .conftest import Target, native_only


class Guarded(Watched):
    """A server whose handlers count their calls, and keep the bodies that they got."""

    def __init__(self, app: Triows, connect: Connect) -> None:
        super().__init__(app, connect)
        self.bodies: list[bytes] = []
        self.calls = 0

        @app.route("/x", methods=["GET", "POST"])
        async def x() -> str:
            self.calls += 1
            self.bodies.append(await request.get_data())
            return request.host

        @app.get("/a<rest>")
        async def a(rest: str) -> str:
            self.calls += 1
            return rest

        @app.post("/small", max_body_size=10)
        async def small() -> str:
            self.calls += 1
            self.bodies.append(await request.get_data())
            return "small"

        @app.post("/unread", max_body_size=10)
        async def unread() -> str:
            self.calls += 1
            return "did not look at it"


def get(*lines: bytes, line: bytes = b"GET /x HTTP/1.1", host: bytes | None = b"Host: localhost") -> bytes:
    head = [line, *([] if host is None else [host]), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n"


def post(*lines: bytes, body: bytes = b"", path: bytes = b"/x") -> bytes:
    return get(*lines, line=b"POST " + path + b" HTTP/1.1") + body


def sized(length: bytes, body: bytes = b"hello", path: bytes = b"/x") -> bytes:
    return post(b"Content-Length: " + length, body=body, path=path)


def coded(coding: bytes, body: bytes = b"5\r\nhello\r\n0\r\n\r\n", path: bytes = b"/x") -> bytes:
    return post(b"Transfer-Encoding: " + coding, body=body, path=path)


def chunked(body: bytes, path: bytes = b"/x") -> bytes:
    return coded(b"chunked", body, path)


def named(host: bytes) -> bytes:
    return get(host=b"Host: " + host)


def aimed(target: bytes) -> bytes:
    return get(line=b"GET " + target + b" HTTP/1.1")


SMUGGLED = get(line=b"GET /x?smuggled HTTP/1.1")

HEADS: dict[str, tuple[bytes, str]] = {
    "a good one": (get(), "200 K"),
    "H01 bare LF ends request line": (b"GET /x HTTP/1.1\nHost: localhost\r\n\r\n", "400 C"),
    "H01 bare CR ends request line": (b"GET /x HTTP/1.1\rHost: localhost\r\n\r\n", "400 C"),
    "H02 bare LF ends a header line": (get(b"A: b\nC: d"), "400 C"),
    "H02 bare CR ends a header line": (get(b"A: b\rC: d"), "400 C"),
    "H02 bare LFs end the head": (b"GET /x HTTP/1.1\r\nHost: localhost\n\n", "400 C"),
    "H04 NUL in field value": (get(b"A: b\x00c"), "400 C"),
    "H04 NUL in method": (get(line=b"G\x00T /x HTTP/1.1"), "400 C"),
    "H05 0x01 in field value": (get(b"A: b\x01c"), "400 C"),
    "H05 0x7f in field value": (get(b"A: b\x7fc"), "400 C"),
    "H05 ESC in field value": (get(b"A: \x1b[2J"), "400 C"),
    "H06 obs-fold": (get(b"A: b", b" c"), "400 C"),
    "H06 obs-fold behind Host": (get(b"\tevil.example"), "400 C"),
    "H06 obs-fold of Transfer-Encoding": (post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"), "400 C"),
    "H08 space before first header line": (get(host=b" Host: localhost"), "400 C"),
    "H09 header line without colon": (get(b"Abc"), "400 C"),
    "H10 empty header name": (get(b": b"), "400 C"),
    "H10 space before the colon": (post(b"Content-Length : 5", body=b"hello"), "400 C"),
    "H10 tab before the colon": (post(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"), "400 C"),
    "H10 header name with a bracket": (get(b"a(b: c"), "400 C"),
    "H10 header name beyond ASCII": (get(b"a\xc3\xa4: c"), "400 C"),
    "H12 no Host in HTTP/1.1": (get(host=None), "400 C"),
    "H12 no Host in HTTP/1.0": (get(line=b"GET /x HTTP/1.0", host=None), "200 C"),
    "H13 two Host fields": (get(b"Host: localhost"), "400 C"),
    "H13 two Host fields, one empty": (get(b"Host:"), "400 C"),
    "H14 invalid Host": (named(b"a b/c@d"), "400 C"),
    "H14 Host with userinfo": (named(b"user@localhost"), "400 C"),
    "H14 Host with a comma": (named(b"localhost,evil.example"), "400 C"),
    "H14 Host with a percent": (named(b"local%68ost"), "400 C"),
    "H14 Host with a query": (named(b"localhost?a"), "400 C"),
    "H14 Host with a quote": (named(b"local'host"), "400 C"),
    "H14 Host with a backslash": (named(b"localhost\\evil"), "400 C"),
    "H14 Host in brackets that is no address": (named(b"[localhost]"), "400 C"),
    "H14 Host in brackets, too many groups": (named(b"[1:2:3:4:5:6:7:8:9]"), "400 C"),
    "H14 Host in brackets, only colons": (named(b"[:::::]"), "400 C"),
    "H14 Host with a zone": (named(b"[fe80::1%25eth0]"), "400 C"),
    "H14 Host with an open bracket": (named(b"[::1"), "400 C"),
    "H14 Host with something behind the bracket": (named(b"[::1]a"), "400 C"),
    "H14 Host with port 65536": (named(b"localhost:65536"), "400 C"),
    "H14 Host with port 99999": (named(b"localhost:99999"), "400 C"),
    "H14 Host with port -1": (named(b"localhost:-1"), "400 C"),
    "H14 Host with two ports": (named(b"localhost:80:80"), "400 C"),
    "H14 Host with an address and a port": (named(b"[::1]:8000"), "200 K"),
    "H15 Content-Length and Transfer-Encoding": (
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "400 C",
    ),
    "H15 Transfer-Encoding and Content-Length": (
        post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
        "400 C",
    ),
    "H15 Content-Length: 0 and Transfer-Encoding": (
        post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "400 C",
    ),
    "H15 Content-Length and another Transfer-Encoding": (
        post(b"Content-Length: 5", b"Transfer-Encoding: identity", body=b"hello"),
        "400 C",
    ),
    "H15 Transfer-Encoding in HTTP/1.0": (
        get(b"Transfer-Encoding: chunked", line=b"POST /x HTTP/1.0") + b"0\r\n\r\n",
        "400 C",
    ),
    "H16 two different Content-Lengths": (post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"), "400 C"),
    "H16 two equal Content-Lengths": (post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), "400 C"),
    "H17 Content-Length: 5, 5": (sized(b"5, 5"), "400 C"),
    "H17 Content-Length: 5,6": (sized(b"5,6"), "400 C"),
    "H18 Content-Length: +5": (sized(b"+5"), "400 C"),
    "H18 Content-Length: -5": (sized(b"-5"), "400 C"),
    "H18 Content-Length: -0": (sized(b"-0"), "400 C"),
    "H20 Content-Length: 1_0": (sized(b"1_0", b"hellohello"), "400 C"),
    "H20 Content-Length: 0x5": (sized(b"0x5"), "400 C"),
    "H20 Content-Length: 5 5": (sized(b"5 5"), "400 C"),
    "H20 Content-Length: 5;": (sized(b"5;"), "400 C"),
    "H20 Content-Length: 5.0": (sized(b"5.0"), "400 C"),
    "H20 Content-Length without a value": (sized(b""), "400 C"),
    "H20 Content-Length in Arabic digits": (sized("٥".encode()), "400 C"),
    "H20 Content-Length: superscript two": (sized(b"\xb2"), "400 C"),
    "H21 Content-Length with 5000 digits": (sized(b"1" * 5000), "413 C"),
    "H21 Content-Length of 19 nines": (sized(b"9" * 19), "413 C"),
    "H24 chunked, chunked": (coded(b"chunked, chunked"), "501 C"),
    "H24 gzip, chunked": (coded(b"gzip, chunked"), "501 C"),
    "H24 chunked, identity": (coded(b"chunked, identity"), "501 C"),
    "H24 chunked with a comma": (coded(b"chunked,"), "501 C"),
    "H24 chunked with a parameter": (coded(b"chunked;q=1"), "501 C"),
    "H24 quoted": (coded(b'"chunked"'), "501 C"),
    "H24 xchunked": (coded(b"xchunked"), "501 C"),
    "H24 empty coding": (coded(b""), "501 C"),
    "H24 CHUNKED": (coded(b"CHUNKED"), "200 K"),
    "H25 Transfer-Encoding twice": (
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "501 C",
    ),
    "H25 Transfer-Encoding twice, the first identity": (
        post(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "501 C",
    ),
    "H26 Transfer-Encoding: \\x0bchunked": (coded(b"\x0bchunked"), "400 C"),
    "H26 Transfer-Encoding: chunked\\x0c": (coded(b"chunked\x0c"), "400 C"),
    "H26 Transfer-Encoding: \\xa0chunked": (coded(b"\xa0chunked"), "501 C"),
    "H42 request line of 8000 octets": (aimed(b"/a" + b"b" * 7985), "200 K"),
    "H42 request line of 8193 octets": (aimed(b"/a" + b"b" * (8193 - 15)), "414 C"),
    "H42 endless method": (b"A" * 20_000, "414 C"),
    "H44 one 70 kB header": (get(b"A: " + b"b" * 70_000), "431 C"),
    "H45 2000 short headers": (get(*[b"a: b"] * 2000), "431 C"),
    "H45 101 headers": (get(*[b"a: b"] * 100), "431 C"),
    "H46 unknown method FOO": (get(line=b"FOO /x HTTP/1.1"), "405 K"),
    "H46 method in lower case": (get(line=b"get /x HTTP/1.1"), "405 K"),
    "H46 method in mixed case": (get(line=b"Post /x HTTP/1.1"), "405 K"),
    "H46 TRACE": (get(line=b"TRACE /x HTTP/1.1"), "405 K"),
    "H46 very long method": (get(line=b"A" * 5000 + b" /x HTTP/1.1"), "405 K"),
    "H46 unknown method, unknown path": (get(line=b"FOO /no HTTP/1.1"), "404 K"),
    "H48 version HTTP/2.0": (get(line=b"GET /x HTTP/2.0"), "505 C"),
    "H48 version HTTP/0.9": (get(line=b"GET /x HTTP/0.9"), "505 C"),
    "H48 HTTP/0.9, as it was": (b"GET /x\r\n", "400 C"),
    "H48 version HTTP/1.2": (get(line=b"GET /x HTTP/1.2"), "200 K"),
    "H49 version HTTP/1.10": (get(line=b"GET /x HTTP/1.10"), "505 C"),
    "H49 version HTTP/1.": (get(line=b"GET /x HTTP/1."), "400 C"),
    "H49 version HTTP/1": (get(line=b"GET /x HTTP/1"), "400 C"),
    "H50 version http/1.1": (get(line=b"GET /x http/1.1"), "400 C"),
    "H50 version with a space behind": (get(line=b"GET /x HTTP/1.1 "), "400 C"),
    "H52 two SP before target": (get(line=b"GET  /x HTTP/1.1"), "400 C"),
    "H52 tab before target": (get(line=b"GET\t/x HTTP/1.1"), "400 C"),
    "H52 space in the target": (aimed(b"/x /y"), "400 C"),
    "H53 relative target": (aimed(b"x"), "400 C"),
    "H54 fragment in target": (aimed(b"/a#b"), "400 C"),
    "H54 control byte in target": (aimed(b"/a\x01"), "400 C"),
    "H56 GET *": (aimed(b"*"), "400 C"),
    "H57 CONNECT a:443": (get(line=b"CONNECT a:443 HTTP/1.1"), "501 C"),
    "H57 CONNECT of a path": (get(line=b"CONNECT /x HTTP/1.1"), "501 C"),
    "H57 authority-form with GET": (aimed(b"localhost:80"), "400 C"),
    "H58 absolute-form, other Host: target's host wins": (aimed(b"http://other.example/x"), "200 K"),
    "H58 absolute-form without Host": (get(line=b"GET http://localhost/x HTTP/1.1", host=None), "400 C"),
    "H58 absolute-form with userinfo": (aimed(b"http://user:word@localhost/x"), "400 C"),
    "H58 absolute-form with no host": (aimed(b"http:///x"), "400 C"),
    "H58 absolute-form with a port only": (aimed(b"http://:80/x"), "400 C"),
    "H58 absolute-form with port 65536": (aimed(b"http://localhost:65536/x"), "400 C"),
    "H58 absolute-form with a name for a port": (aimed(b"http://localhost:http/x"), "400 C"),
    "H58 absolute-form with a zone": (aimed(b"http://[fe80::1%25lo]/x"), "400 C"),
    "H58 absolute-form of another scheme": (aimed(b"ftp://localhost/x"), "400 C"),
    "H58 absolute-form with a backslash": (aimed(b"http://localhost\\@evil/x"), "400 C"),
    "H60 h2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 C"),
    "H61 TLS ClientHello on plain port": (bytes.fromhex("16030100c8010000c40303") + bytes(180), "400 C"),
    "H62 100 kB of zeros": (bytes(100_000), "400 C"),
    "H62 100 kB of spaces": (b" " * 100_000, "400 C"),
    "H62 a response": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "400 C"),
    "H64 50 leading CRLF": (b"\r\n" * 50 + get(), "200 K"),
    "H64 leading LF": (b"\n" + get(), "400 C"),
    "H64 leading CR": (b"\r" + get(), "400 C"),
    "H65 space inside field name": (post(b"Content Length: 5", body=b"hello"), "400 C"),
    "H66 underscore alias": (post(b"Content_Length: 7", b"Content-Length: 5", body=b"hello"), "200 K"),
    "H68 Upgrade: h2c": (get(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: "), "200 K"),
    "H69 100 pipelined GETs answered in order, all": (get() * 100, " ".join(["200"] * 100) + " K"),
    "H70 bytes after Connection: close request": (get(b"Connection: close") + get() + b"more", "200 C"),
    "H70 Connection: close among others": (get(b"Connection: a, Close , b") + get(), "200 C"),
    "Connection: content-length": (
        post(b"Connection: content-length", b"Content-Length: 5", body=b"hello"),
        "200 K",
    ),
    "Expect with another value": (post(b"Expect: 200-ok", b"Content-Length: 5", body=b"hello"), "417 C"),
    "Expect with another value, without a body": (get(b"Expect: magic"), "417 C"),
    "Expect with another value beside": (post(b"Expect: 100-continue, magic", b"Content-Length: 5"), "417 C"),
    "Expect with a parameter": (post(b"Expect: 100-continue;a=b", b"Content-Length: 5"), "417 C"),
    "Expect without a value": (get(b"Expect:"), "200 K"),
    "Expect in HTTP/1.0 is ignored": (get(b"Expect: magic", line=b"GET /x HTTP/1.0"), "200 C"),
    "Expect without a body": (get(b"Expect: 100-continue"), "200 K"),
    "offers of a websocket that are too long": (
        upgrade("/ws", "Sec-WebSocket-Extensions: " + "a, " * 11_000 + "a"),
        "431 C",
    ),
    "headers that are too long beside offers": (
        upgrade("/ws", "Sec-WebSocket-Extensions: " + "a, " * 1000 + "a", "A: " + "b" * 16_384),
        "431 C",
    ),
}

ANNOUNCED: dict[str, tuple[bytes, str]] = {
    "H22 Content-Length: 10^15, no body follows": (sized(b"1" + b"0" * 15, b""), "413 C"),
    "H22 Content-Length over the limit by one": (sized(b"16777217", b""), "413 C"),
    "H22 Content-Length over the route's limit": (sized(b"11", b"", b"/small"), "413 C"),
    "H22 Content-Length over the route's limit, the body too": (sized(b"11", b"hello hello", b"/small"), "413 C"),
    "H22 Content-Length over the limit, with Expect": (
        post(b"Content-Length: 11", b"Expect: 100-continue", path=b"/small"),
        "413 C",
    ),
    "H22 Content-Length over the limit of a handler that does not read": (sized(b"11", b"", b"/unread"), "413 C"),
    "H22 Content-Length over the limit of a GET": (get(b"Content-Length: 16777217"), "413 C"),
    "H22 Content-Length over the limit, unknown path": (sized(b"16777217", b"", b"/no"), "404 C"),
}

BODIES: dict[str, tuple[bytes, str]] = {
    "H28 chunk-size 0x5": (chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H28 no chunk-size": (chunked(b"\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H28 chunk-size g": (chunked(b"g\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H28 chunk-size with a space behind": (chunked(b"5 \r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H28 chunk-size with a tab behind": (chunked(b"5\t\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H28 chunk-size with a space before": (chunked(b" 5\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H28 chunk-size in two words": (chunked(b"5 5\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H28 last chunk with a space behind": (chunked(b"5\r\nhello\r\n0 \r\n\r\n"), "400 C"),
    "H28 chunk-size in Arabic digits": (chunked("٥".encode() + b"\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H29 chunk-size +5": (chunked(b"+5\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H29 chunk-size -5": (chunked(b"-5\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H29 chunk-size -0": (chunked(b"-0\r\n\r\n"), "400 C"),
    "H30 chunk-size 1_0": (chunked(b"1_0\r\nhellohellohello!\r\n0\r\n\r\n"), "400 C"),
    "H32 chunk-size overflow, 17 F": (chunked(b"F" * 17 + b"\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H32 chunk-size of 17 digits, 5 modulo 2^64": (chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H32 chunk-size of 17 digits, nothing behind": (chunked(b"F" * 17), "400 C"),
    "H32 chunk-size of 16 F": (chunked(b"F" * 16 + b"\r\nhello\r\n0\r\n\r\n"), "413 C"),
    "H32 chunk-size over the limit, nothing behind": (chunked(b"1000001\r\n"), "413 C"),
    "H32 chunks over the route's limit": (chunked(b"5\r\nhello\r\n6\r\n", b"/small"), "413 C"),
    "H32 endless chunk-size": (chunked(b"0" * 20_000), "400 C"),
    "H33 chunk-size line ended by bare LF": (chunked(b"5\nhello\r\n0\r\n\r\n"), "400 C"),
    "H33 chunk-size line ended by bare CR": (chunked(b"5\rhello\r\n0\r\n\r\n"), "400 C"),
    "H33 last chunk ended by bare LF": (chunked(b"5\r\nhello\r\n0\n\r\n"), "400 C"),
    "H33 trailers ended by bare LF": (chunked(b"5\r\nhello\r\n0\r\n\n"), "400 C"),
    "H34 bare LF in chunk-ext": (chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H34 bare CR in chunk-ext": (chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H34 bare LF in a quoted chunk-ext": (chunked(b'5;a="\n"\r\nhello\r\n0\r\n\r\n'), "400 C"),
    "H34 NUL in chunk-ext": (chunked(b"5;a\x00\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H34 chunk-ext without a name": (chunked(b"5;\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H34 chunk-ext without a value": (chunked(b"5;a=\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H34 chunk-ext with an open quote": (chunked(b'5;a="b\r\nhello\r\n0\r\n\r\n'), "400 C"),
    "H34 chunk-ext without a semicolon": (chunked(b"5 a\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H34 good chunk-exts": (chunked(b'5;a=b ; c = "d;\\"e" ;f\r\nhello\r\n0;last\r\n\r\n'), "200 K"),
    "H36 chunk data not followed by CRLF": (chunked(b"5\r\nhelloXX0\r\n\r\n"), "400 C"),
    "H36 chunk data followed by LF": (chunked(b"5\r\nhello\n0\r\n\r\n"), "400 C"),
    "H36 chunk data followed by CR": (chunked(b"5\r\nhello\r0\r\n\r\n"), "400 C"),
    "H36 chunk longer than its size": (chunked(b"4\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H37 64 KiB chunk-ext": (chunked(b"5;" + b"a" * 65536 + b"\r\nhello\r\n0\r\n\r\n"), "400 C"),
    "H37 long chunk-exts of many small chunks": (chunked((b"1;" + b"a" * 500 + b"\r\nx\r\n") * 100), "400 C"),
    "H37 short chunk-exts of many chunks": (chunked(b"10;a=b\r\n0123456789abcdef\r\n" * 500 + b"0\r\n\r\n"), "200 K"),
    "H38 trailers of 200 KiB": (chunked(b"0\r\n" + b"A: bcde\r\n" * 23000 + b"\r\n"), "431 C"),
    "H38 one trailer of 20 kB": (chunked(b"0\r\nA: " + b"b" * 20_000 + b"\r\n\r\n"), "431 C"),
    "H38 101 trailers": (chunked(b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n"), "431 C"),
    "H38 trailer that is no field": (chunked(b"0\r\nGET /x HTTP/1.1\r\n\r\n"), "400 C"),
    "H38 trailer with a space before the colon": (chunked(b"0\r\nA : b\r\n\r\n"), "400 C"),
    "H38 folded trailer": (chunked(b"0\r\nA: b\r\n c\r\n\r\n"), "400 C"),
    "H38 NUL in a trailer": (chunked(b"0\r\nA: \x00\r\n\r\n"), "400 C"),
    "H38 good trailers": (chunked(b"5\r\nhello\r\n0\r\nA: b\r\nC:\r\n\r\n"), "200 K"),
    "H38 trailers that would be another framing": (
        chunked(b"5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\nHost: evil.example\r\n\r\n"),
        "200 K",
    ),
    "H40 FIN inside chunked body": (chunked(b"5\r\nhe") + FIN, "gone"),
    "H40 FIN inside a chunk-size": (chunked(b"5") + FIN, "gone"),
    "H40 FIN before the last chunk": (chunked(b"5\r\nhello\r\n") + FIN, "gone"),
    "H40 FIN inside the trailers": (chunked(b"5\r\nhello\r\n0\r\nA: b\r\n") + FIN, "gone"),
    "H41 FIN inside Content-Length body": (sized(b"5", b"he") + FIN, "gone"),
    "chunks of one byte": (chunked(b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n"), "200 K"),
    "a chunk-size with leading zeros": (chunked(b"0000000000000005\r\nhello\r\n000\r\n\r\n"), "200 K"),
    "a body with a GET, and another request behind": (get(b"Content-Length: 5") + b"hello" + get(), "200 200 K"),
    "a body that looks like a request": (sized(b"%d" % len(SMUGGLED), SMUGGLED), "200 K"),
    "a good body, and a bad request behind": (sized(b"5") + b"GET  / \r\n\r\n", "200 400 C"),
    "a good request, and a body without one behind": (get() + b"hello\r\n\r\n", "200 400 C"),
}

ROWS = {**HEADS, **ANNOUNCED, **BODIES}


async def check(server: Guarded, row: str, segments: int | None) -> None:
    data, due = ROWS[row]
    server.calls = 0
    wire = await server.connect(segments)
    async with wire.stream, trio.open_nursery() as nursery:
        # What is behind a refused request, or the last one, must never be taken for a request.
        more = SMUGGLED if due.endswith("C") and not data.endswith((FIN, b"0" * 100)) else b""
        nursery.start_soon(send, wire, data + more)
        answer = await responses(wire, due)
    assert answer == due, (row, segments)
    if row not in BODIES:  # whose handlers wait for them, in vain
        assert server.calls == due.count("200"), row
    assert len(server.bodies) <= due.count("200"), row
    server.bodies.clear()


@asynccontextmanager
async def guarded(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Guarded]:
    app = Triows(__name__)
    with caplog.at_level(logging.WARNING), trio.fail_after(10_000):
        async with served(app) as server:

            async def connect(segments: int | None) -> Wire:
                return server.connect(segments)

            yield Guarded(app, connect)
    assert caplog.records == []


@pytest.mark.parametrize("row", ROWS)
async def test_a_bad_request_gets_the_answer_due_however_it_is_cut(
    row: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded(caplog) as server:
        for segments in SEGMENTS if len(ROWS[row][0]) < LONG else SEGMENTS[:2]:
            await check(server, row, segments)
        await server.still_serves()


@native_only
async def test_a_bad_request_gets_the_answer_due_on_every_transport(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    assert target.app is not None

    async def connect(segments: int | None) -> Wire:
        return await target.connect()

    with caplog.at_level(logging.WARNING), trio.fail_after(60):
        server = Guarded(target.app, connect)
        for row in ROWS:
            await check(server, row, None)
        await server.still_serves()
    assert caplog.records == []


# Where the app decides, under an ASGI server too


async def test_a_length_over_the_limit_is_413_before_any_of_the_body_has_come(target: Target) -> None:
    for path in (b"/body", b"/upload", b"/only-small", b"/only-small-unread"):
        wire = await target.connect()
        await wire.send(b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16777217\r\n\r\n" % path)
        assert (await wire.read_response()).status == 413, path
        await wire.stream.aclose()


async def test_the_limit_of_a_route_holds_for_a_chunked_body(target: Target) -> None:
    for size, status in ((10, 200), (11, 413)):
        wire = await target.connect()
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)
        await wire.send(b"POST /only-small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
        assert (await wire.read_response()).status == status
        await wire.stream.aclose()


async def test_a_method_that_nobody_knows_is_405(target: Target) -> None:
    for method in ("FOO", "GET1", "M-SEARCH", "A'B"):
        response = await target.request(method, "/only-http")
        assert response.status == 405
        assert {name.strip() for name in response.headers["allow"].split(",")} == {"GET", "HEAD", "OPTIONS"}
        assert method.encode() not in response.body


PATHS = {
    "/name/a%00b": 200,
    "/name/%c0%af": 200,
    "/name/%ff%fe": 200,
    "/name/%": 400,
    "/name/%zz": 400,
    "/name/a%0d%0aX:%20y": 200,
    "/name/a%2fb": 404,
    "/name/../../etc/passwd": 404,
    "/%2e%2e/name": 404,
    "/name": 404,
    "/name/" + "a/" * 3000: 404,
}


async def test_a_strange_path_finds_its_route_or_none(target: Target) -> None:
    for path, status in PATHS.items():
        assert (await target.get(path)).status == status, path
    assert await target.log() == []


async def test_a_redirect_for_a_missing_slash_stays_on_the_host(target: Target) -> None:
    scheme = "https" if target.kind == "tls" else "http"
    for path in ("//evil.example", "///evil.example", "/%2fevil.example", "/%5cevil.example", "/\\evil.example"):
        assert (await target.get(path)).status == 404
        response = await target.get(f"/folder{path}")
        assert response.status in (308, 404), path
        assert response.headers.get("location", f"{scheme}://localhost/").startswith(f"{scheme}://localhost/"), path


async def test_nothing_of_a_users_splits_a_response(target: Target) -> None:
    text = b"a%0d%0aX-Split:%20yes%0d%0a%0d%0a<b>body"
    wire = await target.connect()
    failed = 0
    for how in (b"header", b"redirect", b"cookie", b"status", b"type", b"name", b"file"):
        await wire.send(b"GET /split/%b?text=%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (how, text))
        response = await wire.read_response()
        assert "x-split" not in response.headers, how
        assert b"<b>body" not in response.body, how
        assert response.status in (200, 302, 500)
        failed += response.status == 500
    await wire.send(b"GET /both HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await wire.read_response()).body == b"http"
    await wire.stream.aclose()
    assert len(await target.log()) == failed


async def test_no_page_of_an_error_holds_a_clients_markup(target: Target) -> None:
    markup = "%3Cscript%3Ealert(1)%3C/script%3E"
    for path in ("/", "/only-http/", "/folder/", "/fields?", "/number/", "/split/abort?text="):
        response = await target.get(path + markup)
        assert response.status >= 300
        assert b"<script" not in response.body, path


MULTIPART = "multipart/form-data; boundary="
URLENCODED = "application/x-www-form-urlencoded"
FORMS = {
    ("multipart/form-data", b""): 200,  # a form without fields
    (MULTIPART, b""): 200,
    (MULTIPART + "b", b""): 200,
    (MULTIPART + "b" * 71, b""): 200,
    ("multipart/form-data", b"--b--\r\n"): 400,
    (MULTIPART, b"--b--\r\n"): 400,
    (MULTIPART + "b", b"--b--\r\n"): 200,
    (MULTIPART + "b", b"--b--"): 200,
    (MULTIPART + "b", b"\r\n"): 400,
    (MULTIPART + "b", b"--b\r\n\r\n"): 400,
    (MULTIPART + "b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"): 400,
    (MULTIPART + "b", b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b"): 400,
    (MULTIPART + "b", b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n" * 1001 + b"--b--\r\n"): 413,
    (MULTIPART + "b" * 70, b"--" + b"b" * 70 + b"--\r\n"): 200,
    (MULTIPART + "b" * 71, b"--" + b"b" * 71 + b"--\r\n"): 400,
    (URLENCODED, b"&" * 999): 200,
    (URLENCODED, b"&" * 1000): 413,
    (URLENCODED, b"a=" + b"b" * 500_000): 413,
    (URLENCODED, b"a=%ff&%00=%&=&b"): 200,
}


async def test_a_bad_form_is_a_fault_of_the_client(target: Target) -> None:
    for (content_type, body), status in FORMS.items():
        response = await target.request("POST", "/form", f"Content-Type: {content_type}", body=body)
        assert response.status == status, (content_type, body[:100])
    assert await target.log() == []


async def test_trailers_are_no_headers(target: Target) -> None:
    wire = await target.connect()
    head = b"POST /headers HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X-B\r\n\r\n"
    await wire.send(head + b"5\r\nhello\r\n0\r\nX-B: 2\r\nX-A: 3\r\nAuthorization: Basic eDp5\r\n\r\n")
    response = await wire.read_response()
    assert response.body == b'{"a":["1"],"authorization":[],"b":[],"size":5}\n'
    await wire.stream.aclose()
