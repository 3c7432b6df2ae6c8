"""The files of an app and of its blueprints: static folders, resources, and the files of one installation."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar, cast, overload

import trio

from ..tasks.functions import call
from ..web.context import require_context
from ..web.files import send_static
from ..web.response import Response
from .folders import instance_path_of

DEFAULT_STATIC_FOLDER = "static"

Content = TypeVar("Content", str, bytes)


class AsyncFile(Protocol[Content]):
    """An open file, as :func:`trio.open_file` returns it. Its methods read in a thread."""

    async def read(self, size: int = -1, /) -> Content: ...
    async def readline(self, size: int = -1, /) -> Content: ...
    async def write(self, content: Content, /) -> int: ...
    async def aclose(self) -> None: ...
    def __aiter__(self) -> AsyncIterator[Content]: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class Folder(str):
    """The path of a folder: text, as in Flask, and ``folder / "name"`` is a path below it, as in Quart's examples."""

    __slots__ = ()

    def __truediv__(self, name: str | os.PathLike[str]) -> Path:
        return Path(self) / name


class WithFiles:
    """What apps and blueprints do with the files below their ``root_path``."""

    root_path: str
    _static_folder: str | None = None
    _static_url_path: str | None = None

    def _take_static(self, folder: str | os.PathLike[str] | None, url_path: str | None) -> None:
        self.static_folder = folder
        self._static_url_path = None if url_path is None else url_path.rstrip("/")

    @property
    def static_folder(self) -> Folder | None:
        """The folder of the files that are served as they are, as an absolute path; None if there is none.

        It may be set, absolute or relative to ``root_path``.
        """
        return None if self._static_folder is None else Folder(os.path.join(self.root_path, self._static_folder))

    @static_folder.setter
    def static_folder(self, value: str | os.PathLike[str] | None) -> None:
        self._static_folder = None if value is None else os.fspath(value).rstrip("/\\")

    @property
    def has_static_folder(self) -> bool:
        """Whether there is a :attr:`static_folder`; it may be missing on the disk."""
        return self.static_folder is not None

    @property
    def static_url_path(self) -> str | None:
        """The path before the names of static files in URLs; by default ``/`` and the name of the folder."""
        if self._static_url_path is not None:
            return self._static_url_path
        folder = self.static_folder
        return None if folder is None else f"/{os.path.basename(folder)}".rstrip("/")

    @static_url_path.setter
    def static_url_path(self, value: str | None) -> None:
        self._static_url_path = None if value is None else value.rstrip("/")

    async def send_static_file(self, filename: str) -> Response:
        """Return the response with a file of the :attr:`static_folder`: the view of the endpoint ``static``.

        :raises werkzeug.exceptions.NotFound: if there is no such file.
        :raises RuntimeError: without a static folder.
        """
        folder = self.static_folder
        if folder is None:
            raise RuntimeError(f"{self!r} has no static folder to send {filename!r} from; set its static_folder")
        return await send_static(folder, filename, self.get_send_file_max_age)

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Return for how many seconds caches may keep a file; None for no such time. A subclass may override it.

        By default that is SEND_FILE_MAX_AGE_DEFAULT.
        """
        age: timedelta | float | None = require_context("get_send_file_max_age()").app.config[
            "SEND_FILE_MAX_AGE_DEFAULT"
        ]
        return None if age is None else int(age.total_seconds() if isinstance(age, timedelta) else age)

    @overload
    async def open_resource(self, path: str | os.PathLike[str], mode: Literal["rb"] = "rb") -> AsyncFile[bytes]: ...
    @overload
    async def open_resource(self, path: str | os.PathLike[str], mode: Literal["r", "rt"]) -> AsyncFile[str]: ...

    async def open_resource(self, path: str | os.PathLike[str], mode: str = "rb") -> Any:
        """Open a file below ``root_path``: ``async with await app.open_resource("schema.sql") as file:``.

        :param mode: ``"rb"`` for bytes, ``"r"`` for text in UTF-8.
        :raises ValueError: for another mode: resources are not written.
        :raises OSError: if it cannot be opened.
        """
        if mode not in ("r", "rt", "rb"):
            raise ValueError(f"a resource is opened with the mode 'r' or 'rb', to read it, and not with {mode!r}")
        return await _open(os.path.join(self.root_path, path), mode)


def static_rule(owner: WithFiles) -> str:
    """Return the rule of the static files of an app or a blueprint."""
    return f"{owner.static_url_path}/<path:filename>"


class StaticView:
    """The view of the static files: it calls what an app or a blueprint has as ``send_static_file()`` now.

    It has the attributes of that method too, as extensions mark views by attributes, some of them at any time.
    """

    def __init__(self, owner: WithFiles) -> None:
        self._owner = owner
        self.__name__ = "send_static_file"
        self.__qualname__ = f"{type(owner).__qualname__}.send_static_file"

    async def __call__(self, filename: str) -> Response:
        return cast(Response, await call(self._owner.send_static_file, filename))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Not those of functions: by its __code__ and the like this would pass for one with other parameters.
            if name.startswith("__") or name == "_owner":
                raise AttributeError(name)
            return getattr(self._owner.send_static_file, name)


def serves_static(app: WithFiles, host_matching: bool, static_host: str | None) -> bool:
    """Whether an app has a route for static files.

    :raises ValueError: if nothing says on which host they are, or ``static_host`` would have no effect.
    """
    folder = app.static_folder
    if static_host is not None and not (host_matching and folder is not None):
        raise ValueError(
            f"static_host is {static_host!r}, and has no effect without"
            f" {'host_matching=True' if folder is not None else 'a static_folder'}; leave it out"
        )
    if folder is None or not host_matching or static_host is not None:
        return folder is not None
    # A folder that nobody has asked for, and that is not there, is none.
    if os.path.basename(folder) != DEFAULT_STATIC_FOLDER or os.path.isdir(folder):
        raise ValueError(
            f"hosts are matched, and nothing says which one has the files of {folder!r}; give static_host="
        )
    return False


class WithInstance:
    """The folder of one installation of an app: files that belong neither to its code nor to its repository.

    :ivar instance_relative_config: whether names of configuration files are relative to :attr:`instance_path`.
    """

    import_name: str
    name: str
    instance_relative_config: bool

    def _take_instance(self, path: str | os.PathLike[str] | None, relative_config: bool) -> None:
        self.instance_relative_config = relative_config
        if path is not None:
            if not os.path.isabs(path):
                raise ValueError(f"instance_path is {os.fspath(path)!r}; it must be an absolute path")
            self.instance_path = os.fspath(path)

    @cached_property
    def instance_path(self) -> str:
        """The folder of this installation. Nothing creates it.

        By default that is ``instance`` beside the app's package or module, and ``var/NAME-instance`` below
        ``sys.prefix`` for an app that is installed there.
        """
        return self.auto_find_instance_path()

    def auto_find_instance_path(self) -> str:
        """Return the :attr:`instance_path` of an app that was given none."""
        return instance_path_of(self.import_name, self.name)

    @overload
    async def open_instance_resource(
        self, path: str | os.PathLike[str], mode: Literal["rb", "wb", "ab"] = "rb"
    ) -> AsyncFile[bytes]: ...
    @overload
    async def open_instance_resource(
        self, path: str | os.PathLike[str], mode: Literal["r", "rt", "w", "wt", "a", "at"]
    ) -> AsyncFile[str]: ...

    async def open_instance_resource(self, path: str | os.PathLike[str], mode: str = "rb") -> Any:
        """Open a file below :attr:`instance_path`, in any mode of ``open()``; text is in UTF-8.

        :raises OSError: if it cannot be opened.
        """
        return await _open(os.path.join(self.instance_path, path), mode)


async def _open(path: str, mode: str) -> Any:
    return await trio.open_file(cast(Any, path), cast(Any, mode), encoding=None if "b" in mode else "utf-8")
