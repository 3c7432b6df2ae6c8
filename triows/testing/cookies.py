"""The cookies of a test client, in a jar of the standard library's."""

from __future__ import annotations

from email.message import Message
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.request import Request

from werkzeug.datastructures import Headers


class _Answer:
    """The part of a response that a cookie jar reads."""

    def __init__(self, headers: Headers) -> None:
        self._message = Message()
        for value in headers.getlist("set-cookie"):
            self._message["Set-Cookie"] = value

    def info(self) -> Message:
        return self._message


def make_jar() -> CookieJar:
    """Return an empty jar.

    The jar sends ``Secure`` cookies to http URLs too, as browsers do for localhost.
    """
    return CookieJar(DefaultCookiePolicy(secure_protocols=("https", "http")))


def add_cookies(jar: CookieJar | None, headers: Headers, url: str) -> None:
    """Add the jar's cookies for a URL to the headers of a request, in one Cookie header (RFC 6265, section 5.4)."""
    if jar is None:
        return
    request = Request(url)
    jar.add_cookie_header(request)
    cookies = request.get_header("Cookie")
    if cookies:
        headers["Cookie"] = "; ".join([*headers.getlist("Cookie"), cookies])


def keep_cookies(jar: CookieJar | None, headers: Headers, url: str) -> None:
    """Put the cookies that a response sets into the jar."""
    if jar is not None:
        jar.extract_cookies(_Answer(headers), Request(url))  # type: ignore[arg-type]
