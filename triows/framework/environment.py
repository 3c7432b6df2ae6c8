"""What the environment says of the development of apps: ``TRIOWS_DEBUG``, and ``TRIOWS_SKIP_DOTENV``."""

from __future__ import annotations

import os

from .config import read_flag

DEBUG = "TRIOWS_DEBUG"
SKIP_DOTENV = "TRIOWS_SKIP_DOTENV"


def debug_of_environment() -> bool | None:
    """Return what ``TRIOWS_DEBUG`` says; None where it is not set, or empty.

    :raises TypeError: if it is neither true nor false.
    """
    value = os.environ.get(DEBUG)
    return read_flag(DEBUG, value) if value else None


def get_debug_flag() -> bool:
    """Whether ``TRIOWS_DEBUG`` switches debug mode on."""
    return bool(debug_of_environment())


def get_load_dotenv(default: bool = True) -> bool:
    """Whether commands look for ``.env`` files: ``default``, unless ``TRIOWS_SKIP_DOTENV`` is set."""
    value = os.environ.get(SKIP_DOTENV)
    return not read_flag(SKIP_DOTENV, value) if value else default
