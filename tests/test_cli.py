"""The command: what it serves, how it ends, and the one clear line for each thing that the user may get wrong.

Tests triows/__main__.py.
"""

from __future__ import annotations

import builtins
import configparser
import inspect
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from triows import Triows
from triows.cli import load_app, main, split_target
from triows.cli import run as run_command

from .support.commands import APP, certificate, command, program, write
from .support.wire import Wire


@pytest.fixture(autouse=True)
def _imports_are_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loading an app leaves modules and paths behind; each test begins in an empty folder."""
    monkeypatch.chdir(tmp_path)
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


# Before version 8.2, Click put both streams into one unless it was told not to.
APART: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def run(*arguments: str) -> Result:
    return CliRunner(**APART).invoke(main, ["run", *arguments])


def complaint(*arguments: str) -> str:
    """The one line that the command says before it ends with exit code 2."""
    result = run(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("triows: ")
    return lines[0].removeprefix("triows: ")


# What to serve


def test_an_app_is_loaded_from_a_file(tmp_path: Path) -> None:
    app = load_app(write(tmp_path / "chat.py"))
    assert isinstance(app, Triows)
    assert app.name == "chat"


def test_a_file_finds_the_modules_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "folder" / "beside_it.py", "name = 'found'")
    place = write(tmp_path / "folder" / "main.py", "import beside_it\n" + APP + "\napp.name = beside_it.name")
    assert load_app(place).name == "found"


def test_an_app_is_loaded_from_a_module_in_the_working_directory(tmp_path: Path) -> None:
    write(tmp_path / "chatting.py")
    assert load_app("chatting").name == "chatting"


def test_an_app_is_loaded_from_a_module_of_a_package(tmp_path: Path) -> None:
    write(tmp_path / "chat_package" / "__init__.py", "")
    write(tmp_path / "chat_package" / "web.py")
    assert load_app("chat_package.web:app").name == "chat_package.web"


def test_the_app_may_have_another_name(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", APP + "\nclass holder: mine = Triows('mine')")
    assert load_app(f"{place}:holder.mine").name == "mine"


def test_the_app_may_be_called_application(tmp_path: Path) -> None:
    assert load_app(write(tmp_path / "chat.py", APP.replace("app", "application"))).name == "chat"


def test_a_missing_file_is_one_line() -> None:
    assert complaint("nowhere/chat.py") == "there is no file nowhere/chat.py"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "there is no file" in complaint("./folder")


def test_a_file_of_another_kind_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "folder" / "notes.txt", "")
    assert complaint("folder/notes.txt") == "folder/notes.txt is not a Python file"


@pytest.mark.parametrize("name", ["nowhere_at_all", "os.nowhere", "json.decoder.nowhere", "nowhere_at_all.deeper"])
def test_a_missing_module_is_one_line(name: str) -> None:
    assert f"there is no module {name}" in complaint(name)


@pytest.mark.parametrize("name", ["", ".relative", "..", ":app"])
def test_a_name_that_no_module_can_have_is_one_line(name: str) -> None:
    assert "is neither a module nor a file" in complaint(name)


def test_a_wrong_name_is_one_line_with_the_right_ones(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", APP + "\nother = app")
    assert complaint(f"{place}:wrong") == f"there is no wrong in {place}; it has app, other"


def test_a_module_without_an_app_is_one_line(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", "")
    assert complaint(place) == f"there is no app or application in {place}; it has no Triows app at all"


FACTORY = """
from triows import Triows

def create_app():
    return Triows("made")

class holder:
    def make():
        return Triows("made too")
"""


def test_a_path_may_have_colons(tmp_path: Path) -> None:
    place = write(tmp_path / "with:colon" / "a:b.py")
    assert load_app(place).name == "a:b"
    assert load_app(f"{place}:app").name == "a:b"


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (r"C:\work\app.py:app", (r"C:\work\app.py", "app")),
        (r"C:\work\app.py", (r"C:\work\app.py", "")),
        (r"C:\work\app.py:create_app()", (r"C:\work\app.py", "create_app()")),
        (r"C:\work\folder", (r"C:\work\folder", "")),
        ("C:/work/app.py:holder.app", ("C:/work/app.py", "holder.app")),
        ("C:app.py", ("C:app.py", "")),
        ("C:app.py:app", ("C:app.py", "app")),
        ("/a:b/app.py:app", ("/a:b/app.py", "app")),
        ("/a:b/app.py", ("/a:b/app.py", "")),
        ("/a.py:b/app.py", ("/a.py:b/app.py", "")),
        ("/a.py:b/app.py:app", ("/a.py:b/app.py", "app")),
        ("./a:b/folder", ("./a:b/folder", "")),
        ("app.py:", ("app.py", "")),
        ("app.py:holder.py", ("app.py", "holder.py")),
        ("package.module:app", ("package.module", "app")),
        ("package.module:create_app()", ("package.module", "create_app()")),
        ("package.module", ("package.module", "")),
        (":app", ("", "app")),
    ],
)
def test_the_name_comes_after_the_file_or_the_last_colon(target: str, parts: tuple[str, str]) -> None:
    assert split_target(target) == parts


MIDDLEWARE = (
    APP
    + """
class Deny:
    def __init__(self, inner): pass
    async def __call__(self, scope, receive, send): pass
"""
)


def test_an_app_with_middleware_is_one_line(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", MIDDLEWARE + "app.asgi_app = Deny(app.asgi_app)")
    text = complaint(place, "--port", "0")
    assert text.startswith(f"cannot serve {place}: app.asgi_app was set to Deny, but ")
    assert "hypercorn -k trio module:app" in text


def test_an_app_inside_of_middleware_is_one_line(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", MIDDLEWARE + "app = Deny(app)")
    text = complaint(place)
    assert text.startswith(f"app in {place} is Deny, not a Triows app; ")
    assert "hypercorn -k trio chat:app" in text


def test_an_app_whose_subdomains_have_no_domain_is_one_line(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", APP + "\napp.get('/', subdomain='api', endpoint='api')(print)")
    assert "set app.config['SERVER_NAME']" in complaint(place, "--port", "0")


def test_something_else_than_an_app_is_one_line(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", "app = 5")
    assert complaint(place) == f"app in {place} is int, not a Triows app"


def test_a_function_that_makes_the_app_is_called(tmp_path: Path) -> None:
    assert load_app(f"{write(tmp_path / 'chat.py', FACTORY)}:create_app()").name == "made"
    assert load_app("chat:holder.make()").name == "made too"


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("chat.py:create_app", "create_app in chat.py is function, not a Triows app; if it makes one, {}"),
        ("chat.py", "there is no app or application in chat.py; if create_app makes it, {}"),
    ],
)
def test_a_function_that_would_have_to_be_called_is_one_line(tmp_path: Path, target: str, line: str) -> None:
    write(tmp_path / "chat.py", FACTORY)
    assert complaint(target) == line.format("write 'chat.py:create_app()'")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("number()", "is int, which cannot be called: leave out the ()"),
        ("slow()", "is async, and no event loop runs yet: make the app in a plain function"),
        ("other()", "is int, not a Triows app"),
    ],
)
def test_what_makes_no_app_is_one_line(tmp_path: Path, name: str, reason: str) -> None:
    write(tmp_path / "chat.py", "number = 5\nasync def slow(): pass\ndef other(): return 5\n")
    assert complaint(f"chat.py:{name}") == f"{name} in chat.py {reason}"


def test_a_missing_function_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "chat.py", FACTORY)
    assert complaint("chat.py:wrong()").startswith("there is no wrong() in chat.py; ")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("1 / 0", ZeroDivisionError),
        ("import nowhere_at_all", ModuleNotFoundError),
        ("int('x')", ValueError),
        ("None.x()", AttributeError),
        ("int(None)", TypeError),
        ("a b", SyntaxError),
    ],
)
@pytest.mark.parametrize("target", ["broken_app.py", "broken_app"])
def test_an_error_in_the_app_itself_is_raised_as_it_is(
    tmp_path: Path, target: str, text: str, error: type[Exception]
) -> None:
    write(tmp_path / "broken_app.py", text)
    assert type(run(target).exception) is error


def test_an_error_in_the_app_itself_is_shown_with_its_traceback(tmp_path: Path) -> None:
    place = write(tmp_path / "broken_app.py", "1 / 0")
    done = subprocess.run([sys.executable, "-m", "triows", "run", place], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


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
    assert "is str, not a Triows app" in complaint(write(tmp_path / "chat.py", "app = 'none'"))
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
    line = complaint(write(tmp_path / "chat.py"), "--host", "nowhere.invalid")
    assert line == "cannot listen on nowhere.invalid:8000: there is no such host"


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
    assert isinstance(result.exception, OSError)
    assert result.exception.strerror == "no data"


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
    assert str(result.exception) == "no data"


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


def test_reloading_without_watchfiles_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "watchfiles":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    line = complaint(write(tmp_path / "chat.py"), "--reload")
    assert line == "--reload needs watchfiles: pip install 'triows[reload]'"


def test_reloading_says_at_once_what_cannot_be(tmp_path: Path) -> None:
    assert complaint("nowhere/chat.py:app", "--reload") == "there is no file nowhere/chat.py"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = complaint(write(tmp_path / "chat.py"), "--reload", "--port", str(port))
    assert line.startswith(f"cannot listen on 127.0.0.1:{port}: the address is in use")


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(main, ["--version"])
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
        "--no-access-log",
    ):
        assert option in text


def test_the_example_for_systemd_is_a_command_that_there_is() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read(Path(__file__).parent.parent / "examples" / "systemd" / "chat.service")
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
