"""A server in a process of its own: ``python -m tests.benchmarks.serve NAME``, started by :mod:`.fleet`.

It listens on a free port of loopback, says which on standard output, and serves until it is ended.
"""

from __future__ import annotations

import argparse
import importlib
import socket
import ssl
import sys

from .proc import prepare

_BACKLOG = 4096


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--certificate", help="PEM with certificate and key: serve TLS")
    parser.add_argument("--without-speedups", action="store_true", help="as if the extra speedups were not installed")
    options = parser.parse_args()
    prepare({options.core}, options.module)
    if options.without_speedups:
        sys.modules["websockets.speedups"] = None  # type: ignore[assignment]
    tls = None
    if options.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate)
    peer = importlib.import_module(f".peers.{options.module}", __package__)
    # With the protocol named: asyncio sets TCP_NODELAY on no other sockets.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    sock.listen(_BACKLOG)
    print(sock.getsockname()[1], flush=True)
    peer.serve(sock, tls)


if __name__ == "__main__":
    main()
