"""A Redis server of a few commands, for clients of it: RESP in, RESP out, on a port of the loopback interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio


class Redis:
    """What the server holds, and what it was asked.

    :ivar values: the values by their keys.
    :ivar commands: the commands on keys, in order.
    """

    def __init__(self) -> None:
        self.port = 0
        self.values: dict[bytes, bytes] = {}
        self.commands: list[list[bytes]] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        buffer = bytearray()

        async def line() -> bytes:
            while (end := buffer.find(b"\r\n")) < 0:
                data = await stream.receive_some()
                if not data:
                    raise EOFError
                buffer.extend(data)
            found = bytes(buffer[:end])
            del buffer[: end + 2]
            return found

        async def command() -> list[bytes]:
            words = []
            for _ in range(int((await line())[1:])):
                await line()  # the length: no word here has a line end in it
                words.append(await line())
            return words

        try:
            while True:
                await stream.send_all(self.answer(await command()))
        except (EOFError, trio.BrokenResourceError):
            pass

    def answer(self, command: list[bytes]) -> bytes:
        match [command[0].upper(), *command[1:]]:
            case [b"HELLO", *_]:
                return b"%3\r\n$2\r\nid\r\n:1\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n$5\r\nproto\r\n:3\r\n"
            case [b"GET", key]:
                self.commands.append(command)
                value = self.values.get(key)
                return b"_\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)
            case [b"SET", key, value, *options]:
                self.commands.append(command)
                if b"XX" in options and key not in self.values:
                    return b"_\r\n"
                self.values[key] = value
                return b"+OK\r\n"
            case [b"PEXPIRE", key, _]:
                self.commands.append(command)
                return b":%d\r\n" % (key in self.values)
            case [b"DEL", key]:
                self.commands.append(command)
                return b":%d\r\n" % (self.values.pop(key, None) is not None)
        return b"+OK\r\n"  # what clients say of themselves


@asynccontextmanager
async def redis_server() -> AsyncIterator[Redis]:
    """Serve while the block runs."""
    redis = Redis()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, redis.serve, 0, host="127.0.0.1"))
        redis.port = listeners[0].socket.getsockname()[1]
        yield redis
        nursery.cancel_scope.cancel()
