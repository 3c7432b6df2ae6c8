"""What proxies say of their clients (RFC 7239, and the X-Forwarded- fields), and from which of them it is believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triows import Triows
from triows.connection.limits import ServerLimits
from triows.protocol.forwarded import ForwardedError, forwarded
from triows.protocol.head import Head

PROXY = "10.0.0.1"
TRUSTED = ("10.0.0.0/8", "2001:db8::/32")


def head(*fields: str, client: tuple[str, int] | None = (PROXY, 40000), **options: Any) -> Head:
    """A head that came from ``client`` with such header lines."""
    pairs = [field.partition(": ") for field in fields]
    headers = [(b"host", b"inner.example:8000")] if not any(name == "host" for name, _, _ in pairs) else []
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, _, value in pairs]
    defaults: dict[str, Any] = {"raw_path": b"/", "scheme": "http", "server": ("10.0.0.9", 8000)}
    return Head("GET", query_string=b"", headers=headers, http_version="1.1", client=client, **{**defaults, **options})


def client_of(*fields: str, **options: Any) -> tuple[str, int] | None:
    return forwarded(head(*fields, **options), TRUSTED).client


def refusal(*fields: str, **options: Any) -> str:
    with pytest.raises(ForwardedError) as caught:
        forwarded(head(*fields, **options), TRUSTED)
    return str(caught.value)


# Who is believed


# The last address but one is a word, as an ASGI server may have it.
@pytest.mark.parametrize(
    "client", [("192.0.2.1", 1), ("11.0.0.1", 1), ("2001:db9::1", 1), ("unix", 0), ("testclient", 50000), None]
)
def test_others_are_not_believed(client: tuple[str, int] | None) -> None:
    for field in ("X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Forwarded-Host: b\x00d"):
        one = head(field, client=client)
        assert forwarded(one, TRUSTED) is one


@pytest.mark.parametrize("client", ["10.0.0.1", "10.255.255.255", "::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1%eth0"])
def test_proxies_are_known_by_address_and_network(client: str) -> None:
    assert client_of("X-Forwarded-For: 192.0.2.1", client=(client, 1)) == ("192.0.2.1", 0)


def test_a_request_of_a_proxys_own_stays_as_it_is() -> None:
    one = head()
    assert forwarded(one, TRUSTED) is one


def test_a_proxy_at_a_unix_socket_is_trusted_by_that_word() -> None:
    one = head("X-Forwarded-For: 192.0.2.1", client=None, server=("/run/app.sock", None))
    assert forwarded(one, TRUSTED) is one
    assert forwarded(one, ("unix",)).client == ("192.0.2.1", 0)
    under_asgi = head("X-Forwarded-For: 192.0.2.1", client=None, server=None, asgi_scope={})
    assert forwarded(under_asgi, ("unix",)).client == ("192.0.2.1", 0)


def test_a_stream_of_another_kind_is_no_unix_socket() -> None:
    one = head("X-Forwarded-For: 192.0.2.1", client=None, server=None)
    assert forwarded(one, ("unix",)) is one


# Which of a chain is the client


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("192.0.2.1", ("192.0.2.1", 0)),
        ("192.0.2.1:5678", ("192.0.2.1", 5678)),
        ("6.6.6.6, 192.0.2.1", ("192.0.2.1", 0)),
        ("6.6.6.6, 10.1.1.1, 192.0.2.1, 10.2.2.2, 10.3.3.3", ("192.0.2.1", 0)),
        ("192.0.2.1, 10.2.2.2,10.3.3.3", ("192.0.2.1", 0)),
        ("10.9.9.9, 10.2.2.2", ("10.9.9.9", 0)),
        ("<garbage>, 192.0.2.1", ("192.0.2.1", 0)),
        (", 192.0.2.1,, ", ("192.0.2.1", 0)),
        ("2001:db8::2, 2a00::1, [2001:db8::3]:99", ("2a00::1", 0)),
        ("[2a00:0::1]:5678", ("2a00::1", 5678)),
        ("::ffff:192.0.2.1", ("192.0.2.1", 0)),
        ("[::ffff:192.0.2.1]:5678", ("192.0.2.1", 5678)),
        ("192.0.2.1, unknown", None),
        ("unknown", None),
        ("_secret:_port", None),
    ],
)
def test_the_client_is_the_rightmost_that_is_no_trusted_proxy(chain: str, client: tuple[str, int] | None) -> None:
    assert client_of(f"X-Forwarded-For: {chain}") == client


def test_fields_that_come_twice_are_one_chain() -> None:
    assert client_of("X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 192.0.2.1, 10.2.2.2") == ("192.0.2.1", 0)
    assert client_of("Forwarded: for=6.6.6.6", "Forwarded: for=192.0.2.1, for=10.2.2.2") == ("192.0.2.1", 0)


def test_a_hop_over_a_unix_socket_is_passed_only_if_it_is_trusted() -> None:
    one = head("X-Forwarded-For: 192.0.2.1, unix:")
    assert forwarded(one, TRUSTED).client is None
    assert forwarded(one, (*TRUSTED, "unix")).client == ("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("elements", "client"),
    [
        ("for=192.0.2.1", ("192.0.2.1", 0)),
        ("For=192.0.2.1;By=10.0.0.1", ("192.0.2.1", 0)),
        ('for="192.0.2.1:5678"', ("192.0.2.1", 5678)),
        ("for=192.0.2.1:5678", ("192.0.2.1", 5678)),
        ('for="[2a00::1]"', ("2a00::1", 0)),
        ('for="[2A00:0::1]:5678"', ("2a00::1", 5678)),
        ('for="[2a00::1]:_hidden"', ("2a00::1", 0)),
        ("for=6.6.6.6, for=192.0.2.1", ("192.0.2.1", 0)),
        ('for="6.6.6.6, for=192.0.2.1', ("192.0.2.1", 0)),
        ("for=\x9b\x00, for=192.0.2.1 ; proto=http, for=10.1.1.1", ("192.0.2.1", 0)),
        ("for=192.0.2.1, for=unknown", None),
        ("for=_hidden", None),
        ('for="_hidden:_port"', None),
        ("for=192.0.2.1, proto=http", (PROXY, 40000)),
        (";;by=10.0.0.1;", (PROXY, 40000)),
    ],
)
def test_the_elements_of_forwarded_are_read_from_the_right(elements: str, client: tuple[str, int] | None) -> None:
    assert client_of(f"Forwarded: {elements}") == client


ADDRESSES = st.ip_addresses().map(lambda ip: f"[{ip}]" if ip.version == 6 else str(ip))
PUBLIC = st.sampled_from(["192.0.2.1", "[2a00::1]"])
PROXIES = st.lists(st.sampled_from(["10.1.1.1", "10.2.2.2", "[2001:db8::7]"]), max_size=3)
JUNK = st.text(st.characters(max_codepoint=255), max_size=30)


@settings(deadline=None)
@given(JUNK, PUBLIC, PROXIES, st.sampled_from(["http", "https"]))
def test_nothing_that_a_client_puts_in_front_changes_what_is_read(
    junk: str, client: str, proxies: list[str], proto: str
) -> None:
    chain = ", ".join([junk, client, *proxies])
    elements = ", ".join([junk, f'for="{client}";proto={proto}', *(f'for="{proxy}"' for proxy in proxies)])
    expected = (client.strip("[]"), 0)
    assert client_of(f"X-Forwarded-For: {chain}") == expected
    found = forwarded(head(f"Forwarded: {elements}"), TRUSTED)
    assert (found.client, found.scheme) == (expected, proto)


@settings(deadline=None)
@given(
    st.lists(JUNK, max_size=4),
    st.sampled_from(["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix"]),
)
def test_whatever_a_proxy_passes_on_is_a_head_or_a_fault(values: list[str], field: str) -> None:
    try:
        found = forwarded(head(*(f"{field}: {value}" for value in values)), TRUSTED)
    except ForwardedError:
        return
    assert found.client is None or found.client[0]
    assert found.host.isascii()
    assert found.host.isprintable()
    assert "//" not in found.root_path


@settings(deadline=None)
@given(
    ADDRESSES,
    st.integers(0, 65535),
    st.sampled_from(["http", "https"]),
    st.lists(st.text("ab0-", min_size=1, max_size=5), min_size=1, max_size=3).map(".".join),
)
def test_what_a_proxy_writes_is_read_again(address: str, port: int, proto: str, host: str) -> None:
    element = f'by="{PROXY}"; for="{address}:{port}";host={host};proto={proto}'
    found = forwarded(head(f"Forwarded: {element}"), ("10.0.0.1",))
    if not address.lower().startswith("[::ffff:"):
        assert found.client == (address.strip("[]"), port)
    assert (found.scheme, found.host) == (proto, host)


# What else they say


@pytest.mark.parametrize(
    ("fields", "scheme", "host"),
    [
        (["X-Forwarded-Proto: https"], "https", "inner.example:8000"),
        (["X-Forwarded-Proto: HTTPS"], "https", "inner.example:8000"),
        (["X-Forwarded-Proto: wss"], "https", "inner.example:8000"),
        (["X-Forwarded-Proto: http, https"], "https", "inner.example:8000"),
        (["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"], "http", "inner.example:8000"),
        (["X-Forwarded-Host: Example.com"], "http", "example.com"),
        (["X-Forwarded-Host: evil.example, example.com:8080"], "http", "example.com:8080"),
        (["X-Forwarded-Host: [2A00::1]:8080"], "http", "[2a00::1]:8080"),
        (["X-Forwarded-Host: example.com", "X-Forwarded-Port: 8080"], "http", "example.com:8080"),
        (["X-Forwarded-Host: example.com:81", "X-Forwarded-Port: 8080"], "http", "example.com:81"),
        (["X-Forwarded-Host: example.com", "X-Forwarded-Port: 80"], "http", "example.com"),
        (["X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "host: example.com"], "https", "example.com"),
        (["X-Forwarded-Port: 8443", "host: example.com"], "http", "example.com:8443"),
        (["X-Forwarded-Host: ", "X-Forwarded-Proto: "], "http", "inner.example:8000"),
        (["Forwarded: proto=https;host=example.com"], "https", "example.com"),
        (['Forwarded: for=10.1.1.1;host="example.com:8080", for=10.2.2.2;proto=https'], "https", "example.com:8080"),
        (
            ["Forwarded: for=6.6.6.6;host=evil.example, for=192.0.2.1;host=a.example, for=10.1.1.1;host=b.example"],
            "http",
            "a.example",
        ),
    ],
)
def test_scheme_and_host_are_those_that_the_client_used(fields: list[str], scheme: str, host: str) -> None:
    found = forwarded(head(*fields), TRUSTED)
    assert (found.scheme, found.host) == (scheme, host)
    assert [name for name, _ in found.headers].count(b"host") == 1
    as_websocket = forwarded(head(*fields, scheme="ws"), TRUSTED)
    assert as_websocket.scheme == scheme.replace("http", "ws")


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_a_proxy_that_speaks_tls_may_have_got_plain_http(scheme: str) -> None:
    assert forwarded(head("X-Forwarded-Proto: http", scheme=scheme), TRUSTED).scheme == scheme[:-1]


@pytest.mark.parametrize("prefix", ["/app", "/app/"])
def test_a_prefix_that_the_proxy_took_off_is_put_back(prefix: str) -> None:
    found = forwarded(head(f"X-Forwarded-Prefix: {prefix}", raw_path=b"/app/x"), TRUSTED)
    assert (found.root_path, found.raw_path, found.path) == ("/app", b"/app/app/x", "/app/x")


def test_a_prefix_stands_before_the_root_path_of_the_server() -> None:
    found = forwarded(head("X-Forwarded-Prefix: /a/b", raw_path=b"/mounted/x", root_path="/mounted"), TRUSTED)
    assert (found.root_path, found.path) == ("/a/b/mounted", "/x")


def test_a_target_that_is_no_path_gets_no_prefix() -> None:
    assert forwarded(head("X-Forwarded-Prefix: /a", raw_path=b"*"), TRUSTED).raw_path == b"*"


def test_the_head_as_it_came_is_kept() -> None:
    one = head("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: example.com")
    assert forwarded(one, TRUSTED).received is one


# What makes no sense


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("X-Forwarded-For", "localhost"),
        ("X-Forwarded-For", "192.0.2.256"),
        ("X-Forwarded-For", "192.0.2.1:65536"),
        ("X-Forwarded-For", "192.0.2.1:"),
        ("X-Forwarded-For", "192.0.2.010"),
        ("X-Forwarded-For", "[192.0.2.1]"),
        ("X-Forwarded-For", "[::1"),
        ("X-Forwarded-For", "2a00::1%<script>"),
        ("X-Forwarded-For", "6.6.6.6, '"),
        ("X-Forwarded-For", "192.0.2.1 10.0.0.1"),
        ("X-Forwarded-For", "192.0.2.1\x85"),
        ("X-Forwarded-For", "6.6.6.6,\xa0192.0.2.1"),
        ("X-Forwarded-Proto", "\x1fhttps"),
        ("X-Forwarded-Proto", "ftp"),
        ("X-Forwarded-Proto", "https://"),
        ("X-Forwarded-Host", "exam ple.com"),
        ("X-Forwarded-Host", "example.com/path"),
        ("X-Forwarded-Host", "user@example.com"),
        ("X-Forwarded-Host", "example.com:0"),
        ("X-Forwarded-Host", "example.com:65536"),
        ("X-Forwarded-Host", "\xe9.example"),
        ("X-Forwarded-Port", "0"),
        ("X-Forwarded-Port", "65536"),
        ("X-Forwarded-Port", "-1"),
        ("X-Forwarded-Port", "http"),
        ("X-Forwarded-Prefix", "app"),
        ("X-Forwarded-Prefix", "//evil.example"),
        ("X-Forwarded-Prefix", "/a//b"),
        ("X-Forwarded-Prefix", "/a/../b"),
        ("X-Forwarded-Prefix", "/a/."),
        ("X-Forwarded-Prefix", "https://evil.example"),
        ("X-Forwarded-Prefix", "/a\\b"),
        ("X-Forwarded-Prefix", '/"><script>'),
        ("X-Forwarded-Prefix", "/%2f%2fevil.example"),
        ("Forwarded", "192.0.2.1"),
        ("Forwarded", "for="),
        ("Forwarded", 'for=""'),
        ("Forwarded", 'for="192.0.2.1'),
        ("Forwarded", 'for=192.0.2.1"'),
        ("Forwarded", 'for="192.0.2.\\1"'),
        ("Forwarded", "for=192.0.2.1;for=6.6.6.6"),
        ("Forwarded", "for=192.0.2.1;proto=gopher"),
        ("Forwarded", "for=192.0.2.1;host=a/b"),
        ("Forwarded", "for=2a00::1:80:"),
        ("Forwarded", "for = 192.0.2.1"),
        ("Forwarded", "for=192.0.2.1 proto=https"),
        ("Forwarded", "for=192.0.2.1;\x85;proto=https"),
    ],
)
def test_what_is_malformed_is_a_fault_that_names_the_field(field: str, value: str) -> None:
    assert field in refusal(f"{field}: {value}")


@pytest.mark.parametrize(
    ("forwarded_field", "fields"),
    [
        ("for=6.6.6.6", ["X-Forwarded-For: 192.0.2.1"]),
        ("for=192.0.2.1;proto=https", ["X-Forwarded-For: 192.0.2.1"]),
        ("for=192.0.2.1;host=evil.example", ["X-Forwarded-For: 192.0.2.1"]),
        ("for=192.0.2.1", ["X-Forwarded-Host: evil.example"]),
        ("for=192.0.2.1", ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"]),
    ],
)
def test_the_two_kinds_of_fields_must_say_the_same(forwarded_field: str, fields: list[str]) -> None:
    assert "do not say the same" in refusal(f"Forwarded: {forwarded_field}", *fields)


def test_the_two_kinds_of_fields_may_say_the_same() -> None:
    found = forwarded(
        head(
            "Forwarded: for=192.0.2.1;proto=https;host=Example.com:443",
            "X-Forwarded-For: 192.0.2.1:5678",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: example.com",
            "X-Forwarded-Prefix: /app",
        ),
        TRUSTED,
    )
    assert (found.client, found.scheme, found.root_path) == (("192.0.2.1", 5678), "https", "/app")


def test_a_field_that_is_empty_says_nothing() -> None:
    assert client_of("Forwarded: for=192.0.2.1;proto=https", "X-Forwarded-For: ") == ("192.0.2.1", 0)


# The setting


@pytest.mark.parametrize(
    ("value", "proxies"),
    [
        (None, ()),
        ([], ()),
        ("127.0.0.1", ("127.0.0.1",)),
        ("127.0.0.1, 10.0.0.0/8,::1,unix", ("127.0.0.1", "10.0.0.0/8", "::1", "unix")),
        (("2001:DB8::0", "fd00::/8", "Unix"), ("2001:db8::", "fd00::/8", "unix")),
        (["::ffff:10.0.0.1"], ("10.0.0.1",)),
        (["::ffff:10.0.0.0/104", "::/0"], ("10.0.0.0/8", "::/0")),
    ],
)
def test_proxies_are_addresses_networks_and_unix(value: Any, proxies: tuple[str, ...]) -> None:
    assert Triows(__name__, trusted_proxies=value).limits.trusted_proxies == proxies
    assert ServerLimits(trusted_proxies=proxies).trusted_proxies == proxies


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("proxy.example", "'proxy.example'; a proxy is an address"),
        ("*", "'\\*'; a proxy is an address"),
        ("", "''; a proxy is an address"),
        ("127.0.0.1:80", "a proxy is an address"),
        ("10.0.0.0/33", "a proxy is an address"),
        ("fe80::1%eth0", "a proxy is an address"),
        ("10.0.0.1/8", "'10.0.0.1/8'; as a network it is 10.0.0.0/8"),
    ],
)
def test_what_is_none_of_these_is_refused(value: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"trusted_proxies holds .*{words}"):
        Triows(__name__, trusted_proxies=[value])


@pytest.mark.parametrize("value", [True, 1, [b"127.0.0.1"], [1]])
def test_proxies_are_strings(value: Any) -> None:
    with pytest.raises(TypeError, match="trusted_proxies"):
        Triows(__name__, trusted_proxies=value)


@pytest.mark.parametrize("text", ["127.0.0.1,unix", '["127.0.0.1", "unix"]'])
def test_proxies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TRIOWS_TRUSTED_PROXIES", text)
    app = Triows(__name__)
    app.config.from_prefixed_env()
    assert app.limits.trusted_proxies == ("127.0.0.1", "unix")
