"""HTTP/2 under a real Hypercorn: websockets by extended CONNECT (RFC 8441), and plain requests.

Tests triows/asgi/http.py and triows/asgi/websocket.py.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
import trio
import trustme

from ..support.processes import end_group, end_with_parent, stays
from ..support.wire import BINARY, Wire, close_frame, frame

INTEROP = Path(__file__).parents[1] / "interop"
GUARD = 30.0  # seconds; only a test that hangs meets it

Headers = dict[str, str]


class HTTP2Stream(trio.abc.Stream):
    """One stream of an HTTP/2 connection: bytes both ways once the response has begun."""

    def __init__(self, connection: HTTP2Client, number: int) -> None:
        self._connection = connection
        self._number = number
        self.headers: Headers = {}
        self.began = trio.Event()
        self._received = bytearray()
        self._ended = False
        self._news = trio.lowlevel.ParkingLot()

    def handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived(headers=headers):
                self.headers = dict(headers or [])  # type: ignore[arg-type]
                self.began.set()
            case h2.events.DataReceived(data=data):
                self._received += data
            case h2.events.StreamEnded() | h2.events.StreamReset():
                self._ended = True
        self._news.unpark_all()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._connection.send_data(self._number, bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while not self._received and not self._ended:
            await self._news.park()
        data = bytes(self._received[:max_bytes])
        del self._received[: len(data)]
        return data

    async def aclose(self) -> None:
        await self._connection.end(self._number)


class HTTP2Client:
    """A client that knows as much of HTTP/2 as the tests need: h2 on a stream, one reading task."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self._streams: dict[int, HTTP2Stream] = {}
        self._settled = trio.Event()
        self._room = trio.lowlevel.ParkingLot()
        self._writing = trio.Lock()

    async def start(self, nursery: trio.Nursery) -> None:
        """Exchange settings; the server's must allow extended CONNECT."""
        self._h2.initiate_connection()
        await self._flush()
        nursery.start_soon(self._read)
        await self._settled.wait()
        assert self._h2.remote_settings.enable_connect_protocol == 1

    async def request(self, method: str, path: str, **pseudo_headers: str) -> HTTP2Stream:
        """Send a request without a body and wait for the head of its response."""
        number = self._h2.get_next_available_stream_id()
        headers = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        headers += [(f":{name}", value) for name, value in pseudo_headers.items()]
        if pseudo_headers:
            headers += [("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat.v1, chat.v2")]
        stream = self._streams[number] = HTTP2Stream(self, number)
        self._h2.send_headers(number, headers, end_stream=not pseudo_headers)
        await self._flush()
        await stream.began.wait()
        return stream

    async def websocket(self, path: str) -> HTTP2Stream:
        return await self.request("CONNECT", path, protocol="websocket")

    async def send_data(self, number: int, data: bytes) -> None:
        while data:
            while not (room := self._h2.local_flow_control_window(number)):
                await self._room.park()
            size = min(room, self._h2.max_outbound_frame_size)
            self._h2.send_data(number, data[:size])
            data = data[size:]
            await self._flush()

    async def end(self, number: int) -> None:
        stream = self._h2.streams.get(number)
        if stream is not None and stream.open:
            self._h2.reset_stream(number)
            await self._flush()

    async def _read(self) -> None:
        while data := await self._stream.receive_some():
            for event in self._h2.receive_data(data):
                if isinstance(event, h2.events.RemoteSettingsChanged):
                    self._settled.set()
                elif isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                    self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                stream = self._streams.get(getattr(event, "stream_id", None) or 0)
                if stream is not None:
                    stream.handle(event)
            self._room.unpark_all()
            await self._flush()

    async def _flush(self) -> None:
        async with self._writing:
            await self._stream.send_all(self._h2.data_to_send())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def port(authority: trustme.CA) -> Iterator[int]:
    """A hypercorn process that speaks TLS; its port."""
    certificate = authority.issue_cert("127.0.0.1")
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
        certificate.private_key_pem.write_to_path(key)
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(chain, append=True)
        command = [sys.executable, "-W", "ignore", "-m", "hypercorn", "-k", "trio", "-b", "127.0.0.1:0"]
        process = subprocess.Popen(
            [*command, "--certfile", chain, "--keyfile", key, "app:app"],
            cwd=INTEROP,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            preexec_fn=end_with_parent,
        )
        stays(process)
        assert process.stdout is not None
        output = []
        for line in process.stdout:
            output.append(line)
            if found := re.search(r"https://127\.0\.0\.1:(\d+)", line):
                break
        else:
            process.wait()
            pytest.fail("hypercorn did not start:\n" + "".join(output))
        reader = threading.Thread(target=lambda: output.extend(process.stdout or ()), daemon=True)
        reader.start()
        yield int(found[1])
        end_group(process, GUARD)
        reader.join()
        process.stdout.close()
        assert not any("ERROR" in line or "Traceback" in line for line in output), "".join(output)


@asynccontextmanager
async def connected(port: int, authority: trustme.CA) -> AsyncIterator[HTTP2Client]:
    """A connection that agreed on h2 by ALPN."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2"])
    with trio.fail_after(GUARD):
        stream = await trio.open_ssl_over_tcp_stream("127.0.0.1", port, ssl_context=context, https_compatible=True)
        async with stream, trio.open_nursery() as nursery:
            await stream.do_handshake()
            assert stream.selected_alpn_protocol() == "h2"
            client = HTTP2Client(stream)
            await client.start(nursery)
            yield client
            nursery.cancel_scope.cancel()


@pytest.fixture
async def client(port: int, authority: trustme.CA) -> AsyncIterator[HTTP2Client]:
    async with connected(port, authority) as client:
        yield client


async def open_websocket(client: HTTP2Client, path: str) -> Wire:
    stream = await client.websocket(path)
    assert stream.headers[":status"] == "200"
    assert "sec-websocket-accept" not in stream.headers  # RFC 8441, section 5
    return Wire(stream)


async def test_get(client: HTTP2Client) -> None:
    stream = await client.request("GET", "/version")
    assert stream.headers[":status"] == "200"
    assert await Wire(stream).read_rest() == b"2"


async def test_an_echo_over_extended_connect(client: HTTP2Client) -> None:
    wire = await open_websocket(client, "/echo")
    await wire.send_text("Grüße über HTTP/2")
    assert await wire.read_text() == "Grüße über HTTP/2"
    await wire.send(frame(BINARY, bytes(range(256)) * 1000))  # more than a window
    assert await wire.read_frame() == (BINARY, bytes(range(256)) * 1000)
    await wire.send(close_frame(1000))
    assert await wire.read_close() == (1000, "")


async def test_the_subprotocol_is_in_the_response(client: HTTP2Client) -> None:
    stream = await client.websocket("/chat")
    assert stream.headers["sec-websocket-protocol"] == "chat.v2"
    assert await Wire(stream).read_text() == "offered chat.v1, chat.v2"


async def test_the_close_code_of_the_server_arrives(client: HTTP2Client) -> None:
    wire = await open_websocket(client, "/close?code=4999&reason=done")
    assert await wire.read_close() == (4999, "done")


async def test_a_client_that_closes_ends_the_handler(client: HTTP2Client) -> None:
    wire = await open_websocket(client, "/tell-ending/http2-closed")
    await wire.send(close_frame(4001, "bye"))
    assert await wire.read_close() == (4001, "bye")
    ending = await Wire(await client.request("GET", "/endings/http2-closed")).read_rest()
    assert json.loads(ending) == [1006, "", "lost"]  # hypercorn tells no code


async def test_a_stream_that_is_reset_ends_the_handler(client: HTTP2Client) -> None:
    wire = await open_websocket(client, "/tell-ending/http2-reset")
    await wire.stream.aclose()
    ending = await Wire(await client.request("GET", "/endings/http2-reset")).read_rest()
    assert json.loads(ending) == [1006, "", "lost"]


async def test_a_refused_handshake_is_answered_as_http(client: HTTP2Client) -> None:
    stream = await client.websocket("/secret")
    assert stream.headers[":status"] == "401"
    assert stream.headers["www-authenticate"] == 'Basic realm="secret"'
    assert await Wire(stream).read_rest() == b"Who are you?\n"


async def test_websockets_and_requests_share_a_connection(client: HTTP2Client) -> None:
    wires = [await open_websocket(client, "/echo") for _ in range(5)]
    for number, wire in enumerate(wires):
        await wire.send_text(f"stream {number}")
    assert await Wire(await client.request("GET", "/")).read_rest() == b"hello\n"
    for number, wire in enumerate(wires):
        assert await wire.read_text() == f"stream {number}"
