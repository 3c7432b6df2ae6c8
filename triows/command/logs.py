"""``--log-level`` and ``--log-config``."""

from __future__ import annotations

import json
import logging
import logging.config
import tomllib
from pathlib import Path
from typing import Any

from .errors import CommandError

LEVELS = ("critical", "error", "warning", "info", "debug")


def configure(path: str) -> None:
    """Set up logging by a file: ``.json`` and ``.toml`` for ``dictConfig()``, ``.ini`` for ``fileConfig()``.

    :raises CommandError: if it cannot be read, or is no such configuration.
    """
    suffix = Path(path).suffix.lower()
    try:
        if suffix in (".ini", ".cfg", ".conf"):
            if not Path(path).is_file():
                raise FileNotFoundError(2, "No such file or directory")
            logging.config.fileConfig(path, disable_existing_loggers=False, encoding="utf-8")
        elif suffix in (".json", ".toml"):
            text = Path(path).read_text(encoding="utf-8")
            config: dict[str, Any] = json.loads(text) if suffix == ".json" else tomllib.loads(text)
            logging.config.dictConfig(config)
        else:
            raise CommandError(f"cannot use {path} for logging: it has to be a file .json, .toml or .ini")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, ImportError, KeyError, RuntimeError) as error:
        cause = f" ({error.__cause__})" if error.__cause__ is not None else ""
        raise CommandError(f"cannot use {path} for logging: {error or type(error).__name__}{cause}") from error


def set_level(logger: logging.Logger, name: str | None) -> None:
    """Set the level that the user has named, if any."""
    if name is not None:
        logger.setLevel(name.upper())
