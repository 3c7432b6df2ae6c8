"""The standard library's client, like what is built on it, sends all of a body before it looks at the response."""

from __future__ import annotations

import json
from http.client import HTTPConnection

import pytest

from .conftest import GUARD, ServerProcess


@pytest.mark.parametrize("size", [100_000, 400_000, 8_000_000])
def test_no_request_behind_a_refused_upload_is_lost(size: int, triows_server: ServerProcess) -> None:
    connection = HTTPConnection(triows_server.address, timeout=GUARD)
    upload = b"x" * size
    for _ in range(30):
        connection.request("POST", "/refuse", upload)
        with connection.getresponse() as response:
            assert (response.status, response.read()) == (403, b"no, thank you\n")
            assert response.will_close == (size > 300_000)
        connection.request("POST", "/upload", b"x")  # opens another connection only where the last one was announced
        with connection.getresponse() as response:
            assert json.load(response)["size"] == 1
    connection.close()
