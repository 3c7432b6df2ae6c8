"""Contexts of TLS with a test's own authority, and a client that takes each step by hand."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import cache

import trio
import trustme
from trio.testing import wait_all_tasks_blocked


@cache
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context, for ``localhost``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@cache
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context, which trusts this authority alone.

    :func:`ssl.create_default_context` would read the system's authorities first, and take a hundred times as long.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


class Client:
    """TLS over a raw stream, each step by hand."""

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext) -> None:
        self.stream = stream
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    async def handshake(self, segment: int | None = None) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush(segment)
                self.incoming.write(bytes(await self.stream.receive_some()))
            else:
                await self.flush(segment)
                return

    async def flush(self, segment: int | None = None) -> None:
        data = self.outgoing.read()
        for start in range(0, len(data), segment or len(data) or 1):
            await self.stream.send_all(data[start : start + (segment or len(data))])
            if segment is not None:
                await wait_all_tasks_blocked()

    def encrypt(self, data: bytes) -> bytes:
        rest = memoryview(data)
        while rest:
            rest = rest[self.tls.write(rest) :]
        return self.outgoing.read()

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(self.encrypt(data))

    async def read(self, size: int) -> bytes:
        """So many bytes of plaintext; fewer only at a close_notify."""
        data = b""
        while len(data) < size:
            try:
                piece = self.tls.read(size - len(data))
            except ssl.SSLWantReadError:
                await self.flush()
                arrived = await self.stream.receive_some()
                assert arrived, "the stream ended without a close_notify"
                self.incoming.write(bytes(arrived))
                continue
            except ssl.SSLZeroReturnError:  # where this side has ended TLS before
                break
            if not piece:
                break
            data += piece
        return data

    async def send_close_notify(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self.flush()

    async def read_end(self) -> None:
        """A close_notify, then the end of the stream, and nothing before."""
        assert await self.read(1) == b""
        assert await self.stream.receive_some() == b""
