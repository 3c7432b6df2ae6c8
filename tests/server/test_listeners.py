"""Where a server listens: addresses, inherited sockets, shared ports, and whose file of a Unix socket is removed."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from triows import ListenError, request
from triows.server.listeners import SocketFile, open_listeners, url
from triows.server.serving import Server

from ..support.http import ask, get
from ..support.wire import Wire
from .app import make_app


async def body_from(connect: Callable[[], Any], path: str = "/") -> bytes:
    async with await connect() as stream:
        wire = Wire(stream)
        await wire.send(get(path, "Connection: close"))
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
    assert await body_from(tcp(server)) == b"hello"
    server.shutdown()


async def test_several_descriptors_are_served(nursery: trio.Nursery, tmp_path: Path) -> None:
    first = socket.create_server(("127.0.0.1", 0))
    second = socket.create_server(str(tmp_path / "socket"), family=socket.AF_UNIX)
    fds = [first.detach(), second.detach()]
    server = await nursery.start(lambda task_status: make_app().serve(fds=fds, task_status=task_status))
    assert await body_from(tcp(server)) == b"hello"
    assert await body_from(lambda: trio.open_unix_socket(tmp_path / "socket")) == b"hello"
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
    assert await body_from(tcp(server), "/who") == b"127.0.0.1"
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
        assert await body_from(tcp(second)) == b"hello"
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


@pytest.mark.parametrize("port", ["8000", 8000.0, None])
async def test_a_port_that_is_no_number_is_refused(port: Any) -> None:
    with pytest.raises(TypeError, match=f"^port is {port!r}; it must be a number"):
        await make_app().serve("127.0.0.1", port)


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
        last_get = get("/", "Connection: close")
        await wire.send(last_get[:-2])
        server.shutdown()
        while path.exists():
            await trio.lowlevel.checkpoint()
        assert server.connections == 1
        await wire.send(last_get[-2:])
        assert (await wire.read_response()).body == b"hello"
        await stream.aclose()


def test_an_abstract_unix_socket_is_named_with_an_at_sign() -> None:
    assert url("@name", secure=False) == "unix:@name"


# Addresses


async def test_an_address_in_use_is_an_error_of_the_caller() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, "127.0.0.1", 0)
        with pytest.raises(ListenError) as caught:
            await make_app().serve("127.0.0.1", server.port)
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == errno.EADDRINUSE
        server.shutdown()


@pytest.mark.parametrize("reuse_port", [False, True])
@pytest.mark.parametrize(
    "host", ["nowhere.invalid", "a" * 64 + ".invalid", "\udc80"], ids=["unknown", "long", "no text"]
)
async def test_a_host_that_is_not_there_is_an_error_of_listening(host: str, reuse_port: bool) -> None:
    with pytest.raises(ListenError) as caught:
        await make_app().serve(host, 0, reuse_port=reuse_port)
    assert isinstance(caught.value.__cause__, socket.gaierror | UnicodeError)


async def test_a_nul_in_the_path_of_a_unix_socket_is_a_wrong_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="has a NUL in it"):
        await make_app().serve("unix:a\0b", 0)
    assert list(tmp_path.iterdir()) == []


async def test_an_error_of_the_apps_own_start_up_is_none_of_listening() -> None:
    app = make_app()

    @app.before_serving
    async def start() -> None:
        raise OSError(errno.EADDRINUSE, "the broker's port is taken")

    with pytest.raises(OSError, match="broker") as caught:
        await app.serve("127.0.0.1", 0)
    assert not isinstance(caught.value, ListenError)


ABSENT = "203.0.113.1"  # an address of nobody (RFC 5737)


class Resolver(trio.abc.HostnameResolver):
    """Knows one host, by these families and addresses."""

    def __init__(self, *found: tuple[int, str]) -> None:
        self._found = found

    async def getaddrinfo(self, host: Any, port: Any, *args: Any) -> Any:
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in self._found]

    async def getnameinfo(self, sockaddr: Any, flags: Any) -> Any:
        raise NotImplementedError


IPV4 = socket.AF_INET
NO_FAMILY = 999


async def listened(*found: tuple[int, str], reuse_port: bool = False) -> list[Any]:
    """The hosts that are listened on for a name that stands for these addresses."""
    trio.socket.set_custom_hostname_resolver(Resolver(*found))
    listeners = await open_listeners("name", 0, reuse_port=reuse_port)
    hosts = [listener.socket.getsockname()[0] for listener in listeners]
    for listener in listeners:
        await listener.aclose()
    return hosts


@pytest.mark.parametrize("reuse_port", [False, True])
async def test_a_host_is_listened_on_at_those_addresses_that_the_machine_has(
    reuse_port: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "triows.error")
    for absent in ((IPV4, ABSENT), (NO_FAMILY, "::1")):
        for found in ([absent, (IPV4, "127.0.0.1")], [(IPV4, "127.0.0.1"), absent]):
            assert await listened(*found, reuse_port=reuse_port) == ["127.0.0.1"]
            assert caplog.messages.pop() == (
                f"name is {absent[1]} too, which this machine does not have: not listening there"
            )
            caplog.clear()


async def test_an_address_that_a_host_has_twice_is_listened_on_once() -> None:
    assert await listened((IPV4, "127.0.0.1"), (IPV4, "127.0.0.1")) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("family", "number"), [(IPV4, errno.EADDRNOTAVAIL), (NO_FAMILY, errno.EAFNOSUPPORT)], ids=["address", "family"]
)
async def test_a_host_without_an_address_of_the_machine_is_an_error_that_names_its_addresses(
    family: int, number: int
) -> None:
    with pytest.raises(ListenError, match=r"203\.0\.113\.1 and 203\.0\.113\.2") as caught:
        await listened((family, ABSENT), (family, "203.0.113.2"))
    assert caught.value.errno == number


async def test_a_host_with_one_address_in_use_is_not_listened_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        trio.socket.set_custom_hostname_resolver(Resolver((IPV4, "127.0.0.2"), (IPV4, "127.0.0.1")))
        with pytest.raises(ListenError) as caught:
            await open_listeners("name", port)
        assert caught.value.errno == errno.EADDRINUSE
        socket.create_server(("127.0.0.2", port)).close()


async def test_an_ipv6_address_can_be_listened_on() -> None:
    async with trio.open_nursery() as nursery:
        try:
            server = await nursery.start(make_app().serve, "::1", 0)
        except OSError:
            pytest.skip("there is no IPv6 here")
        assert server.addresses == [("::1", server.port)]
        wire = Wire(await trio.open_tcp_stream("::1", server.port))
        assert (await ask(wire)).body == b"hello"
        await wire.stream.aclose()
        server.shutdown()


async def test_a_unix_socket_can_be_listened_on_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, f"unix:{path}")
        assert path.is_socket()
        assert server.addresses == [str(path)]
        with pytest.raises(RuntimeError, match="no TCP listener"):
            _ = server.port
        wire = Wire(await trio.open_unix_socket(path))
        assert (await ask(wire)).body == b"hello"
        await wire.stream.aclose()
        server.shutdown()
    assert not path.exists()


async def test_a_unix_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, f"unix:{path}")
        wire = Wire(await trio.open_unix_socket(path))
        assert (await ask(wire)).status == 200
        await wire.stream.aclose()
        server.shutdown()


async def test_a_unix_socket_of_a_living_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        server = await nursery.start(make_app().serve, f"unix:{path}")
        with pytest.raises(OSError) as caught:
            await make_app().serve(f"unix:{path}")
        assert caught.value.errno == errno.EADDRINUSE
        wire = Wire(await trio.open_unix_socket(path))
        assert (await ask(wire)).status == 200
        await wire.stream.aclose()
        server.shutdown()


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(ListenError) as caught:
        await make_app().serve(f"unix:{path}")
    assert caught.value.filename == str(path)
    assert str(path) in str(caught.value)
    assert path.read_text() == "precious"


# Permissions of Unix sockets


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o000, 0o600, 0o660, 0o666, 0o777, 0o602])
async def test_a_unix_socket_has_the_permissions_that_are_asked_for(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "socket"
    async with trio.open_nursery() as nursery:
        start = partial(make_app().serve, f"unix:{path}", socket_mode=mode)
        server = await nursery.start(start)
        assert mode_of(path) == mode
        server.shutdown()
    assert not path.exists()
    assert os.umask(umask) == umask


async def test_without_a_mode_the_umask_decides(tmp_path: Path, umask: int) -> None:
    (listener,) = await open_listeners(f"unix:{tmp_path}/socket", 0)
    assert mode_of(tmp_path / "socket") == 0o777 & ~umask
    await listener.aclose()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o606])
async def test_a_unix_socket_never_has_more_permissions(
    tmp_path: Path, umask: int, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "socket"
    seen = []

    class Socket(socket.socket):
        def bind(self, address: Any) -> None:
            super().bind(address)
            seen.append(mode_of(path))
            (tmp_path / "of another thread").touch()
            seen.append(mode_of(tmp_path / "of another thread") & umask)

    monkeypatch.setattr(socket, "socket", Socket)
    (listener,) = await open_listeners(f"unix:{path}", 0, socket_mode=mode)
    assert [bits & ~mode for bits in seen] == [0, 0]
    assert mode_of(path) == mode
    await listener.aclose()


async def test_a_unix_socket_whose_permissions_cannot_be_set_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    with pytest.raises(ListenError, match="not permitted"):
        await open_listeners(f"unix:{tmp_path}/socket", 0, socket_mode=0o660)
    assert list(tmp_path.iterdir()) == []


async def test_a_stale_unix_socket_is_replaced_by_one_with_the_permissions_that_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    path.chmod(0o777)
    (listener,) = await open_listeners(f"unix:{path}", 0, socket_mode=0o600)
    assert mode_of(path) == 0o600
    await listener.aclose()


@pytest.mark.parametrize(("mode", "named"), [(660, "0o1224"), (-1, "-0o1"), (0o1777, "0o1777")])
async def test_a_mode_that_cannot_be_is_refused_with_its_octal_form(tmp_path: Path, mode: int, named: str) -> None:
    with pytest.raises(ValueError, match=f"^socket_mode is {mode}, which is {named}; .* like 0o660"):
        await make_app().serve(f"unix:{tmp_path}/socket", socket_mode=mode)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["660", True])
async def test_a_mode_that_is_no_number_is_refused(tmp_path: Path, mode: Any) -> None:
    with pytest.raises(TypeError, match=f"^socket_mode is {mode!r}; it must be a number like 0o660"):
        await make_app().serve(f"unix:{tmp_path}/socket", socket_mode=mode)


@pytest.mark.parametrize(("host", "fds"), [("127.0.0.1", []), (None, []), ("unix:/nowhere", [0])])
async def test_only_a_unix_socket_that_is_opened_here_has_a_mode(host: str | None, fds: list[int]) -> None:
    with pytest.raises(ValueError, match="only the file of a Unix socket that is opened here has a mode"):
        await open_listeners(host, 0, fds=fds, socket_mode=0o660)


@pytest.mark.parametrize(
    ("address", "secure", "text"),
    [
        (("127.0.0.1", 8000), False, "http://127.0.0.1:8000"),
        (("::1", 443), True, "https://[::1]:443"),
        ("/run/app.sock", False, "unix:/run/app.sock"),
    ],
)
def test_an_address_is_named_as_a_browser_takes_it(address: Any, secure: bool, text: str) -> None:
    assert url(address, secure) == text
