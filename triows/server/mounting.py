"""An app that is mounted under a path, below which all its URLs are."""

from __future__ import annotations

from collections.abc import Awaitable
from urllib.parse import quote

from ..connection.base import Connection
from .service import Handle


def mounted(handle: Handle, root_path: str) -> Handle:
    """Return what handles connections under ``root_path``.

    It is the path that ``root_path`` of an ASGI server is: ``url_for()`` puts it before every URL, and the app's rules
    do not see it. A proxy may take it away from the targets of requests, or leave it there.

    :param root_path: a decoded path; empty for none.
    :raises ValueError: if it is no path.
    """
    root = root_path.rstrip("/")
    if root_path and not root_path.startswith("/"):
        raise ValueError(f"root_path is {root_path!r}; it begins with a slash, like '/chat'")
    if not root:
        return handle
    prefix = quote(root).encode("ascii")

    def handle_mounted(connection: Connection) -> Awaitable[None]:
        head = connection.head
        head.root_path = root
        if not head.is_below_root and head.raw_path.startswith(b"/"):
            head.raw_path = prefix + head.raw_path
        return handle(connection)

    return handle_mounted
