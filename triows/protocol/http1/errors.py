"""What is wrong with a request, as the status of its answer."""

from __future__ import annotations


class BadRequest(Exception):
    """The client's bytes are no request that may be served.

    :ivar status: the HTTP status to answer with; the connection is closed after it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
