"""The cookies of a test client, in a jar of the standard library's."""

from __future__ import annotations

from email.message import Message
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit
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


class _Policy(DefaultCookiePolicy):
    """The rules of RFC 6265, which are stricter and more lenient than the jar's own.

    A cookie without a Domain goes back to its host alone. One with a Domain goes to that host and those below it. A
    Secure cookie goes to https URLs, and, as browsers have it, to this machine.
    """

    def return_ok_secure(self, cookie: Cookie, request: Request) -> bool:
        return not cookie.secure or request.type == "https" or _is_loopback(_host(request))

    def set_ok_domain(self, cookie: Cookie, request: Request) -> bool:
        return not cookie.domain_specified or _matches(cookie.domain, _host(request))

    def return_ok_domain(self, cookie: Cookie, request: Request) -> bool:
        host = _host(request)
        if cookie.domain_specified:
            return _matches(cookie.domain, host)
        # The jar keeps an address of IPv6 in its brackets, and knows a host without a dot as one below local.
        return cookie.domain.removesuffix(".local").strip("[]") in (host, host.removesuffix(".local"))

    def domain_return_ok(self, domain: str, request: Request) -> bool:
        return True  # return_ok_domain() decides


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or its address."""
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")


def _host(request: Request) -> str:
    return urlsplit(request.full_url).hostname or ""


def _matches(domain: str, host: str) -> bool:
    """Whether a host is the domain of a cookie or below it (RFC 6265, 5.1.3); names without a dot have none below."""
    domain = domain.lstrip(".")
    return host == domain or ("." in domain and host.endswith(f".{domain}"))


def make_jar() -> CookieJar:
    """Return an empty jar."""
    return CookieJar(_Policy())


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
