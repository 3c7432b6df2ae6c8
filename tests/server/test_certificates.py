"""TLS from files: a server with a certificate, and clients that need one too."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio
import trustme

from triows import Triows
from triows.server.certificates import server_context

from ..support.commands import certificate

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def get(port: int, context: ssl.SSLContext) -> bytes:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True) as secure:
        await secure.send_all(GET)
        return bytes(await secure.receive_some())


async def test_a_client_needs_a_certificate_of_the_authorities(tmp_path: Path) -> None:
    certfile, keyfile, authority = certificate(tmp_path)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    app = Triows("secure")
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        context = server_context(certfile, keyfile, str(tmp_path / "ca.pem"))
        server = await nursery.start(lambda **start: app.serve("127.0.0.1", 0, ssl_context=context, **start))
        client = ssl.create_default_context()
        authority.configure_trust(client)
        with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
            await get(server.port, client)
        authority.issue_cert("client").configure_cert(client)
        assert (await get(server.port, client)).startswith(b"HTTP/1.1 404 ")
        stranger = ssl.create_default_context()
        authority.configure_trust(stranger)
        trustme.CA().issue_cert("client").configure_cert(stranger)
        with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
            await get(server.port, stranger)
        stop.set()
        server.shutdown()


def test_without_a_certificate_there_is_no_tls() -> None:
    context = ssl.create_default_context()
    assert server_context(None) is None
    assert server_context(None, ssl_context=context) is context


@pytest.mark.parametrize("name", ["keyfile", "ca_certs"])
def test_a_key_or_authorities_without_a_certificate_are_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} is given without certfile$"):
        server_context(None, **{name: "x.pem"})  # type: ignore[arg-type]


def test_authorities_that_are_none_are_an_error(tmp_path: Path) -> None:
    certfile, keyfile, _ = certificate(tmp_path)
    with pytest.raises(ssl.SSLError):
        server_context(certfile, keyfile, keyfile)
