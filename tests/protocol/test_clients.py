"""What a client is counted under."""

from __future__ import annotations

import pytest

from triows.protocol.clients import client_network


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:1:2:3"),
        ("fe80::1%eth0", "fe80::2%eth1"),
        ("192.0.2.7", "::ffff:192.0.2.7"),
    ],
)
def test_addresses_of_one_client(address: str, other: str) -> None:
    assert client_network(address) == client_network(other) is not None


@pytest.mark.parametrize(
    ("address", "other"),
    [("2001:db8:0:1::1", "2001:db8:0:2::1"), ("192.0.2.7", "192.0.2.8"), ("192.0.2.7", "::192.0.2.7")],
)
def test_addresses_of_two_clients(address: str, other: str) -> None:
    assert client_network(address) != client_network(other)


@pytest.mark.parametrize("address", ["", "unix", "localhost", "1.2.3", "2001:db8::/32"])
def test_what_is_no_address(address: str) -> None:
    assert client_network(address) is None
