"""The system's view of a socket: bytes that are unacknowledged or unread, and whether the client's end has arrived."""

from __future__ import annotations

import select
import socket
import struct
import sys

import trio

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import FIONREAD, TIOCOUTQ

# In Linux's struct tcp_info, from version 4.1 on: the field tcpi_bytes_acked.
_BYTES_ACKED = struct.Struct("Q")
_BYTES_ACKED_AT = 120
_TCP_INFO_SIZE = _BYTES_ACKED_AT + _BYTES_ACKED.size


def bytes_on_the_way(fileno: int) -> int | None:
    """How many bytes the client's side has not acknowledged yet; None where the system does not tell."""
    return _ask(fileno, TIOCOUTQ) if sys.platform == "linux" else None  # SIOCOUTQ in tcp(7), of two names


def bytes_unread(fileno: int) -> int:
    """How many bytes have arrived and wait to be read; 0 where the system does not tell."""
    return (_ask(fileno, FIONREAD) if sys.platform == "linux" else None) or 0


def end_arrived(fileno: int) -> bool:
    """Whether the client's end, or a reset, has arrived; False where the system does not tell."""
    if fileno < 0:
        return True  # somebody has closed the socket: nothing more can arrive
    if sys.platform != "linux":
        return False
    poll = select.poll()
    poll.register(fileno, select.POLLRDHUP)
    return bool(poll.poll(0))


def _ask(fileno: int, request: int) -> int | None:
    if fileno < 0:
        return None
    try:
        return int.from_bytes(ioctl(fileno, request, bytes(4)), sys.byteorder)
    except OSError:
        return None


def bytes_taken(sock: socket.socket | trio.socket.SocketType) -> int | None:
    """The value of :attr:`.Link.taken`."""
    if sys.platform != "linux":
        return None
    if sock.family == socket.AF_UNIX:
        unread = bytes_on_the_way(sock.fileno())
        return None if unread is None else -unread
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    except OSError:
        return None
    return _BYTES_ACKED.unpack_from(info, _BYTES_ACKED_AT)[0] if len(info) == _TCP_INFO_SIZE else None
