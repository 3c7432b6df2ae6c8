"""Listeners: opening their sockets, adopting sockets that are open already, and naming their addresses."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import trio

from ..errors import ListenError
from ..tasks.error_log import error_log as logger

_BACKLOG = 1024
_UNIX_PREFIX = "unix:"
_MAPPED = "::ffff:"
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class ListenSettingError(ValueError):
    """There can be no listener as it was asked for, whatever the system says: no such port, no listening socket."""


async def open_listeners(
    host: str | None,
    port: int,
    *,
    fds: Sequence[int] = (),
    reuse_port: bool = False,
    socket_mode: int | None = None,
) -> list[trio.SocketListener]:
    """Listen on a host name or address (None: on all), on ``unix:PATH``, or, instead, on sockets that listen already.

    :param fds: descriptors of these sockets, which the listeners own from then on.
    :param reuse_port: let other processes listen on the same port (SO_REUSEPORT).
    :param socket_mode: permissions of the Unix socket's file; None: what the umask leaves of 0o777.
    :raises ListenError: if the address cannot be listened on.
    :raises ListenSettingError: if a descriptor is none of a listening TCP or Unix socket, there is no such port or no
        such mode, or the address has no port to share, no path, or no file for a mode.
    """
    try:
        return await _open_listeners(host, port, fds, reuse_port, socket_mode)
    except OSError as error:
        path = None if fds else unix_path(host)
        # The system names no file where it binds a socket.
        raise ListenError(*error.args, *([path] if path is not None and len(error.args) == 2 else [])) from error
    except UnicodeError as error:  # from the codec of host names, or of paths
        raise ListenError(socket.EAI_NONAME, f"{host!r} cannot be encoded") from error


async def _open_listeners(
    host: str | None, port: int, fds: Sequence[int], reuse_port: bool, socket_mode: int | None
) -> list[trio.SocketListener]:
    path = unix_path(host)
    if reuse_port and (fds or path is not None):
        raise ListenSettingError("only a TCP port that is opened here can be shared (reuse_port)")
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise ListenSettingError("this system lets nobody share a port (reuse_port)")
    if socket_mode is not None:
        if fds or path is None:
            raise ListenSettingError("only the file of a Unix socket that is opened here has a mode (socket_mode)")
        _check_mode(socket_mode)
    if fds:
        return _adopt(fds)
    if path is not None:
        return [_open_unix_listener(path, socket_mode)]
    if not isinstance(port, int):
        raise TypeError(f"port is {port!r}; it must be a number")
    if not 0 <= port <= 65535:
        # The system would cut it.
        raise ListenSettingError(f"port is {port}; it must be from 0, for any free one, to 65535")
    return await _open_tcp_listeners(host, port, reuse_port)


def unix_path(host: str | None) -> str | None:
    """The path in ``unix:PATH``; None for any other host."""
    return host.removeprefix(_UNIX_PREFIX) if host is not None and host.startswith(_UNIX_PREFIX) else None


def _listener(sock: socket.socket) -> trio.SocketListener:
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


def _check_mode(mode: int) -> None:
    if isinstance(mode, bool) or not isinstance(mode, int):
        raise TypeError(f"socket_mode is {mode!r}; it must be a number like 0o660")
    if not 0 <= mode <= 0o777:
        raise ListenSettingError(f"socket_mode is {mode}, which is {mode:#o}; it must be from 0 to 0o777, like 0o660")


def _open_unix_listener(path: str, mode: int | None) -> trio.SocketListener:
    if not path:
        raise ListenSettingError("'unix:' is without the path of a socket, as in unix:/run/app.sock")
    if "\0" in path:  # the system would cut it there
        raise ListenSettingError(f"the path of the socket, {path!r}, has a NUL in it")
    sock = socket.socket(socket.AF_UNIX)
    try:
        if Path(path).is_socket() and sock.connect_ex(path) == errno.ECONNREFUSED:
            Path(path).unlink()  # left behind by a server that is gone
            sock.close()
            sock = socket.socket(socket.AF_UNIX)
        if mode is None:
            sock.bind(path)
        else:
            _bind_with_mode(sock, path, mode)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return _listener(sock)


def _bind_with_mode(sock: socket.socket, path: str, mode: int) -> None:
    """Make the socket's file with these permissions: never, not even for an instant, with more."""
    before = os.umask(0o777)
    # Other threads may create files now: narrower than the program's own umask has it, and never wider.
    os.umask(before | 0o777 & ~mode)
    try:
        sock.bind(path)
    finally:
        os.umask(before)
    try:
        os.chmod(path, mode)
    except BaseException:
        os.unlink(path)
        raise


async def _open_tcp_listeners(host: str | None, port: int, reuse_port: bool) -> list[trio.SocketListener]:
    """As trio.open_tcp_listeners() does it, but on those addresses of the host that this machine has.

    ``localhost`` is ``::1`` too in many a /etc/hosts of a machine without IPv6.
    """
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    absent: dict[str, OSError] = {}
    with ExitStack() as stack:
        opened = []
        for family, kind, protocol, _, address in dict.fromkeys(found):  # /etc/hosts may name one address twice
            try:
                sock = _bound_socket(family, kind, protocol, address, reuse_port)
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                absent[str(address[0])] = error
            else:
                opened.append(stack.enter_context(sock))
        if not opened:
            first = next(iter(absent.values()))
            raise OSError(first.errno, f"{first.strerror}: {' and '.join(absent)}")
        stack.pop_all()
    if absent and host is not None:
        logger.info("%s is %s too, which this machine does not have: not listening there", host, " and ".join(absent))
    return [_listener(sock) for sock in opened]


def _bound_socket(family: int, kind: int, protocol: int, address: Any, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:  # must be set before the socket has its address
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _adopt(fds: Sequence[int]) -> list[trio.SocketListener]:
    for number, fd in enumerate(fds):
        if fd in fds[:number]:
            raise ListenSettingError(f"descriptor {fd} is given twice")
        _check_descriptor(fd)
    for fd in fds:
        os.set_inheritable(fd, False)  # as with sockets that are opened here
    return [_listener(socket.socket(fileno=fd)) for fd in fds]


def _check_descriptor(fd: int) -> None:
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        reason = "a socket" if error.errno == errno.ENOTSOCK else "open"
        raise ListenSettingError(f"descriptor {fd} is not {reason}") from error
    try:
        if sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX) or sock.type != socket.SOCK_STREAM:
            raise ListenSettingError(f"descriptor {fd} is not a TCP or Unix stream socket")
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ListenSettingError(f"descriptor {fd} is a socket that does not listen")
    finally:
        sock.detach()


class SocketFile:
    """The file of a Unix socket that was opened here, to be removed in the end, unless another server has replaced it.

    The inode tells that: no other file gets its number as long as the socket is open.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._own = self._identity()

    def remove(self) -> None:
        """Remove the file. A second time it does nothing."""
        if self._own is not None and self._identity() == self._own:
            self._path.unlink(missing_ok=True)
        self._own = None

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat(follow_symlinks=False)
        except OSError:
            return None
        return found.st_dev, found.st_ino


def address_of(listener: object) -> tuple[str, int] | str:
    """Host and port, or path, of a listener."""
    while isinstance(listener, trio.SSLListener):
        listener = listener.transport_listener
    return _name(listener.socket.getsockname()) if isinstance(listener, trio.SocketListener) else repr(listener)


def _name(address: Any) -> tuple[str, int] | str:
    # A name that begins with NUL is in Linux's abstract namespace; it is written with an @.
    return (address[0], address[1]) if isinstance(address, tuple) else os.fsdecode(address).replace("\0", "@")


def client_name(address: Any) -> tuple[str, int] | None:
    """Host and port of a client; None for one at a Unix socket."""
    return (_host(address[0]), address[1]) if isinstance(address, tuple) else None


def own_name(address: Any) -> tuple[str, int | None]:
    """The address that a client connected to: host and port, or a path and None."""
    return (_host(address[0]), address[1]) if isinstance(address, tuple) else (os.fsdecode(address), None)


def _host(address: str) -> str:
    """An address without the prefix that an IPv4 address has on a socket for both families (RFC 4291, 2.5.5.2)."""
    return address.removeprefix(_MAPPED) if "." in address else address


def url(address: tuple[str, int] | str, secure: bool) -> str:
    """The address as a browser takes it; a Unix socket as ``unix:PATH``."""
    if isinstance(address, str):
        return _UNIX_PREFIX + address
    host, port = address
    if ":" in host:
        host = f"[{host}]"
    return f"{'https' if secure else 'http'}://{host}:{port}"
