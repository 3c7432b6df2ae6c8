"""Files of environment variables: ``.env`` and ``.triowsenv``, which python-dotenv reads."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from ..tasks.terminal import styled
from .errors import CommandError

FILES = (".env", ".triowsenv")
_REMEDY = "pip install 'triows[dotenv]'"
_found: set[str] = set()
"""The variables that files have set which nobody has named; those of a file that the user names come before them."""


def load_dotenv(path: str | os.PathLike[str] | None = None, names: Sequence[str] = FILES) -> bool:
    """Set the environment variables of a file, but for those that are set already; return whether a file was loaded.

    Without python-dotenv nothing is loaded, and a line says so if there is a file.

    :param path: the file. None: the files of these names in the working directory, or in the next folder above that has
        them, the first before the others.
    """
    try:
        import dotenv
    except ImportError:
        there = [os.fspath(name) for name in ([path] if path is not None else names) if os.path.isfile(name)]
        if there:
            tip = f"{there[0]} is there and not loaded, for want of python-dotenv: {_REMEDY}"
            click.echo(f"{styled('triows:', 'warning')} {tip}", err=True, color=True)
        return False
    if path is not None:
        return os.path.isfile(path) and dotenv.load_dotenv(path, encoding="utf-8")
    before = set(os.environ)
    found = [file for name in names if (file := dotenv.find_dotenv(name, usecwd=True))]
    for file in found:
        dotenv.load_dotenv(file, encoding="utf-8")
    _found.update(os.environ.keys() - before)
    return bool(found)


def load_env_file(path: str) -> None:
    """Load the file that the user has named.

    :raises CommandError: if there is no such file, it cannot be read, a line of it makes no sense, or python-dotenv is
        not there.
    """
    try:
        import dotenv
        from dotenv.parser import parse_stream
    except ImportError as error:
        raise CommandError(f"--env-file needs python-dotenv: {_REMEDY}") from error
    try:
        with open(path, encoding="utf-8") as file:
            for statement in parse_stream(file):
                if statement.error:
                    text, line = statement.original
                    line += len(text[: -len(text.lstrip())].splitlines())  # the blank lines before it are its own
                    raise CommandError(f"cannot read {path}: line {line} is no NAME=VALUE")
            file.seek(0)
            variables = dotenv.dotenv_values(stream=file)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"cannot read {path}: it is not in UTF-8") from error
    for name, value in variables.items():
        if value is not None and (name not in os.environ or name in _found):
            os.environ[name] = value
