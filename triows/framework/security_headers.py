"""Security headers: what tells browsers to be careful with the app's pages."""

from __future__ import annotations

from ..web.context import current_context
from ..web.headers import ResponseHeaders, encode_headers
from ..web.response import Response

_SECURE = ("https", "wss")


class SecurityHeaders:
    """Adds headers to responses that do not have them.

    :param headers: by their names; None leaves one out.
    :param hsts: ``Strict-Transport-Security``, for responses over TLS alone (RFC 6797, section 7.2).
    """

    def __init__(self, headers: dict[str, str | None], hsts: int | str | None) -> None:
        if isinstance(hsts, int):
            if isinstance(hsts, bool) or hsts < 0:
                raise ValueError(f"hsts is {hsts!r}; it must be a number of seconds, or the text of the header")
            hsts = f"max-age={hsts}"
        self._headers: dict[str, str] = {name: value for name, value in headers.items() if value is not None}
        self._hsts = hsts
        for name, value in {**self._headers, "Strict-Transport-Security": hsts or ""}.items():
            if not isinstance(value, str):
                raise TypeError(f"{name} is {value!r:.100}; it must be text, or None to leave it out")
            encode_headers(ResponseHeaders([(name, value)]))

    async def add(self, response: Response | None) -> Response | None:
        """The after hook."""
        if response is not None:
            headers = response.headers
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            context = current_context()
            subject = None if context is None else context.subject
            if self._hsts is not None and subject is not None and subject.scheme in _SECURE:
                headers.setdefault("Strict-Transport-Security", self._hsts)
        return response
