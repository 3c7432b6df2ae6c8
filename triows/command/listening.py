"""What keeps a server from listening, or from speaking TLS, in words for whoever named the address or the files."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from ..errors import ListenError
from ..server import listeners
from ..server.certificates import server_context
from .errors import CommandError

# Not by the exception's cause: Trio's nurseries do not all keep it.
_NO_SUCH_HOST = frozenset(value for name, value in vars(socket).items() if name.startswith("EAI_"))
_HOST_AND_PORT = re.compile(r"(?:\[(.+)\]|([^:]+)):(\d{1,5})")


@contextmanager
def listening_failures(host: str, port: int) -> Iterator[None]:
    """Make of an error of listening one for the user."""
    try:
        yield
    except (ListenError, listeners.ListenSettingError) as error:
        raise CommandError(_listening_failure(error, host, port)) from error


def _listening_failure(error: ListenError | listeners.ListenSettingError, host: str, port: int) -> str:
    if not isinstance(error, ListenError):
        return f"cannot listen: {error}"
    path = listeners.unix_path(host)
    if path is not None:
        return f"cannot listen on {host}: {_file_failure(error, path)}"
    return f"cannot listen on {host}:{port}: {_address_failure(error, host)}"


def _file_failure(error: ListenError, path: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there" if Path(path).is_socket() else "there is a file that is no socket"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "there is no such directory"
    return error.strerror or str(error)


def _address_failure(error: ListenError, host: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use by another program (choose another with --port)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permission denied"
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return "this machine has no such address"
    if error.errno in _NO_SUCH_HOST:
        with_port = _HOST_AND_PORT.fullmatch(host)
        tip = "" if with_port is None else f"; write --host {with_port[1] or with_port[2]} --port {with_port[3]}"
        return f"there is no such host{tip}"
    return error.strerror or str(error)


def load_certificate(certfile: str | None, keyfile: str | None, ca_certs: str | None = None) -> ssl.SSLContext | None:
    """Return the settings for TLS, None without a certificate; see :func:`.server_context`.

    :raises CommandError: if the files cannot be used.
    """
    if certfile is None:
        for option, value in (("--keyfile", keyfile), ("--ca-certs", ca_certs)):
            if value is not None:
                raise CommandError(f"{option} needs --certfile")
        return None
    for path in filter(None, (certfile, keyfile, ca_certs)):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise CommandError(f"cannot read {path}: {error.strerror}") from error
    try:
        context = server_context(certfile, keyfile, password=_refuse_password)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        files = f"{certfile} is" if keyfile is None else f"{certfile} and {keyfile} are"
        raise CommandError(f"{files} no certificate with its key (PEM): {reason}") from error
    if ca_certs is None:
        return context
    try:
        return server_context(certfile, keyfile, ca_certs, password=_refuse_password)
    except ssl.SSLError as error:
        raise CommandError(f"{ca_certs} has no certificates of authorities (PEM): {error.reason or error}") from error


def _refuse_password() -> NoReturn:
    raise ValueError("the key is encrypted")
