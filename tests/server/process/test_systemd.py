"""What systemd passes and is told."""

from __future__ import annotations

import logging
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from triows.server.process.runner import systemd


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
