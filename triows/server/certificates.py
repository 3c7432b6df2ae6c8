"""TLS settings from files: the server's certificate and key, and the authorities of its clients'."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Any

File = str | os.PathLike[str]


def server_context(
    certfile: File | None,
    keyfile: File | None = None,
    ca_certs: File | None = None,
    *,
    ssl_context: ssl.SSLContext | None = None,
    password: Callable[[], Any] | None = None,
) -> ssl.SSLContext | None:
    """Return the settings for TLS; None without a certificate.

    :param certfile: the certificate chain (PEM).
    :param keyfile: its private key (PEM), unless that is in ``certfile``.
    :param ca_certs: authorities (PEM). Each client has to show a certificate that one of them has issued.
    :param ssl_context: settings that are made already, instead.
    :param password: returns that of an encrypted key. None: the terminal asks for it.
    :raises ValueError: if the arguments do not go together.
    :raises OSError: if a file cannot be read, or is none; :exc:`ssl.SSLError` is one.
    """
    if certfile is None:
        for name, value in (("keyfile", keyfile), ("ca_certs", ca_certs)):
            if value is not None:
                raise ValueError(f"{name} is given without certfile")
        return ssl_context
    if ssl_context is not None:
        raise ValueError("give either ssl_context or certfile and keyfile, not both")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certfile, keyfile, password)
    if ca_certs is not None:
        context.load_verify_locations(ca_certs)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
