"""Which pages may open a websocket (RFC 6454; RFC 6455, section 10.2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triows import Triows, WebSocketLimits
from triows.protocol.hosts import split_authority
from triows.protocol.origins import origin_allowed

# The same origin


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.com", "example.com"),
        ("https://example.com", "example.com"),  # a proxy has ended TLS
        ("https://example.com", "example.com:443"),
        ("https://example.com:443", "example.com"),
        ("http://example.com:80", "example.com"),
        ("http://EXAMPLE.com", "example.COM"),
        ("HTTPS://example.com", "example.com"),
        ("http://localhost:8000", "localhost:8000"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("https://[2001:DB8::1]", "[2001:db8:0::1]:443"),
        ("https://example.com.", "example.com"),
        ("https://example.com", "example.com."),
        ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("http://my_service:8000", "my_service:8000"),
        ("ws://example.com", "example.com"),  # of clients that are no browsers
        ("wss://example.com", "example.com"),
        ("wss://example.com", "example.com:443"),
        ("wss://example.com:443", "example.com"),
        ("ws://example.com:80", "example.com"),
        ("WS://localhost:8000", "LOCALHOST:8000"),
        ("wss://[::1]:8443", "[::1]:8443"),
    ],
)
def test_a_page_of_the_same_host_and_port_may_connect(origin: str, host: str) -> None:
    assert origin_allowed(origin, host, None)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "example.com"),
        ("http://example.com.evil.example", "example.com"),
        ("http://evil-example.com", "example.com"),
        ("http://sub.example.com", "example.com"),
        ("http://example.com", "sub.example.com"),
        ("http://example.com:81", "example.com"),
        ("http://example.com", "example.com:443"),
        ("https://example.com", "example.com:80"),
        ("https://example.com:8443", "example.com:443"),
        ("http://localhost:3000", "localhost:8000"),
        ("http://127.0.0.1", "localhost"),
        ("ws://evil.example", "example.com"),
        ("wss://sub.example.com", "example.com"),
        ("ws://example.com:443", "example.com"),
        ("wss://example.com", "example.com:80"),
        ("https://[::1]", "[::2]"),
        ("https://example.com..", "example.com"),
        ("https://\u212aiosk.example", "kiosk.example"),  # the Kelvin sign is a k in lower case
    ],
)
def test_a_page_of_another_host_or_port_may_not(origin: str, host: str) -> None:
    assert not origin_allowed(origin, host, None)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "example.com",
        "//example.com",
        "http:example.com",
        "http:/example.com",
        "http://",
        "https://example.com/",
        "https://example.com/path",
        "https://example.com?query",
        "https://example.com#fragment",
        "https://user@example.com",
        "https://user:password@example.com",
        "https://evil.example@example.com",
        "https://example.com:",
        "https://example.com:0",
        "https://example.com:0443",
        "https://example.com:65979",  # 443 in 16 bits
        "https://example.com:443:443",
        "https://example.com:+443",
        "https://example.com:\u0664\u0664\u0663",
        "https://example.com https://evil.example",
        "https://evil.example, https://example.com",
        " https://example.com",
        "https://.example.com",
        "https://example%2ecom",
        "https://exam\u017fle.com",
        "https://[::1",
        "https://[::1%25eth0]",
        "wss://example.com/",
        "wss://user@example.com",
        "wsss://example.com",
        "ftp://example.com",
        "chrome-extension://example.com",
        "file://",
        "javascript://example.com",
    ],
)
def test_what_is_no_origin_of_a_page_is_none_of_ours(origin: str) -> None:
    assert not origin_allowed(origin, "example.com", None)


@pytest.mark.parametrize("host", ["", "exam ple.com", "example.com:x", "user@example.com", "a,b", "\xe9.example"])
def test_what_is_no_host_has_no_pages(host: str) -> None:
    assert not origin_allowed(f"http://{host}", host, None)


LABELS = st.text("abz019-_", min_size=1, max_size=5)
HOSTS = st.one_of(
    st.lists(LABELS, min_size=1, max_size=4).map(".".join),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
JUNK = st.text(st.characters(max_codepoint=255), max_size=12)
PORTS = st.one_of(st.none(), st.sampled_from([80, 443, 8000]), st.integers(1, 65535))


def authority(host: str, port: int | None) -> str:
    return host if port is None else f"{host}:{port}"


@settings(deadline=None)
@given(st.sampled_from(["http", "https", "ws", "wss"]), HOSTS, PORTS, HOSTS, PORTS)
def test_only_the_same_host_and_port_pass(
    scheme: str, page: str, page_port: int | None, host: str, host_port: int | None
) -> None:
    default = 80 if scheme in ("http", "ws") else 443
    same = (page, page_port or default) == (host, host_port or default)
    origin = f"{scheme}://{authority(page, page_port)}"
    assert origin_allowed(origin, authority(host, host_port), None) is same
    assert origin_allowed(origin.upper(), authority(page, page_port), None)


@settings(deadline=None)
@given(JUNK, JUNK)
def test_what_is_put_around_a_host_makes_another_of_it(before: str, after: str) -> None:
    origin = f"https://{before}example.com{after}"
    parts = split_authority(f"{before}example.com{after}")
    assert origin_allowed(origin, "example.com", None) is (parts in [("example.com", None), ("example.com", 443)])
    if origin_allowed(origin, "example.com", ("https://*.example.com",)):
        assert parts is not None
        assert parts[0].endswith(".example.com")


# Origins that are listed


def allowed(*origins: str) -> tuple[str, ...] | None:
    return WebSocketLimits(origins=origins).origins


@pytest.mark.parametrize(
    ("listed", "origin"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com:443", "https://example.com"),
        ("HTTP://Example.com:80", "http://example.COM."),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://[::1]:8443", "https://[0:0::1]:8443"),
        ("https://*.example.com", "https://a.example.com"),
        ("https://*.example.com", "https://a.b.example.com:443"),
        ("https://*.example.com:8443", "https://a.example.com:8443"),
        ("https://*.localhost", "https://app.localhost"),
        ("wss://example.com", "wss://example.com:443"),
        ("wss://*.example.com", "wss://a.example.com"),
        ("null", "null"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("file://", "file://"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("*", "https://evil.example"),
        ("*", "anything"),
    ],
)
def test_a_listed_origin_may_connect(listed: str, origin: str) -> None:
    assert origin_allowed(origin, "host.example", allowed("https://other.example", listed))


@pytest.mark.parametrize(
    ("listed", "origin"),
    [
        ("https://example.com", "http://example.com"),
        ("https://example.com", "wss://example.com"),
        ("wss://example.com", "https://example.com"),
        ("https://example.com", "https://example.com:8443"),
        ("https://example.com", "https://a.example.com"),
        ("https://example.com", "https://example.com/"),
        ("https://*.example.com", "https://example.com"),
        ("https://*.example.com", "https://evilexample.com"),
        ("https://*.example.com", "https://a.example.com.evil.org"),
        ("https://*.example.com", "https://evil.org/.example.com"),
        ("https://*.example.com", "https://evil.org?.example.com"),
        ("https://*.example.com", "https://evil.org#.example.com"),
        ("https://*.example.com", "https://evil.org:1@a.example.com"),
        ("https://*.example.com", "https://.example.com"),
        ("https://*.example.com", "https://*.example.com"),
        ("https://*.example.com", "https://a..example.com"),
        ("https://*.example.com", "http://a.example.com"),
        ("https://*.example.com", "https://a.example.com:8443"),
        ("https://*.example.com:8443", "https://a.example.com"),
        ("chrome-extension://abc", "chrome-extension://abcd"),
        ("https://example.com", "null"),
        ("https://example.com", ""),
        ("https://example.com", "*"),
    ],
)
def test_any_other_may_not(listed: str, origin: str) -> None:
    assert not origin_allowed(origin, "host.example", allowed(listed))


def test_a_list_is_the_whole_list_without_the_hosts_own_origin() -> None:
    assert not origin_allowed("https://example.com", "example.com", allowed("https://friend.example"))
    assert not origin_allowed("https://example.com", "example.com", ())


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "example.com",
        "*.example.com",
        "https://",
        "https://*",
        "https://*.",
        "https://*example.com",
        "https://a.*.example.com",
        "https://*.*.example.com",
        "https://example.*",
        "https://example.com/",
        "https://example.com/*",
        "https://example.com:*",
        "https://user@example.com",
        "https://example.com:99999",
        "https://b\xfccher.example",
        "https://*.[::1]",
        "chrome-extension://*",
        "chrome-extension://*.abc",
        "https:// example.com",
    ],
)
def test_what_is_no_origin_cannot_be_listed(origin: str) -> None:
    with pytest.raises(ValueError, match="an origin is a scheme and a host without a path") as caught:
        WebSocketLimits(origins=("https://example.com", origin))
    assert f"origins holds {origin!r}" in str(caught.value)


@pytest.mark.parametrize("value", [1, b"https://example.com", [b"https://example.com"], [None]])
def test_a_list_holds_strings(value: Any) -> None:
    with pytest.raises(TypeError, match="origins"):
        Triows(__name__, origins=value)


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("*", ("*",)),
        ("https://example.com", ("https://example.com",)),
        ("https://example.com:443, https://*.Example.com", ("https://example.com", "https://*.example.com")),
        ('["https://example.com"]', ("https://example.com",)),
    ],
)
def test_origins_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, origins: Any) -> None:
    monkeypatch.setenv("TRIOWS_ORIGINS", text)
    app = Triows(__name__)
    app.config.from_prefixed_env()
    assert app.config["ORIGINS"] == app.websocket_limits().origins == origins
