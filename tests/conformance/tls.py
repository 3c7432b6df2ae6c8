"""The server of the conformance suite behind TLS: ``python -m tests.conformance.tls``.

The runner speaks no TLS. So this serves the app over TLS, and beside it a plain port, whose bytes go through a TLS
client to the app and back as they are. The plain port is printed.
"""

from __future__ import annotations

import ssl
from functools import partial

import trio
import trustme

from .app import app


async def main() -> None:
    """Serve both ports, until the process is ended."""
    authority = trustme.CA()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)

    async def carry(plain: trio.SocketStream) -> None:
        raw = await trio.open_tcp_stream("127.0.0.1", server.port)
        secure = trio.SSLStream(raw, client_context, server_hostname="localhost", https_compatible=True)
        async with plain, secure, trio.open_nursery() as nursery:
            nursery.start_soon(_copy, plain, secure)
            await _copy(secure, plain)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        server = await nursery.start(_serve, server_context)
        listeners = await nursery.start(partial(trio.serve_tcp, carry, 0, host="127.0.0.1"))
        print(f"127.0.0.1:{listeners[0].socket.getsockname()[1]}", flush=True)


async def _serve(context: ssl.SSLContext, task_status: trio.TaskStatus[object]) -> None:
    await app.serve("127.0.0.1", 0, ssl_context=context, access_log=False, task_status=task_status)


async def _copy(source: trio.abc.Stream, target: trio.abc.Stream) -> None:
    try:
        while data := await source.receive_some(65536):
            await target.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # one of the two has gone; the other is closed after this


if __name__ == "__main__":
    trio.run(main)
