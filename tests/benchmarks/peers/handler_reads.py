"""The least that echoes messages with triows's protocol on a Trio stream: the handler's task reads by itself.

It has no limits, no keepalive and no shutdown, and a disconnect that comes while it does something else it sees too
late. ``reader_task`` is the same with a task that reads.
"""

from __future__ import annotations

import socket
import ssl
from functools import partial

import trio

from triows.protocol.websocket.frames import TEXT, encode
from triows.protocol.websocket.inbox import Inbox
from triows.protocol.websocket.reader import MessageReader

from ..talks import FrameTalk


def serve(sock: socket.socket, _tls: ssl.SSLContext | None) -> None:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    trio.run(partial(trio.serve_listeners, echo, [listener]))


async def accept(stream: trio.SocketStream) -> bool:
    """Answer the handshake, whose bytes are known; returns False if the client has gone."""
    if not await stream.receive_some():
        return False
    await stream.send_all(FrameTalk(0).handshake_reply)
    return True


async def reply(stream: trio.SocketStream, message: str | bytes) -> None:
    """Send a message back. The load's are text here."""
    assert isinstance(message, str)
    await stream.send_all(encode(TEXT, message.encode()))


async def echo(stream: trio.SocketStream) -> None:
    inbox = Inbox()
    protocol = MessageReader(inbox)
    try:
        if await accept(stream):
            while data := await stream.receive_some():
                protocol.receive_data(bytes(data))
                while inbox:
                    await reply(stream, inbox.popleft())
                inbox.size = 0
    except trio.BrokenResourceError:
        pass  # the load ends its connections with a reset
