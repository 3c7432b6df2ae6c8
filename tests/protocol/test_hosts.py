"""Hosts: which are trusted, and what is no host."""

from __future__ import annotations

from typing import Any

import pytest

from triows import Triows
from triows.connection.limits import ServerLimits
from triows.protocol.hosts import host_trusted


@pytest.mark.parametrize(
    ("trusted", "host"),
    [
        ("example.com", "example.com"),
        ("example.com", "Example.COM:8000"),
        ("Example.com:9000", "example.com"),
        ("example.com", "example.com."),
        ("example.com.", "example.com"),
        (".example.com", "example.com"),
        (".example.com", "a.example.com"),
        (".example.com", "a.b.example.com:80"),
        ("*.example.com", "a.b.example.com"),
        ("127.0.0.1", "127.0.0.1:8000"),
        ("[::1]", "[0:0::1]:8000"),
        ("my_service", "my_service:8000"),
    ],
)
def test_a_trusted_host_is_let_in_at_any_port(trusted: str, host: str) -> None:
    hosts = ServerLimits(trusted_hosts=("other.example", trusted)).trusted_hosts
    assert hosts is not None
    assert host_trusted(host, hosts)
    assert ServerLimits(trusted_hosts=hosts).trusted_hosts == hosts


@pytest.mark.parametrize(
    ("trusted", "host"),
    [
        ("example.com", "a.example.com"),
        ("example.com", "evilexample.com"),
        ("example.com", "example.com.evil.org"),
        ("example.com", "example.com@evil.org"),
        ("example.com", "evil.org#example.com"),
        ("example.com", "example.com:99999"),
        ("example.com", "example.com:80:80"),
        ("example.com", ""),
        (".example.com", "evilexample.com"),
        (".example.com", ".example.com"),
        ("*.example.com", "example.com"),
        ("*.example.com", "evilexample.com"),
        ("*.example.com", "evil.org/.example.com"),
        ("[::1]", "[::2]"),
    ],
)
def test_any_other_is_not(trusted: str, host: str) -> None:
    hosts = ServerLimits(trusted_hosts=(trusted,)).trusted_hosts
    assert hosts is not None
    assert not host_trusted(host, hosts)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("example.com", ("example.com",)),
        ("Example.com, .example.org,*.example.net:80", ("example.com", ".example.org", "*.example.net")),
        ('["example.com"]', ("example.com",)),
        ("null", None),
    ],
)
def test_hosts_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, hosts: Any) -> None:
    monkeypatch.setenv("TRIOWS_TRUSTED_HOSTS", text)
    app = Triows(__name__)
    app.config.from_prefixed_env()
    assert app.config["TRUSTED_HOSTS"] == app.limits.trusted_hosts == hosts


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*",
        ".",
        "*.",
        "*example.com",
        "a.*.example.com",
        "https://example.com",
        "example.com/",
        "::1",
        ".[::1]",
        "b\xfccher.example",
        "user@example.com",
    ],
)
def test_what_is_no_host_cannot_be_trusted(host: str) -> None:
    with pytest.raises(ValueError, match="a trusted host is a name without a scheme") as caught:
        Triows(__name__, trusted_hosts=["example.com", host])
    assert f"trusted_hosts holds {host!r}" in str(caught.value)


def test_an_empty_list_is_refused_since_it_would_let_nobody_in() -> None:
    with pytest.raises(ValueError, match="trusted_hosts is empty"):
        Triows(__name__, trusted_hosts=[])


@pytest.mark.parametrize("value", [1, True, b"example.com", [b"example.com"], [None]])
def test_hosts_are_strings(value: Any) -> None:
    with pytest.raises(TypeError, match="trusted_hosts"):
        Triows(__name__, trusted_hosts=value)
