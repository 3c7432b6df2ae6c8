"""The command: what it serves, how it ends, and the one clear line for each thing that the user may get wrong.

Tests triows/__main__.py, triows/command/listening.py and triows/command/logs.py.
"""

from __future__ import annotations

import configparser
import json
import logging
import os
import re
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from triows import Triows
from triows.command.main import TriowsGroup
from triows.command.run import run_command
from triows.server.process import restarting, runner

from ..support.commands import APP, certificate, command, program, triows, write
from ..support.commands import complaint as said
from ..support.wire import Wire


def run(*arguments: str) -> Result:
    return triows("run", *arguments)


def complaint(*arguments: str) -> str:
    """The one line that the command says before it ends with exit code 2."""
    line = said("run", *arguments)
    assert "\n" not in line
    return line


# What to serve


@pytest.mark.parametrize("target", ["chat.py", "chat:app"])
async def test_a_call_of_run_in_what_is_loaded_is_ignored_with_a_warning(tmp_path: Path, target: str) -> None:
    write(tmp_path / "chat.py", APP + "\n\napp.run(port=1)\nprint('loaded')\n")
    async with command(target, folder=tmp_path) as served:
        assert await served.line() == "loaded"
        _, port = await served.address()
        assert await get(port) == b"hello"
        code, errors = await served.end(signal.SIGTERM)
    assert code == 0
    (warning,) = [line for line in errors.splitlines() if "WARNING" in line]
    assert re.search(
        r"WARNING triows\.error: app\.run\(\) at \S*chat\.py:12 is ignored: the command that loads this file serves the"
        r" app itself; call app\.run\(\) under 'if __name__ == \"__main__\":'$",
        warning,
    )


def test_a_call_of_run_works_again_when_the_app_is_loaded(tmp_path: Path) -> None:
    assert "is a str, not a Triows app" in complaint(write(tmp_path / "chat.py", "app = 'none'"))
    with pytest.raises(ValueError, match="keyfile is given without certfile"):
        Triows("chat").run(keyfile="x.key")


# Where to serve


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = complaint(write(tmp_path / "chat.py"), "--port", str(port))
    assert line.startswith(f"cannot listen on 127.0.0.1:{port}: the address is in use")
    assert "--port" in line


def test_an_unknown_host_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    place = write(tmp_path / "chat.py")
    line = complaint(place, "--host", "nowhere.invalid")
    assert line == "cannot listen on nowhere.invalid:8000: there is no such host"
    for host, bare in (("127.0.0.1:8080", "127.0.0.1"), ("[::1]:8080", "::1")):
        assert complaint(place, "-h", host) == (
            f"cannot listen on {host}:8000: there is no such host; write --host {bare} --port 8080"
        )


def test_a_host_that_is_no_name_is_one_line(tmp_path: Path) -> None:
    assert "there is no such host" in complaint(write(tmp_path / "chat.py"), "--host", "a..b")


def test_a_host_of_another_machine_is_one_line(tmp_path: Path) -> None:
    line = complaint(write(tmp_path / "chat.py"), "--host", "192.0.2.1", "--port", "0")  # RFC 5737: nobody's
    assert line == "cannot listen on 192.0.2.1:0: this machine has no such address"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nowhere/socket", "there is no such directory"),
        ("chat.py/socket", "there is no such directory"),
        ("chat.py", "there is a file that is no socket"),
        ("taken", "another program listens there"),
        ("x" * 200, "AF_UNIX path too long"),
    ],
)
def test_a_unix_socket_that_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind("taken")
        taken.listen()
        line = complaint(write(tmp_path / "chat.py"), "--host", f"unix:{path}")
    assert line == f"cannot listen on unix:{path}: {reason}"


def test_a_unix_socket_without_a_path_is_one_line(tmp_path: Path) -> None:
    line = complaint(write(tmp_path / "chat.py"), "--host", "unix:")
    assert line == "cannot listen: 'unix:' is without the path of a socket, as in unix:/run/app.sock"


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    result = run(write(tmp_path / "chat.py"), "--port", port)
    assert result.exit_code == 2
    assert "--port" in result.stderr


@pytest.mark.parametrize("error", ["FileNotFoundError(2, 'no data')", "PermissionError(13, 'no data')"])
def test_an_error_at_start_up_is_not_taken_for_one_of_the_address(tmp_path: Path, error: str) -> None:
    place = write(tmp_path / "chat.py", APP + f"\n@app.before_serving\nasync def start():\n    raise {error}\n")
    result = run(place, "--port", "0")
    assert result.exit_code == 1
    first, *_, last = result.stderr.splitlines()
    assert (first, last.partition("] ")[2]) == ("triows: the app has failed", "no data")


@pytest.mark.parametrize(
    "option", [("--host", "127.0.0.1"), ("--port", "8000"), ("--reuse-port",), ("--socket-mode", "660")]
)
def test_a_descriptor_beside_an_address_is_one_line(tmp_path: Path, option: tuple[str, ...]) -> None:
    line = complaint(write(tmp_path / "chat.py"), "--fd", "0", *option)
    assert line == f"--fd is given, a socket that listens already: leave out {option[0]}"


def test_a_descriptor_that_is_not_open_is_one_line(tmp_path: Path) -> None:
    line = complaint(write(tmp_path / "chat.py"), "--fd", "1000000")
    assert line == "cannot listen: descriptor 1000000 is not open"


def test_a_descriptor_that_does_not_listen_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as sock:
        line = complaint(write(tmp_path / "chat.py"), "--fd", str(sock.fileno()))
        assert line == f"cannot listen: descriptor {sock.fileno()} is a socket that does not listen"


@pytest.mark.parametrize("number", ["-1", "x", ""])
def test_a_descriptor_that_is_no_number_is_refused(tmp_path: Path, number: str) -> None:
    result = run(write(tmp_path / "chat.py"), "--fd", number)
    assert result.exit_code == 2
    assert "--fd" in result.stderr


def test_a_unix_socket_cannot_be_shared(tmp_path: Path) -> None:
    line = complaint(write(tmp_path / "chat.py"), "--host", f"unix:{tmp_path}/socket", "--reuse-port")
    assert line == "cannot listen: only a TCP port that is opened here can be shared (reuse_port)"


async def test_a_unix_socket_has_the_permissions_of_the_option(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    address = ["--host", f"unix:{path}", "--socket-mode", "660"]
    async with command(write(tmp_path / "chat.py"), address=address) as served:
        assert await served.line() == f"Running on unix:{path} (CTRL + C to quit)"
        assert path.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize("mode", ["rw", "888", "1777", "-1", "", "0x1b0"])
def test_a_mode_that_is_none_is_refused(tmp_path: Path, mode: str) -> None:
    result = run(write(tmp_path / "chat.py"), "--host", f"unix:{tmp_path}/socket", "--socket-mode", mode)
    assert result.exit_code == 2
    assert f"{mode!r} is no mode; it must be octal, from 0 to 777, like 660" in result.stderr


def test_only_a_unix_socket_has_a_mode(tmp_path: Path) -> None:
    line = complaint(write(tmp_path / "chat.py"), "--socket-mode", "0o660")
    assert line == "cannot listen: only the file of a Unix socket that is opened here has a mode (socket_mode)"


def test_a_number_of_passed_sockets_that_is_none_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "many")
    line = complaint(write(tmp_path / "chat.py"))
    assert line == "cannot listen: LISTEN_FDS is 'many'; it must be how many sockets were passed"


@pytest.mark.parametrize("error", ["ValueError('no data')", "UnicodeError('no data')"])
def test_a_value_error_at_start_up_is_not_taken_for_one_of_a_descriptor(tmp_path: Path, error: str) -> None:
    place = write(tmp_path / "chat.py", APP + f"\n@app.before_serving\nasync def start():\n    raise {error}\n")
    result = run(place, "--port", "0")
    assert result.exit_code == 1
    assert result.stderr.endswith(": no data\n")


def test_an_error_at_start_up_is_shown_from_the_apps_frame_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write(tmp_path / "chat.py", APP + "\n@app.before_serving\nasync def start():\n    1 / 0\n")
    lines = run(place, "--port", "0").stderr.splitlines()
    assert lines[1:3] == ["Traceback (most recent call last):", f'  File "{place}", line 13, in start']
    monkeypatch.setenv("TRIOWS_FULL_TRACEBACKS", "1")
    assert "lifespan.py" in run(place, "--port", "0").stderr


# Certificates


@pytest.mark.parametrize("missing", ["--certfile", "--keyfile"])
def test_a_missing_certificate_or_key_is_one_line(tmp_path: Path, missing: str) -> None:
    certfile, keyfile, _ = certificate(tmp_path)
    files = {"--certfile": certfile, "--keyfile": keyfile, missing: "nowhere.pem"}
    line = complaint(write(tmp_path / "chat.py"), *(part for pair in files.items() for part in pair))
    assert line == "cannot read nowhere.pem: No such file or directory"


def test_a_folder_is_no_certificate(tmp_path: Path) -> None:
    assert "cannot read" in complaint(write(tmp_path / "chat.py"), "--certfile", str(tmp_path))


@pytest.mark.parametrize("content", ["", "not PEM", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"])
def test_an_invalid_certificate_is_one_line(tmp_path: Path, content: str) -> None:
    place = write(tmp_path / "broken.pem", content)
    assert "no certificate with its key (PEM)" in complaint(write(tmp_path / "chat.py"), "--certfile", place)


def test_a_certificate_with_the_wrong_key_is_one_line(tmp_path: Path) -> None:
    certfile, _, _ = certificate(tmp_path)
    _, keyfile, _ = certificate(tmp_path, "other")
    line = complaint(write(tmp_path / "chat.py"), "--certfile", certfile, "--keyfile", keyfile)
    assert "no certificate with its key (PEM): KEY_VALUES_MISMATCH" in line


def test_an_encrypted_key_is_one_line(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    certfile, keyfile, _ = certificate(tmp_path)
    key = serialization.load_pem_private_key(Path(keyfile).read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    Path(keyfile).write_bytes(encrypted)
    line = complaint(write(tmp_path / "chat.py"), "--certfile", certfile, "--keyfile", keyfile)
    assert "the key is encrypted" in line


def test_a_key_without_a_certificate_is_one_line(tmp_path: Path) -> None:
    assert complaint(write(tmp_path / "chat.py"), "--keyfile", "x.key") == "--keyfile needs --certfile"


# Other options


def test_authorities_need_a_certificate_and_have_to_be_some(tmp_path: Path) -> None:
    certfile, keyfile, _ = certificate(tmp_path)
    place = write(tmp_path / "chat.py")
    assert complaint(place, "--ca-certs", "ca.pem") == "--ca-certs needs --certfile"
    files = ("--certfile", certfile, "--keyfile", keyfile)
    assert complaint(place, *files, "--ca-certs", "ca.pem") == "cannot read ca.pem: No such file or directory"
    line = complaint(place, *files, "--ca-certs", keyfile)
    assert line.startswith(f"{keyfile} has no certificates of authorities (PEM): ")


def test_a_root_path_that_is_no_path_is_refused(tmp_path: Path) -> None:
    result = run(write(tmp_path / "chat.py"), "--root-path", "chat")
    assert (result.exit_code, "'chat' is no path; it begins with a slash, like /chat" in result.stderr) == (2, True)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the command hands on, in place of serving."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(
        runner,
        "run",
        lambda app, host, port, **options: calls.append({"app": app, "host": host, "port": port, **options}),
    )
    return calls


def test_options_reach_the_server(tmp_path: Path, served: list[dict[str, Any]]) -> None:
    arguments = ("-h", "::1", "-p", "80", "--no-access-log", "--root-path", "/chat", "--debug")
    assert run(write(tmp_path / "chat.py"), *arguments).exit_code == 0
    (call,) = served
    assert call.pop("app").debug
    assert call == {
        "host": "::1",
        "port": 80,
        "access_log": False,
        "root_path": "/chat",
        "fds": (),
        "reuse_port": False,
        "socket_mode": None,
        "ssl_context": None,
        "parent": None,
    }


def test_h_is_the_host_and_help_has_no_short_form(tmp_path: Path, served: list[dict[str, Any]]) -> None:
    assert "Usage" not in run(write(tmp_path / "chat.py"), "-h", "::1").output
    assert "Usage" in run("--help").output


@pytest.mark.parametrize(("level", "number"), [("warning", logging.WARNING), ("DEBUG", logging.DEBUG)])
def test_a_level_is_that_of_the_loggers_of_triows_and_of_the_app(
    tmp_path: Path, served: list[dict[str, Any]], level: str, number: int
) -> None:
    assert run(write(tmp_path / "chat.py"), "--log-level", level).exit_code == 0
    assert served[0]["app"].logger.level == logging.getLogger("triows").level == number
    served[0]["app"].logger.setLevel(logging.NOTSET)


LOGS = {"version": 1, "disable_existing_loggers": False, "loggers": {"shop.own": {"level": "ERROR"}}}
TOML = 'version = 1\ndisable_existing_loggers = false\n[loggers."shop.own"]\nlevel = "ERROR"\n'
INI = (
    "[loggers]\nkeys=root,own\n[handlers]\nkeys=\n[formatters]\nkeys=\n"
    "[logger_root]\nhandlers=\n[logger_own]\nqualname=shop.own\nlevel=ERROR\nhandlers=\n"
)


@pytest.mark.parametrize(("name", "text"), [("a.json", json.dumps(LOGS)), ("a.TOML", TOML), ("a.ini", INI)])
def test_a_file_sets_up_logging_before_the_app_is_loaded(
    tmp_path: Path, served: list[dict[str, Any]], name: str, text: str
) -> None:
    place = write(tmp_path / "chat.py", APP + "\nimport logging\nLEVEL = logging.getLogger('shop.own').level\n")
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        assert run(f"{place}:app", "--log-config", write(tmp_path / name, text)).exit_code == 0
        assert sys.modules["chat"].LEVEL == logging.ERROR
    finally:
        logging.getLogger("shop.own").setLevel(logging.NOTSET)
        root.setLevel(level)
        root.handlers[:] = handlers


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.yaml", "version: 1", "cannot use a.yaml for logging: it has to be a file .json, .toml or .ini"),
        ("a.json", "{", "cannot use a.json for logging: Expecting property name"),
        ("a.json", "5", "cannot use a.json for logging: "),
        ("a.json", '{"version": 2}', "cannot use a.json for logging: Unsupported version: 2"),
        ("a.toml", "=", "cannot use a.toml for logging: Invalid statement"),
        ("a.ini", "[a]\n", "cannot use a.ini for logging: 'formatters'"),
        (
            "a.json",
            '{"version": 1, "root": {"level": "LOUD"}}',
            "Unable to configure root logger (Unknown level: 'LOUD')",
        ),
    ],
)
def test_a_file_that_sets_up_no_logging_is_one_line(tmp_path: Path, name: str, text: str, reason: str) -> None:
    write(tmp_path / name, text)
    assert reason in complaint(write(tmp_path / "chat.py"), "--log-config", name)


@pytest.mark.parametrize("name", ["a.json", "a.ini"])
def test_a_file_for_logging_that_is_not_there_is_one_line(tmp_path: Path, name: str) -> None:
    line = complaint(write(tmp_path / "chat.py"), "--log-config", name)
    assert line == f"cannot read {name}: No such file or directory"


def test_dev_reloads_and_debugs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    def run_reloading(command: list[str], folders: list[Path], *args: Any, **options: Any) -> int:
        calls.append((command[1:], folders, os.environ["TRIOWS_DEBUG"], options))
        return 0

    monkeypatch.setattr(restarting, "run_reloading", run_reloading)
    monkeypatch.setattr(sys, "argv", ["triows", "dev", "site/chat.py"])
    write(tmp_path / "site" / "chat.py")
    assert triows("dev", "site/chat.py").exit_code == 0
    ((command, folders, debug, options),) = calls
    assert command == ["-m", "triows", "dev", "site/chat.py"]
    assert (folders, debug) == ([tmp_path, tmp_path / "site"], "1")
    listening = {"host": "127.0.0.1", "port": 8000, "fds": (), "reuse_port": False, "socket_mode": None}
    assert options == listening


def test_a_program_of_ones_own_is_run_again_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run_reloading(command: list[str], *args: Any, **options: Any) -> int:
        commands.append(command)
        return 4

    monkeypatch.setattr(restarting, "run_reloading", run_reloading)
    monkeypatch.setattr(sys, "orig_argv", ["python", "manage.py", "run", "--reload"])
    group = TriowsGroup(name="manage", create_app=lambda: Triows("shop"))
    assert CliRunner().invoke(group, ["run", "--reload"]).exit_code == 4
    assert commands == [[sys.executable, "manage.py", "run", "--reload"]]


def test_dev_may_do_without_reloading(tmp_path: Path, served: list[dict[str, Any]]) -> None:
    assert triows("dev", write(tmp_path / "chat.py"), "--no-reload").exit_code == 0
    assert served[0]["app"].debug


def test_reloading_says_at_once_what_cannot_be(tmp_path: Path) -> None:
    assert complaint("nowhere/chat.py:app", "--reload") == "there is no file nowhere/chat.py"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = complaint(write(tmp_path / "chat.py"), "--reload", "--port", str(port))
    assert line.startswith(f"cannot listen on 127.0.0.1:{port}: the address is in use")


def test_the_version_is_told() -> None:
    result = triows("--version")
    assert (result.exit_code, "0." in result.stdout) == (0, True)


def test_the_help_names_every_option() -> None:
    text = run("--help").stdout
    for option in (
        "--host",
        "--port",
        "--fd",
        "--reuse-port",
        "--certfile",
        "--keyfile",
        "--reload",
        "--debug",
        "--env-file",
        "--log-level",
        "--log-config",
        "--root-path",
        "--ca-certs",
        "--no-access-log",
    ):
        assert option in text


def test_the_example_for_systemd_is_a_command_that_there_is() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(Path(__file__).parents[2] / "examples" / "systemd" / "chat.service")
    program, name, *arguments = unit["Service"]["ExecStart"].split()
    assert (Path(program).name, name) == ("triows", "run")
    assert run_command.make_context("run", arguments).params["target"] == "app.py:app"


# A process that serves


async def get(port: int, ssl_context: ssl.SSLContext | None = None) -> bytes:
    stream: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", port)
    if ssl_context is not None:
        stream = trio.SSLStream(stream, ssl_context, server_hostname="localhost", https_compatible=True)
    async with stream:
        wire = Wire(stream)
        await wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return (await wire.read_response()).body


async def test_it_prints_the_url_serves_logs_and_ends_by_sigint(tmp_path: Path) -> None:
    async with command(write(tmp_path / "chat.py")) as served:
        scheme, port = await served.address()
        assert scheme == "http"
        assert await get(port) == b"hello"
        code, errors = await served.end(signal.SIGINT)
    assert code == 0
    assert '"GET / HTTP/1.1" 200' in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("options", [(), ("--reload",)])
async def test_what_is_printed_comes_into_a_pipe_line_by_line(tmp_path: Path, options: tuple[str, ...]) -> None:
    text = APP.replace("return", "print('asked')\n    return") + "\nprint('loaded')\n"
    async with command(write(tmp_path / "chat.py", text), *options, PYTHONUNBUFFERED="") as served:
        assert await served.line() == "loaded"
        _, port = await served.address()
        assert await get(port) == b"hello"
        assert await served.line() == "asked"


async def test_app_run_prints_the_url_into_a_pipe_when_it_serves(tmp_path: Path) -> None:
    text = APP.replace("return", "print('asked')\n    return") + "\napp.run(port=0)\n"
    async with program(write(tmp_path / "chat.py", text), PYTHONUNBUFFERED="") as served:
        _, port = await served.address()
        assert await get(port) == b"hello"
        assert await served.line() == "asked"
        served.process.send_signal(signal.SIGTERM)
        assert await served.process.wait() == 0


async def test_it_serves_though_it_cannot_print_the_url(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        full_disk = ("sh", "-c", 'exec "$0" "$@" > /dev/full')
        options: Any = {"address": ("--fd", str(inherited.fileno())), "fds": [inherited.fileno()]}
        async with command(write(tmp_path / "chat.py"), "--no-access-log", wrapper=full_disk, **options) as served:
            assert await get(inherited.getsockname()[1]) == b"hello"
            assert await served.end(signal.SIGTERM) == (0, "")


async def test_it_serves_tls_without_an_access_log_and_ends_by_sigterm(tmp_path: Path) -> None:
    certfile, keyfile, authority = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    options = ("--certfile", certfile, "--keyfile", keyfile, "--no-access-log")
    async with command(write(tmp_path / "chat.py"), *options) as served:
        scheme, port = await served.address()
        assert scheme == "https"
        assert await get(port, context) == b"hello"
        code, errors = await served.end(signal.SIGTERM)
    assert (code, errors) == (0, "")


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    stubborn = APP.replace("Triows(__name__)", "Triows(__name__, shutdown_timeout=None)") + (
        "\nimport trio\n"
        "@app.after_serving\n"
        "async def never():\n"
        "    print('shutting down', flush=True)\n"
        "    await trio.sleep_forever()\n"
    )
    async with command(write(tmp_path / "chat.py", stubborn)) as served:
        await served.address()
        served.process.send_signal(signal.SIGINT)
        assert await served.line() == "shutting down"
        while served.process.poll() is None:
            served.process.send_signal(signal.SIGINT)  # what comes at once is the same signal
            await trio.sleep(0.02)
    assert served.process.returncode == 128 + signal.SIGINT
