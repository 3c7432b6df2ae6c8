"""The command ``triows``: run an app from a module or a file, and restart it when its code changes."""

from __future__ import annotations

import errno
import importlib.util
import inspect
import re
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import click
import trio
from click.core import ParameterSource

from .errors import ListenError
from .framework.application import App
from .server import listeners
from .server.process import reloading, systemd
from .server.process import runner as process
from .tasks.functions import is_async

_FILE_AND_NAME = re.compile(r"(.*\.py):([^:/\\]*)", re.DOTALL)
_MODULE_AND_NAME = re.compile(r"(.*):([^:/\\]*)", re.DOTALL)
_DEFAULT_NAMES = ("app", "application")
_FACTORY_NAMES = ("create_app", "make_app")
# Not by the exception's cause: Trio's nurseries do not all keep it.
_NO_SUCH_HOST = frozenset(value for name, value in vars(socket).items() if name.startswith("EAI_"))


class UsageError(Exception):
    """A target, address or file that the user named cannot be used: one line and exit code 2."""


def _read_mode(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Permissions of a file, in octal as chmod(1) takes them."""
    if value is None:
        return None
    if not re.fullmatch("(0o?)?[0-7]{1,3}", value):
        raise click.BadParameter(f"{value!r} is no mode; it must be octal, from 0 to 777, like 660")
    return int(value, 8)


@click.group()
@click.version_option(package_name="triows")
def main() -> None:
    """triows, the web framework for Trio."""


@main.command()
@click.argument("target", metavar="MODULE_OR_FILE[:NAME]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on, or unix:PATH.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any free one.")
@click.option("--fd", "fds", multiple=True, type=click.IntRange(0), help="Listening socket that is inherited, instead.")
@click.option("--socket-mode", metavar="MODE", callback=_read_mode, help="Permissions of the Unix socket, like 660.")
@click.option("--reuse-port", is_flag=True, help="Let other processes listen on the same port (SO_REUSEPORT).")
@click.option("--certfile", type=click.Path(), help="TLS certificate chain (PEM).")
@click.option("--keyfile", type=click.Path(), help="Its private key (PEM), unless it is in CERTFILE.")
@click.option("--reload", is_flag=True, help="Restart when a Python file changes (needs triows[reload]).")
@click.option("--access-log/--no-access-log", default=True, show_default=True, help="Log each request.")
@click.pass_context
def run(
    context: click.Context,
    target: str,
    host: str,
    port: int,
    fds: tuple[int, ...],
    socket_mode: int | None,
    reuse_port: bool,
    certfile: str | None,
    keyfile: str | None,
    reload: bool,
    access_log: bool,
) -> None:
    """Serve an app: NAME (default: app) in a module (pkg.mod) or file (chat.py), until SIGINT or SIGTERM.

    'chat.py:create_app()' calls a function that makes the app.

    Sockets that systemd passes (LISTEN_FDS) take the place of host and port. Limits are the app's; see its config.
    """
    try:
        if fds:
            _refuse_beside_descriptors(context, "host", "port", "reuse_port", "socket_mode")
        if reload:
            sys.exit(_run_reloading(target, host, port, fds, socket_mode, reuse_port))
        else:
            _run(target, host, port, fds, socket_mode, reuse_port, certfile, keyfile, access_log)
    except UsageError as error:
        click.echo(f"triows: {error}", err=True)
        sys.exit(2)


def _refuse_beside_descriptors(context: click.Context, *names: str) -> None:
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--fd is given, a socket that listens already: leave out --{name.replace('_', '-')}")


def _run(
    target: str,
    host: str,
    port: int,
    fds: Sequence[int],
    socket_mode: int | None,
    reuse_port: bool,
    certfile: str | None,
    keyfile: str | None,
    access_log: bool,
) -> None:
    parent = reloading.take_parent()
    ssl_context = load_certificate(certfile, keyfile)
    process.set_up_output()
    with process.loading():
        app = load_app(target)
    served = ExitStack()
    try:
        served.enter_context(app.served_natively())
    except (RuntimeError, TypeError) as refusal:
        raise UsageError(f"cannot serve {target}: {refusal}") from refusal
    with served, _listening_failures(host, port):
        process.run(
            app,
            host,
            port,
            fds=fds if parent is None else parent.fds,
            reuse_port=reuse_port and parent is None,
            socket_mode=socket_mode if parent is None else None,
            ssl_context=ssl_context,
            access_log=access_log,
            announce=click.echo,
            parent=parent,
        )


@contextmanager
def _listening_failures(host: str, port: int) -> Iterator[None]:
    """Make of an error of listening one for the user."""
    try:
        yield
    except (ListenError, listeners.ListenSettingError) as error:
        raise UsageError(_listening_failure(error, host, port)) from error


def _listening_failure(error: ListenError | listeners.ListenSettingError, host: str, port: int) -> str:
    if not isinstance(error, ListenError):
        return f"cannot listen: {error}"
    path = listeners.unix_path(host)
    if path is not None:
        return f"cannot listen on {host}: {_file_failure(error, path)}"
    return f"cannot listen on {host}:{port}: {_address_failure(error)}"


def _file_failure(error: ListenError, path: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there" if Path(path).is_socket() else "there is a file that is no socket"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "there is no such directory"
    return error.strerror or str(error)


def _address_failure(error: ListenError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use by another program (choose another with --port)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "permission denied"
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return "this machine has no such address"
    if error.errno in _NO_SUCH_HOST:
        return "there is no such host"
    return error.strerror or str(error)


def load_certificate(certfile: str | None, keyfile: str | None) -> ssl.SSLContext | None:
    """The TLS context for a certificate, None without one.

    :raises UsageError: if the files cannot be used.
    """
    if certfile is None:
        if keyfile is not None:
            raise UsageError("--keyfile needs --certfile")
        return None
    for path in filter(None, (certfile, keyfile)):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certfile, keyfile, password=_refuse_password)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        files = f"{certfile} is" if keyfile is None else f"{certfile} and {keyfile} are"
        raise UsageError(f"{files} no certificate with its key (PEM): {reason}") from error
    return context


def _refuse_password() -> NoReturn:
    raise ValueError("the key is encrypted")


def load_app(target: str) -> App:
    """The app that ``MODULE_OR_FILE[:NAME]`` names, or that the function makes whose NAME ends with ``()``.

    :raises UsageError: if there is none. Errors in the module itself are raised as they are.
    """
    place, name = split_target(target)
    module = _load_file(Path(place)) if _is_path(place) else _load_module(place)
    if name:
        names: tuple[str, ...] = (name,)
    else:
        names = _DEFAULT_NAMES
    for candidate in names:
        value: Any = module
        for part in candidate.removesuffix("()").split("."):
            value = getattr(value, part, None)
        if candidate.endswith("()") and value is not None:
            value = _call_factory(value, place, candidate)
        if isinstance(value, App):
            return value
        if value is not None:
            raise UsageError(
                f"{candidate} in {place} is {type(value).__name__}, not a Triows app{_advice(value, place, candidate)}"
            )
    apps = sorted(key for key, value in vars(module).items() if isinstance(value, App))
    factories = [key for key in _FACTORY_NAMES if callable(getattr(module, key, None))]
    if apps:
        hint = f"; it has {', '.join(apps)}"
    elif factories:
        hint = f"; if {factories[0]} makes it, write '{place}:{factories[0]}()'"
    else:
        hint = "; it has no Triows app at all"
    raise UsageError(f"there is no {' or '.join(names)} in {place}{hint}")


def split_target(target: str) -> tuple[str, str]:
    """The module or file, and the name in it; the name is empty if there is none.

    A path may have colons, and begins with one behind the drive on Windows. So the name comes after ``.py:`` or else
    after the last colon, and has no slash.
    """
    if Path(target).is_file():
        return target, ""
    match = _FILE_AND_NAME.fullmatch(target) or (None if target.endswith(".py") else _MODULE_AND_NAME.fullmatch(target))
    return (target, "") if match is None else (match[1], match[2])


def _is_path(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place


def _call_factory(factory: Any, place: str, name: str) -> Any:
    if not callable(factory):
        raise UsageError(f"{name} in {place} is {type(factory).__name__}, which cannot be called: leave out the ()")
    value = factory()
    if inspect.iscoroutine(value):
        value.close()
        raise UsageError(f"{name} in {place} is async, and no event loop runs yet: make the app in a plain function")
    return value


def _advice(value: Any, place: str, name: str) -> str:
    """What to write instead, to end a message with: for ASGI middleware around an app, or a function that makes one."""
    if is_async(value):
        module = Path(place).stem if place.endswith(".py") else place
        return (
            f"; if it is ASGI middleware around one, serve it by an ASGI server (hypercorn -k trio {module}:{name}),"
            " since triows's own would not run it"
        )
    return f"; if it makes one, write '{place}:{name}()'" if inspect.isroutine(value) else ""


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    if path.suffix != ".py":
        raise UsageError(f"{path} is not a Python file")


def _load_file(path: Path) -> ModuleType:
    _check_file(path)
    # As `python file.py` does, so that the app finds the modules beside it.
    sys.path.insert(0, str(path.resolve().parent))
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _load_module(name: str) -> ModuleType:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the named module or its packages: a missing import inside the app is the app's error.
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise UsageError(f"there is no module {name} (for a file, write {name}.py)") from error
        raise
    except (TypeError, ValueError) as error:
        # What import_module() says of an empty or relative name; anything else is the app's.
        if name and not name.startswith("."):
            raise
        raise UsageError(f"{name!r} is neither a module nor a file") from error


def _run_reloading(
    target: str, host: str, port: int, fds: Sequence[int], socket_mode: int | None, reuse_port: bool
) -> int:
    """Run the app in a process of its own, and restart that when files change; return the exit code."""
    place, _ = split_target(target)
    folders = [Path.cwd()]
    if _is_path(place):
        _check_file(Path(place))
        folders.append(Path(place).resolve().parent)
    command = [sys.executable, "-m", "triows", *(argument for argument in sys.argv[1:] if argument != "--reload")]
    try:
        reloader = reloading.Reloader(command, folders, click.echo)
    except ImportError as error:
        raise UsageError("--reload needs watchfiles: pip install 'triows[reload]'") from error
    with ExitStack() as stack:
        inherited = []
        if reloading.INHERITS:
            with _listening_failures(host, port):
                fds = fds or systemd.take_descriptors()
                options: dict[str, Any] = {"fds": fds, "reuse_port": reuse_port, "socket_mode": socket_mode}
                opened = trio.run(partial(listeners.open_listeners, host, port, **options))
            inherited = [listener.socket.detach() for listener in opened]
            if not fds and (path := listeners.unix_path(host)) is not None:
                stack.callback(listeners.SocketFile(path).remove)
        return reloader.run(inherited)
