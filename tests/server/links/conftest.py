"""Links for tests, and what TLS needs."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from ...support import tls
from ...support.links import Links, needs_reactor, running


@pytest.fixture(params=[pytest.param("socket", marks=needs_reactor), "stream"])
async def links(request: pytest.FixtureRequest) -> AsyncIterator[Links]:
    async with running(request.param) as links:
        yield links


@pytest.fixture(params=[pytest.param("socket", marks=needs_reactor)])
async def socket_links(request: pytest.FixtureRequest) -> AsyncIterator[Links]:
    async with running(request.param) as links:
        yield links


@pytest.fixture(scope="package")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="package", params=[ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2], ids=["1.3", "1.2"])
def client_context(request: pytest.FixtureRequest, authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = request.param
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="package")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    return tls.server_context(authority)
