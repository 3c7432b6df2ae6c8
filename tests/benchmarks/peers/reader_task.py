"""The same as ``handler_reads``, in the shape that many servers have: a task that reads, and a memory channel."""

from __future__ import annotations

import socket
import ssl
from functools import partial

import trio

from triows.protocol.websocket.inbox import Inbox
from triows.protocol.websocket.reader import MessageReader

from .handler_reads import accept, reply

_UNREAD = 64  # messages that the channel holds


def serve(sock: socket.socket, _tls: ssl.SSLContext | None) -> None:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    trio.run(partial(trio.serve_listeners, echo, [listener]))


async def read(stream: trio.SocketStream, messages: trio.MemorySendChannel[str | bytes]) -> None:
    inbox = Inbox()
    protocol = MessageReader(inbox)
    async with messages:
        try:
            while data := await stream.receive_some():
                protocol.receive_data(bytes(data))
                while inbox:
                    await messages.send(inbox.popleft())
                inbox.size = 0
        except trio.BrokenResourceError:
            pass  # the load ends its connections with a reset


async def echo(stream: trio.SocketStream) -> None:
    if not await accept(stream):
        return
    sending, receiving = trio.open_memory_channel[str | bytes](_UNREAD)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, stream, sending)
        try:
            async for message in receiving:
                await reply(stream, message)
        except trio.BrokenResourceError:
            nursery.cancel_scope.cancel()
