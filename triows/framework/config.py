"""The configuration of an app: a dict with ways to fill it, and the defaults."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any

from werkzeug.utils import import_string

from .limits import DEFAULTS, check_config, check_variable

DEFAULT_CONFIG: dict[str, Any] = {
    # Whether logs show the values of queries.
    "ACCESS_LOG_QUERY": False,
    "APPLICATION_ROOT": "/",
    # Whether an unhandled error in app.nursery ends the app, instead of being logged only.
    "BACKGROUND_TASK_CRASH_STOPS": False,
    "DEBUG": False,
    "MAX_CONTENT_LENGTH": None,
    "MAX_COOKIE_SIZE": 4093,
    "MAX_FORM_MEMORY_SIZE": 500_000,
    "MAX_FORM_PARTS": 1_000,
    "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
    "PREFERRED_URL_SCHEME": "http",
    # Read by the test client: None raises handlers' errors in the test.
    "PROPAGATE_EXCEPTIONS": None,
    # Whether the app answers OPTIONS itself, for the routes that are added from then on.
    "PROVIDE_AUTOMATIC_OPTIONS": True,
    "SECRET_KEY": None,
    "SECRET_KEY_FALLBACKS": None,
    "SERVER_NAME": None,
    "SESSION_COOKIE_DOMAIN": None,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_NAME": "session",
    "SESSION_COOKIE_PARTITIONED": False,
    "SESSION_COOKIE_PATH": None,
    "SESSION_COOKIE_SAMESITE": None,
    "SESSION_COOKIE_SECURE": False,
    "SESSION_REFRESH_EACH_REQUEST": True,
    "TESTING": False,
    # Whether HTTP errors without a handler are errors of the view: logged, answered with 500, raised in tests. None:
    # in debug mode, for a key that a form lacks.
    "TRAP_BAD_REQUEST_ERRORS": None,
    "TRAP_HTTP_EXCEPTIONS": False,
    **{name.upper(): default for name, default in DEFAULTS.items()},
}
"""What a new app's config holds. The limits are those of :mod:`triows.limits`, in capitals."""


_revisions = count()


class Config(dict[str, Any]):
    """A dict whose keys in capitals configure an app and its extensions.

    The limits (``MAX_MESSAGE_SIZE``, ``PING_INTERVAL``, ``MAX_FORM_PARTS`` ...), what is on or off (``DEBUG``,
    ``SESSION_COOKIE_SECURE`` ...) and the settings of sessions are checked when they are set: a wrong type raises
    :exc:`TypeError`, a value that makes no sense :exc:`ValueError`.
    """

    def __init__(self, defaults: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._touch()
        self.update(defaults or {})

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, check_config(key, value))
        self._touch()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._touch()

    def _touch(self) -> None:
        # Those who derive values from a config keep them until its revision is another. No two configs share one.
        self.revision = next(_revisions)

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
        """As a dict does."""
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

    def from_file(
        self, filename: str | os.PathLike[str], load: Callable[[Any], Mapping[str, Any]], *, text: bool = True
    ) -> bool:
        """Take the keys in capitals of what ``load`` (``json.load``, ``tomllib.load`` with ``text=False``) reads.

        :raises OSError: if the file cannot be read.
        """
        with open(filename, "r" if text else "rb") as file:
            return self.from_mapping(load(file))

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
            except (ValueError, RecursionError):
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
