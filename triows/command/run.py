"""``triows run``, which serves an app until a signal, and ``triows dev``, which reloads and debugs it besides."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..errors import ListenError
from ..server.listeners import ListenSettingError
from ..server.process import reloading, restarting
from ..server.process import runner as process
from ..tasks.terminal import styled
from ..tasks.tracebacks import format_from_app
from . import discovery, logs
from .errors import CommandError
from .groups import ScriptInfo, app_option, debug_option, env_file_option, name_app, target_argument
from .listening import listening_failures, load_certificate


def _read_mode(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Permissions of a file, in octal as chmod(1) takes them."""
    if value is None:
        return None
    if not re.fullmatch("(0o?)?[0-7]{1,3}", value):
        raise click.BadParameter(f"{value!r} is no mode; it must be octal, from 0 to 777, like 660")
    return int(value, 8)


def _read_root_path(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value and not value.startswith("/"):
        raise click.BadParameter(f"{value!r} is no path; it begins with a slash, like /chat")
    return value


def _options(*, reload: bool) -> list[click.Parameter]:
    port = click.IntRange(0, 65535)
    return [
        target_argument(),
        app_option(),
        click.Option(["-h", "--host"], default="127.0.0.1", show_default=True, help="Address, or unix:PATH."),
        click.Option(["-p", "--port"], default=8000, show_default=True, type=port, help="Port; 0: any free one."),
        debug_option(reload or None),
        click.Option(
            ["--reload/--no-reload"],
            default=reload,
            show_default=True,
            help="Restart when a Python file changes.",
        ),
        env_file_option(),
        click.Option(
            ["--log-level"],
            type=click.Choice(logs.LEVELS, case_sensitive=False),
            help="Level of the loggers of triows and of the app; by default info, or debug for a debugged app.",
        ),
        click.Option(["--log-config"], metavar="FILE", help="Set up logging by FILE: .json, .toml or .ini."),
        click.Option(
            ["--access-log/--no-access-log"], default=True, show_default=True, help="Log each request and websocket."
        ),
        click.Option(
            ["--root-path"],
            metavar="PATH",
            default="",
            callback=_read_root_path,
            help="Path under which a proxy has mounted the app.",
        ),
        click.Option(["--certfile"], metavar="FILE", help="TLS certificate chain (PEM)."),
        click.Option(["--keyfile"], metavar="FILE", help="Its private key (PEM), unless it is in that of --certfile."),
        click.Option(
            ["--ca-certs"], metavar="FILE", help="Authorities (PEM); clients need a certificate that one has issued."
        ),
        click.Option(
            ["--fd", "fds"],
            metavar="NUMBER",
            multiple=True,
            type=click.IntRange(0),
            help="Listening socket that is inherited, instead of an address.",
        ),
        click.Option(
            ["--socket-mode"],
            metavar="MODE",
            callback=_read_mode,
            help="Permissions of the Unix socket, like 660.",
        ),
        click.Option(
            ["--reuse-port"], is_flag=True, help="Let other processes listen on the same port (SO_REUSEPORT)."
        ),
    ]


def _command(name: str, short_help: str, help: str, *, reload: bool = False) -> click.Command:
    return click.Command(name, callback=_run, params=_options(reload=reload), help=help, short_help=short_help)


@click.pass_context
def _run(context: click.Context, /, target: str | None, reload: bool, **options: Any) -> None:
    info = context.ensure_object(ScriptInfo)
    name_app(context, info, target)
    if options["fds"]:
        _refuse_beside_descriptors(context, "host", "port", "reuse_port", "socket_mode")
    parent = reloading.take_parent()
    if reload and parent is None:
        sys.exit(_run_reloading(info, options))
    _serve(info, parent, **options)


def _refuse_beside_descriptors(context: click.Context, *names: str) -> None:
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise CommandError(f"--fd is given, a socket that listens already: leave out --{name.replace('_', '-')}")


def _run_reloading(info: ScriptInfo, options: dict[str, Any]) -> int:
    """Run the app in a process of its own, and restart that when files change; return the exit code."""
    folders = [Path.cwd()]
    if info.create_app is None:
        target = discovery.read_target(info.app_import_path)
        discovery.check_file(target)
        if target.is_path:
            folders.append(target.path.resolve().parent)
        run: Callable[..., int] = partial(restarting.run_reloading, [sys.executable, "-m", "triows", *sys.argv[1:]])
    else:
        run = restarting.rerun_program
    listening: dict[str, Any] = {name: options[name] for name in ("host", "port", "fds", "reuse_port", "socket_mode")}
    with listening_failures(options["host"], options["port"]):
        return run(folders, process.print_line, **listening)


def _serve(
    info: ScriptInfo,
    parent: reloading.Parent | None,
    *,
    certfile: str | None,
    keyfile: str | None,
    ca_certs: str | None,
    log_level: str | None,
    log_config: str | None,
    host: str,
    port: int,
    **options: Any,
) -> None:
    ssl_context = load_certificate(certfile, keyfile, ca_certs)
    if log_config is not None:
        logs.configure(log_config)
    logs.set_level(logging.getLogger("triows"), log_level)  # before the output is set up, which leaves it then
    process.set_up_output()
    app = info.load_app()
    logs.set_level(app.logger, log_level)
    served = ExitStack()
    try:
        served.enter_context(app.served_natively())
    except (RuntimeError, TypeError) as refusal:
        raise CommandError(f"cannot serve {info.app_import_path or app.name}: {refusal}") from refusal
    with served, listening_failures(host, port), _failures_of_the_app():
        process.run(app, host, port, ssl_context=ssl_context, parent=parent, **options)


@contextmanager
def _failures_of_the_app() -> Iterator[None]:
    """End the program with the traceback of an error of the app, at its start or in a background task, as one block."""
    try:
        yield
    except (ListenError, ListenSettingError):
        raise
    except Exception as error:
        text = f"{styled('triows:', 'error')} the app has failed\n{format_from_app(error)}"
        click.echo(text.rstrip(), err=True, color=True)
        sys.exit(1)


run_command: click.Command = _command(
    "run",
    "Serve an app.",
    """Serve an app until SIGINT or SIGTERM.

    It is NAME (by default app, application, the only app, or what create_app() or make_app() returns) in a module
    (pkg.mod) or a file (chat.py). 'chat.py:create_app("test")' calls a function that makes the app. Without a target it
    is in app.py, main.py, or a package of these names.

    Sockets that systemd passes (LISTEN_FDS) take the place of host and port. Limits are the app's; see its config.
    """,
)
dev_command: click.Command = _command(
    "dev",
    "Serve an app in debug mode, and restart it when it changes.",
    """Serve an app while it is developed: 'triows run' with --reload and --debug.""",
    reload=True,
)
