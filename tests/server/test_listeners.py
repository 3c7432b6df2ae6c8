"""Where a server listens: inherited sockets, shared ports, what systemd passes and is told, whose file is removed."""

from __future__ import annotations

import logging
import os
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from triows import Triows, request
from triows.server import systemd
from triows.server.listeners import SocketFile, open_listeners, url
from triows.server.serving import Server

from ..support.wire import Wire

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def make_app() -> Triows:
    app = Triows(__name__)

    @app.get("/")
    async def index() -> str:
        return "hello"

    return app


async def get(connect: Callable[[], Any], path: str = "/") -> bytes:
    async with await connect() as stream:
        wire = Wire(stream)
        await wire.send(GET.replace(b"/", path.encode(), 1))
        return (await wire.read_response()).body


def tcp(server: Server) -> Callable[[], Any]:
    return lambda: trio.open_tcp_stream("127.0.0.1", server.port)


# Sockets that listen already


async def test_a_listening_socket_is_taken_over_by_its_descriptor(nursery: trio.Nursery) -> None:
    inherited = socket.create_server(("127.0.0.1", 0))
    port = inherited.getsockname()[1]
    fd = inherited.detach()
    os.set_inheritable(fd, True)
    server = await nursery.start(lambda task_status: make_app().serve(fds=[fd], task_status=task_status))
    assert server.addresses == [("127.0.0.1", port)]
    assert not os.get_inheritable(fd)
    assert await get(tcp(server)) == b"hello"
    server.shutdown()


async def test_several_descriptors_are_served(nursery: trio.Nursery, tmp_path: Path) -> None:
    first = socket.create_server(("127.0.0.1", 0))
    second = socket.create_server(str(tmp_path / "socket"), family=socket.AF_UNIX)
    fds = [first.detach(), second.detach()]
    server = await nursery.start(lambda task_status: make_app().serve(fds=fds, task_status=task_status))
    assert await get(tcp(server)) == b"hello"
    assert await get(lambda: trio.open_unix_socket(tmp_path / "socket")) == b"hello"
    server.shutdown()


async def test_the_file_of_an_inherited_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    fd = socket.create_server(str(path), family=socket.AF_UNIX).detach()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            lambda task_status: make_app().serve(f"unix:{path}", fds=[fd], task_status=task_status)
        )
        server.shutdown()
    assert path.is_socket()


async def test_an_ipv4_client_of_a_socket_for_both_kinds_has_its_ipv4_address(nursery: trio.Nursery) -> None:
    inherited = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    app = make_app()

    @app.get("/who")
    async def who() -> str:
        return str(request.remote_addr)

    server = await nursery.start(lambda task_status: app.serve(fds=[inherited.detach()], task_status=task_status))
    assert await get(tcp(server), "/who") == b"127.0.0.1"
    server.shutdown()


@pytest.fixture
def wrong(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    if request.param == "file":
        fd = os.open(tmp_path, os.O_RDONLY)
    elif request.param == "closed":
        fd = 1_000_000
    elif request.param == "datagram":
        fd = socket.socket(type=socket.SOCK_DGRAM).detach()
    else:
        fd = socket.socket().detach()
    yield fd
    if request.param != "closed":
        os.close(fd)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("file", "is not a socket"),
        ("closed", "is not open"),
        ("datagram", "is not a TCP or Unix stream socket"),
        ("silent", "is a socket that does not listen"),
    ],
    indirect=["wrong"],
)
async def test_a_descriptor_of_something_else_is_an_error_and_left_as_it_is(wrong: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"descriptor {wrong} {message}"):
        await open_listeners(None, 0, fds=[wrong])


async def test_a_descriptor_that_is_given_twice_is_an_error() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as inherited,
        pytest.raises(ValueError, match=r"descriptor \d+ is given twice"),
    ):
        await open_listeners(None, 0, fds=[inherited.fileno()] * 2)


# Shared ports


async def test_a_port_that_is_shared_can_be_listened_on_twice() -> None:
    def serve(port: int) -> Callable[..., Any]:
        return lambda task_status: make_app().serve(port=port, reuse_port=True, task_status=task_status)

    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as before:
            first = await before.start(serve(0))
            second = await nursery.start(serve(first.port))
            assert second.port == first.port
            first.shutdown()
        assert await get(tcp(second)) == b"hello"
        second.shutdown()


async def test_a_port_that_is_not_shared_cannot() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await open_listeners("127.0.0.1", taken.getsockname()[1], reuse_port=True)


async def test_all_addresses_of_a_host_are_shared() -> None:
    listeners = await open_listeners(None, 0, reuse_port=True)
    families = {listener.socket.family for listener in listeners}
    for listener in listeners:
        await listener.aclose()
    assert socket.AF_INET in families


@pytest.mark.parametrize(("host", "fds"), [("unix:/nowhere", []), ("127.0.0.1", [0])])
async def test_only_a_tcp_port_can_be_shared(host: str, fds: list[int]) -> None:
    with pytest.raises(ValueError, match="only a TCP port"):
        await open_listeners(host, 0, fds=fds, reuse_port=True)


@pytest.mark.parametrize("port", [-1, 65_536, 70_000])
@pytest.mark.parametrize("reuse_port", [False, True])
async def test_a_port_that_cannot_be_is_refused_by_its_number(port: int, reuse_port: bool) -> None:
    with pytest.raises(ValueError, match=rf"^port is {port}; it must be from 0"):
        await open_listeners("127.0.0.1", port, reuse_port=reuse_port)


async def test_a_context_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"^ssl_context is of the type str; it must be an ssl\.SSLContext$"):
        await make_app().serve("127.0.0.1", 0, ssl_context="cert.pem")  # type: ignore[arg-type]


# Files of Unix sockets


def test_a_socket_file_is_removed_once(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.create_server(str(path), family=socket.AF_UNIX):
        file = SocketFile(str(path))
        file.remove()
        assert not path.exists()
    path.touch()
    file.remove()
    assert path.exists()


def test_a_socket_file_of_another_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.create_server(str(path), family=socket.AF_UNIX):
        file = SocketFile(str(path))
        path.unlink()
        with socket.create_server(str(path), family=socket.AF_UNIX):
            file.remove()
            assert path.is_socket()


def test_a_socket_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    file = SocketFile(str(tmp_path / "socket"))
    file.remove()
    assert list(tmp_path.iterdir()) == []


async def test_the_file_of_a_unix_socket_is_gone_before_the_last_client_is(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, f"unix:{path}")
        stream = await trio.open_unix_socket(path)
        wire = Wire(stream)
        await wire.send(GET[:-2])
        server.shutdown()
        while path.exists():
            await trio.lowlevel.checkpoint()
        assert server.connections == 1
        await wire.send(GET[-2:])
        assert (await wire.read_response()).body == b"hello"
        await stream.aclose()


def test_an_abstract_unix_socket_is_named_with_an_at_sign() -> None:
    assert url("@name", secure=False) == "unix:@name"


# systemd


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_to(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    return set_to


def test_the_sockets_that_systemd_passes_begin_at_3(environment: Callable[..., None]) -> None:
    environment(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="web:admin")
    assert systemd.take_descriptors() == [3, 4]


def test_no_child_takes_them_a_second_time(environment: Callable[..., None]) -> None:
    environment(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
    systemd.take_descriptors()
    assert not {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} & os.environ.keys()


@pytest.mark.parametrize("pid", ["1", "", "x"])
def test_sockets_for_another_process_are_not_taken(pid: str, environment: Callable[..., None]) -> None:
    environment(LISTEN_PID=pid, LISTEN_FDS="1")
    assert systemd.take_descriptors() == []


def test_without_systemd_there_are_none(environment: Callable[..., None]) -> None:
    assert systemd.take_descriptors() == []


@pytest.mark.parametrize("count", ["", "x", "-1", "1.5", "²"])
def test_a_number_of_sockets_that_is_none_is_an_error(count: str, environment: Callable[..., None]) -> None:
    environment(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count)
    with pytest.raises(ValueError, match="LISTEN_FDS is"):
        systemd.take_descriptors()


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_in_one_datagram(abstract: bool, environment: Callable[..., None], tmp_path: Path) -> None:
    name = f"\0triows-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        environment(NOTIFY_SOCKET=name.replace("\0", "@"))
        systemd.notify("READY=1", "MAINPID=7")
        assert manager.recv(100) == b"READY=1\nMAINPID=7"


def test_a_manager_that_does_not_listen_is_a_warning(
    environment: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment(NOTIFY_SOCKET=str(tmp_path / "nobody"))
    systemd.notify("READY=1")
    assert caplog.record_tuples == [
        ("triows.error", logging.WARNING, "systemd cannot be told READY=1: No such file or directory")
    ]


def test_without_a_descriptor_to_tell_it_with_that_is_a_warning_too(
    environment: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment(NOTIFY_SOCKET=str(tmp_path / "manager"))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        systemd.notify("STOPPING=1")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert caplog.record_tuples == [
        ("triows.error", logging.WARNING, "systemd cannot be told STOPPING=1: Too many open files")
    ]


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_without_an_address_nobody_is_told(
    address: str, environment: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    environment(NOTIFY_SOCKET=address)
    systemd.notify("READY=1")
    assert caplog.records == []
