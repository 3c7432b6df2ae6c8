"""The load generator: ``python -m tests.benchmarks.load --core N``, a process of its own, led by :mod:`.fleet`.

It takes one command a line on standard input, in JSON, and answers each with a line. It must cost less than what it
measures: it sends bytes made beforehand over plain sockets, waits with epoll, and counts what comes back, since each
reply has a known size. The first and the last reply of every connection are compared byte for byte; a byte too many or
too few in between would shift the last one. It says how busy it was itself: a load at its limit measures itself.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from .proc import cpu_seconds, family, prepare
from .talks import FrameTalk, HttpTalk, LoadError, Talk

_TIMEOUT = 10.0  # seconds without what must come
_WAVE = 64  # connections that are opened at once
_MORE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no TIME_WAIT, which would use up the ports

now = time.perf_counter


class Connection:
    """One connection, and where it is in its exchange."""

    __slots__ = ("got", "offset", "receive_into", "send", "sent_at", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.send = sock.send
        self.receive_into: Callable[[memoryview], int] = sock.recv_into
        if isinstance(sock, ssl.SSLSocket):
            self.receive_into = self._receive_records
        self.got = 0  # bytes of the replies that are due
        self.offset = 0  # bytes of the batch that were sent
        self.sent_at = 0.0

    def _receive_records(self, buffer: memoryview) -> int:
        """Everything that TLS holds back: epoll does not see it. The bytes are counted, not kept."""
        assert isinstance(self.sock, ssl.SSLSocket)
        total = self.sock.recv_into(buffer)
        while self.sock.pending():
            total += self.sock.recv_into(buffer)
        return total

    def close(self) -> None:
        """End with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()


class Pool:
    """Connections to one server that all say the same."""

    def __init__(self, port: int, talk: Talk, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.talk = talk
        self.tls = tls
        self.connections: list[Connection] = []
        self._epoll = select.epoll()
        self._buffer = memoryview(bytearray(1 << 20))

    def close(self) -> None:
        for one in self.connections:
            one.close()
        self.connections.clear()
        self._epoll.close()

    def _dial(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), _TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is None:
            return sock
        return self.tls.wrap_socket(sock, server_hostname="localhost")

    def open(self, count: int) -> float:
        """Open so many connections more, in waves, and have the first reply of each; returns seconds without that."""
        seconds = 0.0
        while count > 0:
            wave: list[socket.socket] = []
            started = now()
            for _ in range(min(count, _WAVE)):
                wave.append(self._dial())
                self.connections.append(Connection(wave[-1]))
                self.talk.open(wave[-1])
            for sock in wave:
                self.talk.opened(sock)
            seconds += now() - started
            self._exchange_one(wave)
            count -= len(wave)
        return seconds

    def _exchange_one(self, socks: list[socket.socket]) -> None:
        """One operation on each, compared byte for byte."""
        for sock in socks:
            sock.sendall(self.talk.request)
        for sock in socks:
            self.talk.replied(sock)

    def run(self, pid: int, busy: int, window: int, warmup: float, seconds: float) -> dict[str, float]:
        """Keep ``window`` operations in flight on each of the first ``busy`` connections."""
        self._batch = self.talk.request * window
        self._expected = len(self.talk.reply) * window
        members = self.connections[:busy]
        by_fileno = {one.sock.fileno(): one for one in members}
        for one in members:
            one.sock.setblocking(False)
            self._epoll.register(one.sock, _MORE)
            one.sent_at = now()
            one.offset = 0
            self._push(one)
        warm = self._pump(by_fileno, now() + warmup)
        pids = family(pid)
        cpu, own, started = cpu_seconds(pids), time.process_time(), now()
        times = self._pump(by_fileno, started + seconds)
        elapsed, own = now() - started, time.process_time() - own
        cpu = cpu_seconds(pids) - cpu
        self._settle(members)
        return {
            **_figures(len(times) * window, elapsed, cpu, own),
            "p50": _quantile(times, 0.50) * 1e6,
            "p99": _quantile(times, 0.99) * 1e6,
            "operations": (len(warm) + len(times) + len(members)) * window + len(members),
        }

    def _pump(self, by_fileno: dict[int, Connection], until: float) -> list[float]:
        """Go on until then, and until something came back; returns how long each batch took, in seconds."""
        times: list[float] = []
        add = times.append
        poll, buffer, batch, expected = self._epoll.poll, self._buffer, self._batch, self._expected
        whole, writable, clock = len(batch), select.EPOLLOUT, now
        at = clock()
        while at < until or (not times and at < until + _TIMEOUT):
            for fileno, event in poll(max(until - at, 0.01), 256):
                one = by_fileno[fileno]
                if event & writable:
                    self._push(one)
                if event == writable:
                    continue
                try:
                    size = one.receive_into(buffer)
                except (BlockingIOError, ssl.SSLWantReadError):
                    continue
                if not size:
                    raise LoadError("the server closed a connection")
                size += one.got
                if size < expected:
                    one.got = size
                    continue
                if size > expected:
                    raise LoadError(f"{size} bytes came back instead of {expected}")
                one.got = 0
                at = clock()
                add(at - one.sent_at)
                one.sent_at = at
                try:
                    sent = one.send(batch)
                except BlockingIOError:
                    sent = 0
                one.offset = sent
                if sent != whole:
                    self._epoll.modify(fileno, _MORE | writable)
            at = clock()
        return times

    def _push(self, one: Connection) -> None:
        """Send what is left of the batch, or as much as the system takes."""
        try:
            one.offset += one.send(memoryview(self._batch)[one.offset :])
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
        self._epoll.modify(one.sock, _MORE | (select.EPOLLOUT if one.offset < len(self._batch) else 0))

    def _settle(self, members: list[Connection]) -> None:
        """Wait for what is in flight, then compare one reply of each."""
        for one in members:
            self._epoll.unregister(one.sock)
            one.sock.settimeout(_TIMEOUT)
            if one.offset < len(self._batch):
                one.sock.sendall(memoryview(self._batch)[one.offset :])
            while one.got < self._expected:
                size = one.sock.recv_into(self._buffer, min(self._expected - one.got, len(self._buffer)))
                if not size:
                    raise LoadError("the server closed a connection")
                one.got += size
            one.got = 0
        self._exchange_one([one.sock for one in members])


def handshakes(port: int, pid: int, concurrency: int, seconds: float) -> dict[str, float]:
    """Connect, upgrade, reset, over and over, on so many connections at a time."""
    talk = FrameTalk(32)
    slots: dict[int, Connection] = {}
    heads: dict[int, bytes] = {}

    with select.epoll() as epoll:

        def start() -> None:
            sock = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
            slots[sock.fileno()] = Connection(sock)
            heads[sock.fileno()] = b""
            sock.send(talk.opening)
            epoll.register(sock, _MORE)

        try:
            for _ in range(concurrency):
                start()
            pids = family(pid)
            cpu, own, started, done = cpu_seconds(pids), time.process_time(), now(), 0
            while now() < started + seconds:
                for fileno, _event in epoll.poll(_TIMEOUT):
                    piece = slots[fileno].sock.recv(65536)
                    heads[fileno] += piece
                    if piece and not heads[fileno].endswith(b"\r\n\r\n"):
                        continue
                    talk.check_head(heads[fileno])
                    slots.pop(fileno).close()
                    done += 1
                    start()
            elapsed, own = now() - started, time.process_time() - own
            return _figures(done, elapsed, cpu_seconds(pids) - cpu, own)
        finally:
            for one in slots.values():
                one.close()


def _figures(operations: int, elapsed: float, cpu: float, own: float) -> dict[str, float]:
    """Operations a second, the server's processor time for one in µs, and the load's own share of its core."""
    if not operations:
        raise LoadError("nothing came back")
    return {"rate": operations / elapsed, "cpu": cpu / operations * 1e6, "load": own / elapsed}


def _quantile(times: list[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


class Commands:
    """What :mod:`.fleet` may ask for: the methods without an underscore."""

    def __init__(self) -> None:
        self._pool: Pool | None = None

    def open(self, port: int, count: int, talk: dict[str, Any], cafile: str | None = None) -> dict[str, float]:
        """Open connections beside those that are open; ``talk``: arguments of FrameTalk, or none for HTTP."""
        if self._pool is None:
            tls = None if cafile is None else ssl.create_default_context(cafile=cafile)
            self._pool = Pool(port, FrameTalk(**talk) if talk else HttpTalk(), tls)
        return {"seconds": self._pool.open(count)}

    def run(self, **options: Any) -> dict[str, float]:
        """Use some of the open connections; see :meth:`Pool.run`."""
        assert self._pool is not None
        return self._pool.run(**options)

    def close(self) -> dict[str, float]:
        """Reset them all."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        return {}

    def handshakes(self, **options: Any) -> dict[str, float]:
        """See :func:`handshakes`."""
        return handshakes(**options)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=int, required=True)
    prepare({parser.parse_args().core}, "benchmark-load")
    commands = Commands()
    for line in sys.stdin:
        command = json.loads(line)
        number = command.pop("id")
        try:
            answer = getattr(commands, command.pop("do"))(**command)
        except (LoadError, OSError) as error:
            commands.close()
            answer = {"error": f"{error}" or type(error).__name__}
        print(json.dumps({"id": number, **answer}), flush=True)


if __name__ == "__main__":
    main()
