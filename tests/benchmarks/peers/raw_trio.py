"""A yardstick: a stream echo on Trio that answers frames without looking at them.

The handshake gets the answer to the load's fixed key, and every so many bytes a ready-made frame; how many, the
request's target says (``/?size=32``). Nothing is parsed, unmasked or checked.
"""

from __future__ import annotations

import socket
import ssl
from functools import partial

import trio

from ..talks import FrameTalk


def serve(sock: socket.socket, _tls: ssl.SSLContext | None) -> None:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    trio.run(partial(trio.serve_listeners, echo, [listener]))


async def echo(stream: trio.SocketStream) -> None:
    try:
        request = await stream.receive_some()
        target = bytes(request).split(b" ", 2)[1] if request else b""
        if not target.startswith(b"/?size="):
            return
        binary = target.endswith(b"&binary")
        talk = FrameTalk(int(target[7:].removesuffix(b"&binary")), binary=binary)
        await stream.send_all(talk.handshake_reply)
        waiting = 0
        while data := await stream.receive_some(65536):
            messages, waiting = divmod(waiting + len(data), len(talk.request))
            if messages:
                await stream.send_all(talk.reply * messages)
    except trio.BrokenResourceError:
        pass  # the load ends its connections with a reset
