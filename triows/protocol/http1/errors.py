"""A request that cannot be served, and the status to answer it with."""

from __future__ import annotations


class BadRequest(Exception):
    """A request is malformed, over a limit, or asks for something that is not spoken here.

    :ivar status: the HTTP status to answer with; the connection is closed after it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
