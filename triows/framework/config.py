"""The configuration of an app: a dict with ways to fill it, and the defaults."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from itertools import count
from types import ModuleType
from typing import IO, Any, Self

from werkzeug.utils import import_string

from ..connection.checks import MAX_NUMBER, Check, did_you_mean, short_repr, size, split_at_commas
from ..connection.limits import DEFAULTS, KEYS, check_limit
from ..protocol.websocket.compression import Compression
from ..tasks.default_handler import LOG_FORMATS
from ..tasks.error_log import error_log
from ..web.suggestions import suggests_arguments
from .quart_names import SETTINGS

DEFAULT_CONFIG: dict[str, Any] = {
    # Whether logs show the values of queries.
    "ACCESS_LOG_QUERY": False,
    "APPLICATION_ROOT": "/",
    # Whether an unhandled error in app.nursery ends the app, instead of being logged only.
    "BACKGROUND_TASK_CRASH_STOPS": False,
    "DEBUG": False,
    # The app's own: nothing here reads it, as in Quart.
    "ENV": None,
    # Whether the log says where each template was looked for.
    "EXPLAIN_TEMPLATE_LOADING": False,
    # How triows writes what no log handler of the program takes: "text" or "json". None: as TRIOWS_LOG_FORMAT says.
    "LOG_FORMAT": None,
    "MAX_CONTENT_LENGTH": None,
    "MAX_COOKIE_SIZE": 4093,
    "MAX_FORM_MEMORY_SIZE": 500_000,
    "MAX_FORM_PARTS": 1_000,
    "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
    "PREFERRED_URL_SCHEME": "http",
    # Whether errors that no error handler takes are raised: in tests, and to the ASGI middleware and server around the
    # app. None: in tests alone.
    "PROPAGATE_EXCEPTIONS": None,
    # Whether the app answers OPTIONS itself, for the routes that are added after the setting.
    "PROVIDE_AUTOMATIC_OPTIONS": True,
    "SECRET_KEY": None,
    "SECRET_KEY_FALLBACKS": None,
    # For how long caches may keep files: seconds or a timedelta; None: no such time.
    "SEND_FILE_MAX_AGE_DEFAULT": timedelta(hours=12),
    "SERVER_NAME": None,
    "SESSION_COOKIE_DOMAIN": None,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_NAME": "session",
    "SESSION_COOKIE_PARTITIONED": False,
    "SESSION_COOKIE_PATH": None,
    "SESSION_COOKIE_SAMESITE": None,
    "SESSION_COOKIE_SECURE": False,
    "SESSION_REFRESH_EACH_REQUEST": True,
    # Whether templates are compiled again when their files have changed. None: in debug mode.
    "TEMPLATES_AUTO_RELOAD": None,
    "TESTING": False,
    # Whether HTTP errors without a handler are errors of the view: logged, answered with 500, raised in tests. None:
    # only in debug mode, and only for a missing key of a form.
    "TRAP_BAD_REQUEST_ERRORS": None,
    "TRAP_HTTP_EXCEPTIONS": False,
    # Whether files are sent by the web server in front, which the header X-Sendfile tells the path.
    "USE_X_SENDFILE": False,
    **{KEYS[name]: default for name, default in DEFAULTS.items()},
}
"""The config of a new app. It has the limits of :mod:`triows.connection.limits` under their names in capitals."""


_revisions = count()
_SURROGATES = re.compile("[\udc80-\udcff]")


class Config(dict[str, Any]):
    """A dict whose keys in capitals configure an app and its extensions.

    The limits (``MAX_MESSAGE_SIZE``, ``PING_INTERVAL``, ``MAX_FORM_PARTS`` ...), the switches (``DEBUG``,
    ``SESSION_COOKIE_SECURE`` ...) and the settings of sessions are checked when they are set: a wrong type raises
    :exc:`TypeError`, a value that makes no sense :exc:`ValueError`.

    :param root_path: the folder of configuration files whose names are relative; by default the working directory.
    :param defaults: the settings to begin with.
    """

    def __init__(
        self, root_path: str | os.PathLike[str] | None = None, defaults: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        if isinstance(root_path, Mapping):
            raise TypeError("the first argument of Config() is root_path, a folder; write Config(defaults={...})")
        self.root_path: str | os.PathLike[str] = "" if root_path is None else root_path
        self._touch()
        self.update(defaults or {})

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, check_setting(key, value))
        self._touch()

    def __missing__(self, key: str) -> Any:
        raise KeyError(f"{key!r} is not in the config{did_you_mean(str(key), self)}")

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._touch()

    def _touch(self) -> None:
        # Values that were derived from a config hold for one revision. No two configs have the same revision.
        self.revision: int = next(_revisions)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "revision"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._touch()

    def copy(self) -> Self:
        """Return a config with the same settings, which may be another app's ``config``."""
        return copy(self)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set many keys, each as ``config[key] = value`` does."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> Config:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return ``config[key]``, set to ``default`` first if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Remove and return an item, as a dict does."""
        value = super().pop(key, *default)
        self._touch()
        return value

    def from_mapping(self, mapping: Mapping[str, Any] | None = None, **kwargs: Any) -> bool:
        """Take the keys in capitals from ``mapping`` and the keyword arguments; the others are ignored."""
        for key, value in {**(mapping or {}), **kwargs}.items():
            if key.isupper():
                self[key] = value
        return True

    def from_object(self, obj: object) -> None:
        """Take the attributes in capitals of a module, class or object, which may be named by an import string."""
        source = import_string(obj) if isinstance(obj, str) else obj
        for key in dir(source):
            if key.isupper():
                self[key] = getattr(source, key)

    @suggests_arguments
    def from_pyfile(self, filename: str | os.PathLike[str], silent: bool = False) -> bool:
        """Run a Python file, and take the names in capitals that it defines.

        :param filename: absolute, or relative to ``root_path``.
        :param silent: whether to return False if there is no such file.
        :raises OSError: if the file cannot be read.
        """
        with self._open(filename, "rb", silent) as file:
            if file is None:
                return False
            module = ModuleType("config")
            module.__file__ = file.name
            exec(compile(file.read(), file.name, "exec"), module.__dict__)
        self.from_object(module)
        return True

    @suggests_arguments
    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """Do what :meth:`from_pyfile` does, with the file that an environment variable names.

        :param silent: whether to return False if the variable is not set or empty, or there is no such file.
        :raises RuntimeError: if the variable is not set or empty.
        """
        filename = os.environ.get(variable_name)
        if filename:
            return self.from_pyfile(filename, silent)
        if silent:
            return False
        raise RuntimeError(
            f"the environment variable {variable_name} is not set or empty; set it to the path of a configuration file,"
            " or give silent=True to do without one"
        )

    @suggests_arguments
    def from_file(
        self,
        filename: str | os.PathLike[str],
        load: Callable[[Any], Mapping[str, Any]],
        silent: bool = False,
        text: bool = True,
    ) -> bool:
        """Take the keys in capitals of what ``load`` (``json.load``, ``tomllib.load`` with ``text=False``) reads.

        :param filename: absolute, or relative to ``root_path``.
        :param silent: whether to return False if there is no such file.
        :raises OSError: if the file cannot be read.
        """
        with self._open(filename, "r" if text else "rb", silent) as file:
            return False if file is None else self.from_mapping(load(file))

    def _open(
        self, filename: str | os.PathLike[str], mode: str, silent: bool
    ) -> AbstractContextManager[IO[Any] | None]:
        path = os.path.join(self.root_path, filename)
        try:
            return open(path, mode, encoding=None if "b" in mode else "utf-8")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            if silent:
                return nullcontext()
            error.strerror = f"there is no configuration file ({error.strerror})"
            raise

    @suggests_arguments
    def from_prefixed_env(self, prefix: str = "TRIOWS", *, loads: Callable[[str], Any] = json.loads) -> bool:
        """Take the environment variables that begin with ``prefix`` and an underscore.

        ``TRIOWS_PING_INTERVAL=5`` sets ``PING_INTERVAL``. Values are read as JSON, or stay strings where they are not
        JSON. Two underscores lead into a nested dict: ``TRIOWS_DATABASE__HOST``. Lists of origins, subprotocols, hosts
        and proxies may be written with commas.

        :raises TypeError: if a setting has a wrong type; the message names the variable.
        :raises ValueError: if a setting makes no sense; likewise.
        """
        prefix = f"{prefix}_"
        for variable in sorted(os.environ):
            if not variable.startswith(prefix):
                continue
            value: Any = os.environ[variable]
            try:
                value = loads(value)
            except Exception:  # of any kind, with another ``loads``
                pass  # not JSON: the string is meant
            *parents, key = variable.removeprefix(prefix).split("__")
            target: dict[str, Any] = self
            for parent in parents:
                target = target.setdefault(parent, {})
                if not isinstance(target, dict):
                    kind = type(target).__name__
                    raise TypeError(f"{variable} sets an item of {parent}, which is no dict: it is of the type {kind}")
            target[key] = value if parents else check_variable(variable, key, value)
        return True

    def get_namespace(self, namespace: str, lowercase: bool = True, trim_namespace: bool = True) -> dict[str, Any]:
        """Return the items whose keys begin with ``namespace``, for handing on as keyword arguments."""
        found = {}
        for key, value in self.items():
            if key.startswith(namespace):
                name = key.removeprefix(namespace) if trim_namespace else key
                found[name.lower() if lowercase else name] = value
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {dict.__repr__(self)}>"


def _size_or_none(name: str, value: Any) -> int | None:
    return None if value is None else size(name, value)


def _cookie_size(name: str, value: Any) -> int:
    return size(name, value, least=0)


# What configuration files and environment variables have for True and False. In Quart "False" is true.
_FLAGS: Mapping[str, bool] = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("", "0", "false", "f", "no", "n", "off", "none"), False),
}


def read_flag(name: str, value: Any) -> bool:
    """Return a switch, whose value may be a word of an environment variable.

    :raises TypeError: if the value is neither true nor false.
    """
    if isinstance(value, str):
        value = _FLAGS.get(value.strip().lower(), value)
    if value not in (True, False, None):  # 1 and 0 are equal to them
        raise TypeError(f"{name} is {short_repr(value)}; it must be True or False")
    return bool(value)


def _flag_or_none(name: str, value: Any) -> bool | None:
    return None if value is None else read_flag(name, value)


def _without_effect(setting: tuple[tuple[Any, ...], str], name: str, value: Any) -> Any:
    harmless, remedy = setting
    if value not in (None, False, *harmless):
        raise ValueError(f"{name} is {short_repr(value)}, which has no effect in triows: {remedy}")
    return value


def _secret(name: str, value: Any) -> str | bytes | None:
    if value is not None and not isinstance(value, str | bytes):
        # The value may be a mistyped secret, so that the message does not show it.
        raise TypeError(f"{name} is of the type {type(value).__name__}; it must be text or bytes, or None")
    # Python's form of an environment variable that is not UTF-8: no signature could be made with that text.
    return os.fsencode(value) if isinstance(value, str) and _SURROGATES.search(value) else value


def _secrets(name: str, value: Any) -> list[str | bytes] | None:
    if value is None:
        return None
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is of the type {type(value).__name__}; it must be a list of former keys, or None")
    return [secret for item in value if (secret := _secret(f"an item of {name}", item)) is not None]


def _lifetime(name: str, value: Any) -> timedelta | float:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {short_repr(value)}; it must be a number of seconds or a datetime.timedelta")
    if not 0 <= value <= MAX_NUMBER:  # refuses NaN too
        raise ValueError(f"{name} is {short_repr(value)}; it must be from 0 to {MAX_NUMBER:,.0f} seconds")
    return value


def _max_age(name: str, value: Any) -> timedelta | float | None:
    if isinstance(value, timedelta) and value < timedelta():
        raise ValueError(f"{name} is {short_repr(value)}; it must not be negative, or None for no such time")
    return None if value is None else _lifetime(name, value)


def _same_site(name: str, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or value.title() not in ("Lax", "Strict", "None")):
        raise ValueError(
            f"{name} is {short_repr(value)}; it must be 'Lax', 'Strict' or 'None', or None to leave it out"
        )
    return value


def _log_format(name: str, value: Any) -> str | None:
    if value is not None and value not in LOG_FORMATS:
        raise ValueError(f"{name} is {short_repr(value)}; it must be {' or '.join(map(repr, LOG_FORMATS))}, or None")
    return None if value is None else str(value)


# The settings that are checked, beside the limits.
_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(
        (
            "ACCESS_LOG_QUERY",
            "BACKGROUND_TASK_CRASH_STOPS",
            "DEBUG",
            "EXPLAIN_TEMPLATE_LOADING",
            "SESSION_COOKIE_HTTPONLY",
            "SESSION_COOKIE_PARTITIONED",
            "SESSION_COOKIE_SECURE",
            "SESSION_REFRESH_EACH_REQUEST",
            "TESTING",
        ),
        read_flag,
    ),
    "PROVIDE_AUTOMATIC_OPTIONS": read_flag,
    "TEMPLATES_AUTO_RELOAD": _flag_or_none,
    "TRAP_BAD_REQUEST_ERRORS": _flag_or_none,
    "TRAP_HTTP_EXCEPTIONS": read_flag,
    "USE_X_SENDFILE": read_flag,
    **{key: partial(_without_effect, setting) for key, setting in SETTINGS.items()},
    "LOG_FORMAT": _log_format,
    "MAX_CONTENT_LENGTH": _size_or_none,
    "MAX_COOKIE_SIZE": _cookie_size,
    "MAX_FORM_MEMORY_SIZE": _size_or_none,
    "MAX_FORM_PARTS": _size_or_none,
    "PERMANENT_SESSION_LIFETIME": _lifetime,
    "SEND_FILE_MAX_AGE_DEFAULT": _max_age,
    "SECRET_KEY": _secret,
    "SECRET_KEY_FALLBACKS": _secrets,
    "SESSION_COOKIE_SAMESITE": _same_site,
}
_LIMITS: Mapping[str, str] = {key: name for name, key in KEYS.items()}


def check_setting(key: str, value: Any, shown_name: str | None = None) -> Any:
    """Return ``value`` as the config holds it under ``key``; a key that nobody checks may have any.

    :param shown_name: what to call the setting in messages: by default a limit by its name, others by their key.
    :raises TypeError: if the value has a wrong type.
    :raises ValueError: if it makes no sense, or the key is a limit's in small letters.
    """
    if key in _LIMITS:
        return check_limit(_LIMITS[key], value, shown_name)
    if key in KEYS:
        raise ValueError(f"{key!r} has no effect in the config; its key is {KEYS[key]!r}")
    check = _CHECKS.get(key)
    if check is not None:
        return check(shown_name or key, value)
    if key not in DEFAULT_CONFIG:
        _doubt(key)
    return value


def _doubt(key: object) -> None:
    """Log that an unknown key is nearly one of triows's. It may be the user's own, and is set all the same.

    :raises ValueError: if it is one of triows's in small letters.
    """
    if not isinstance(key, str):
        return
    if key.upper() in DEFAULT_CONFIG:
        raise ValueError(f"{key!r} has no effect in the config; its key is {key.upper()!r}")
    if key.isupper() and (close := get_close_matches(key, DEFAULT_CONFIG, n=1, cutoff=0.9)):
        error_log.warning("app.config[%.100r] is no setting of triows; did you mean %r?", key, close[0])


def _compression(value: Any) -> Any:
    return Compression(**value) if isinstance(value, dict) else value


# Settings that an environment variable may write in a form that Python code may not.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    KEYS["compression"]: _compression,
    KEYS["subprotocols"]: split_at_commas,
}


def check_variable(variable: str, key: str, value: Any) -> Any:
    """Return what an environment variable says, once its JSON is read, as :func:`check_setting` does.

    Lists may be written with commas, and the settings of compression as an object.
    """
    if key not in _LIMITS and key not in _CHECKS:
        return value
    try:
        if key in _READERS:
            value = _READERS[key](value)
        return check_setting(key, value, variable)
    except (TypeError, ValueError) as error:
        text = str(error) if variable in str(error) else f"{variable} is {short_repr(value)}; {error}"
        hint = "in the environment None is null, True is true, and digits that are text stand in double quotes"
        raise type(error)(f"{text} ({hint})") from None
