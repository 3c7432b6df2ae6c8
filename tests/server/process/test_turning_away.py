"""Clients that wait for an app that has ended."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from triows.server.process.turning_away import turn_away


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock


def read(client: socket.socket) -> bytes:
    found = b""
    while data := client.recv(4096):
        found += data
    return found


def test_clients_that_wait_are_answered(listening: socket.socket) -> None:
    clients = [socket.create_connection(listening.getsockname()) for _ in range(3)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    turn_away([listening.fileno()])
    for client in clients:
        with client:
            answer = read(client)
            assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"\r\n\r\nThe app has ended, and starts again when it is mended. " in answer
    with pytest.raises(BlockingIOError):
        listening.accept()  # it is open, and nobody waits any more


def test_a_client_that_has_said_nothing_is_answered_too(listening: socket.socket) -> None:
    with socket.create_connection(listening.getsockname()) as client:
        turn_away([listening.fileno()])
        assert read(client).startswith(b"HTTP/1.1 503 ")


def test_a_client_that_speaks_tls_is_disconnected(listening: socket.socket) -> None:
    with socket.create_connection(listening.getsockname()) as client:
        client.sendall(b"\x16\x03\x01\x00\x01\x00")
        turn_away([listening.fileno()])
        assert read(client) == b""


def test_where_nobody_waits_nothing_happens(listening: socket.socket) -> None:
    turn_away([listening.fileno(), listening.fileno()])
