"""systemd's socket activation and notifications: sd_listen_fds(3) and sd_notify(3).

Without systemd's variables in the environment both do nothing.
"""

from __future__ import annotations

import os
import socket

from ...tasks.error_log import error_log as logger
from ..listeners import ListenSettingError

_FIRST_DESCRIPTOR = 3


def take_descriptors() -> list[int]:
    """The descriptors of the listening sockets that systemd passed to this process.

    Their variables are removed from the environment, so that no child process takes the sockets for its own.

    :raises ListenSettingError: if LISTEN_FDS is no number.
    """
    pid, count, _ = (os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()):
        return []  # there are none, or they are for the process that started this one
    if not (count.isascii() and count.isdigit()):
        raise ListenSettingError(f"LISTEN_FDS is {count!r}; it must be how many sockets were passed")
    return list(range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)))


def notify(*states: str) -> None:
    """Notify systemd, if it wants that. A failure is logged, and is no reason not to serve."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            # A name with an @ is in Linux's abstract namespace.
            sock.sendto("\n".join(states).encode(), address.replace("@", "\0", 1))
    except OSError as error:
        logger.warning("systemd cannot be told %s: %s", " ".join(states), error.strerror or error)
