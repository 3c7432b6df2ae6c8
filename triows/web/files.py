"""Files as responses: :func:`send_file`, and :func:`send_from_directory` for names that clients choose."""

from __future__ import annotations

import errno
import mimetypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from io import SEEK_END, BytesIO, TextIOBase
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from unicodedata import normalize
from urllib.parse import quote
from zlib import adler32

from werkzeug.exceptions import Forbidden, NotFound
from werkzeug.security import safe_join as _safe_join

from ..tasks.functions import check_awaited
from .context import current_context, require_context
from .file_body import PIECE, FileBody, FileObject, NoRegularFile, in_file_thread, open_regular
from .globals import request
from .response import Response
from .suggestions import suggests_arguments

_LAST_TIME = 253402300799  # the end of the year 9999: later times have no date in HTTP
_DEFAULT_MIMETYPE = "application/octet-stream"
_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"  # beside letters and digits: RFC 8187, section 3.2.1
_CONTROLS = dict.fromkeys((*range(32), 127), "_")  # no header may have them, and names of files may
_NO_SUCH_FILE = {errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR}

MaxAgeOf = Callable[[str], int | None]
"""Returns for how many seconds caches may keep the file of a path, None for no such time."""


def safe_join(directory: str | os.PathLike[str], *names: str) -> str | None:
    """Return the path of names that a client has chosen, below a directory; None if they lead out of it.

    The names may have slashes. Names alone are looked at: whoever opens the path follows its symbolic links.
    """
    return _safe_join(os.fspath(directory), *names)


@suggests_arguments
async def send_file(
    filename_or_io: str | bytes | os.PathLike[str] | FileObject,
    mimetype: str | None = None,
    as_attachment: bool = False,
    attachment_filename: str | None = None,
    add_etags: bool = True,
    cache_timeout: int | None = None,
    conditional: bool = False,
    last_modified: datetime | float | None = None,
) -> Response:
    """Return a response with the content of a file.

    Threads read it, a large one in pieces as the client takes them. For names that clients choose, use
    :func:`send_from_directory`.

    :param filename_or_io: the path of a regular file, relative to the working directory; or a file object in binary
        mode, which is sent from its beginning and closed with the response. One that cannot seek is sent from where it
        stands, without a length.
    :param mimetype: the Content-Type; by default it is guessed from the name.
    :param as_attachment: whether browsers save the file instead of showing it.
    :param attachment_filename: the name under which they save it; by default the last part of the path.
    :param add_etags: whether the file of a path gets an ETag, from its path, size and modification time.
    :param cache_timeout: seconds for which caches may keep the file of a path; by default
        ``app.get_send_file_max_age(path)``.
    :param conditional: whether the conditions and ranges of the current request are answered, see
        :meth:`Response.make_conditional`.
    :param last_modified: the time for Last-Modified; by default the modification time of the path.
    :raises OSError: if the file cannot be opened, or is no regular file.
    :raises ValueError: if there is no name to guess the type from.
    :raises RuntimeError: outside of a request, a websocket and ``app.app_context()``.
    """
    app = require_context("send_file()").app
    sending = _Sending(
        mimetype, as_attachment, attachment_filename, add_etags, cache_timeout, conditional, last_modified
    )
    if isinstance(filename_or_io, str | bytes | os.PathLike):
        path = os.fsdecode(filename_or_io)
        opened = await in_file_thread(_open, path, app.config["USE_X_SENDFILE"])
        return await sending.of_path(app, path, opened, app.get_send_file_max_age)
    return await sending.of_object(app, filename_or_io)


@suggests_arguments
async def send_from_directory(
    directory: str | os.PathLike[str],
    file_name: str,
    *,
    mimetype: str | None = None,
    as_attachment: bool = False,
    attachment_filename: str | None = None,
    add_etags: bool = True,
    cache_timeout: int | None = None,
    conditional: bool = True,
    last_modified: datetime | float | None = None,
) -> Response:
    """Return a response with a file of a directory, whose name a client may choose. See :func:`send_file`.

    :param file_name: the path below the directory.
    :raises werkzeug.exceptions.NotFound: if there is no regular file of that name in the directory (404). So it is if
        the name, or a symbolic link, leads out of the directory.
    :raises werkzeug.exceptions.Forbidden: if the file may not be read (403).
    """
    sending = _Sending(
        mimetype, as_attachment, attachment_filename, add_etags, cache_timeout, conditional, last_modified
    )
    return await _send_below(os.fspath(directory), file_name, sending)


async def send_static(folder: str, file_name: str, max_age_of: MaxAgeOf) -> Response:
    """Return the response with a file of a static folder; see :func:`send_from_directory`."""
    return await _send_below(folder, file_name, _Sending(conditional=True), max_age_of)


async def _send_below(
    directory: str, file_name: str, sending: _Sending, max_age_of: MaxAgeOf | None = None
) -> Response:
    path = safe_join(directory, file_name)
    if path is None:
        raise NotFound()
    context = current_context()
    by_server = context is not None and context.app.config["USE_X_SENDFILE"]
    opened = await in_file_thread(_open_below, directory or os.curdir, path, by_server)
    app = require_context("send_from_directory()").app
    return await sending.of_path(app, path, opened, max_age_of or app.get_send_file_max_age)


# In threads


class _Opened(NamedTuple):
    """A regular file that was opened once.

    :ivar path: where it is; absolute if it is read later.
    :ivar content: all of it, if that is one piece; a larger file is read while it is sent.
    """

    path: str
    status: os.stat_result
    content: bytes | None


def _open(path: str, by_server: bool) -> _Opened:
    """Open a file and read it, unless it is large or the server in front sends it."""
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        if by_server or status.st_size > PIECE:
            return _Opened(os.path.abspath(path), status, None)
        content = b""
        while len(content) < status.st_size:
            piece = file.read(status.st_size - len(content))
            if not piece:
                raise OSError(f"{path!r} became shorter while it was read")
            content += piece
        return _Opened(path, status, content)


def _open_below(directory: str, path: str, by_server: bool) -> _Opened:
    try:
        directory = os.path.realpath(directory)
        path = os.path.realpath(path, strict=True)
        if os.path.commonpath((directory, path)) != directory:
            raise NotFound()
        return _open(path, by_server)
    except (NoRegularFile, ValueError):  # a NUL, half of a surrogate pair, or another drive
        raise NotFound() from None
    except PermissionError:
        raise Forbidden() from None
    except OSError as error:
        if error.errno in _NO_SUCH_FILE:
            raise NotFound() from None
        raise


def _reopen(opened: _Opened) -> BinaryIO:
    file = open_regular(opened.path)
    if not os.path.samestat(os.fstat(file.fileno()), opened.status):
        file.close()
        raise OSError(f"{opened.path!r} was replaced by another file before it was sent")
    return file


def _size(file: Any) -> int | None:
    """The size of a file object, None if that cannot be found out."""
    seekable = getattr(file, "seekable", None)
    if seekable is None or not seekable():
        return None
    size: int = file.seek(0, SEEK_END)
    file.seek(0)
    return size


# The response


@dataclass
class _Sending:
    """What :func:`send_file` was asked for; see there."""

    mimetype: str | None = None
    as_attachment: bool = False
    attachment_filename: str | None = None
    add_etags: bool = True
    cache_timeout: int | None = None
    conditional: bool = False
    last_modified: datetime | float | None = None

    async def of_path(self, app: Any, path: str, opened: _Opened, max_age_of: MaxAgeOf) -> Response:
        """Return the response with a file.

        :param path: the path that the user named; ETag and maximum age are for it.
        """
        name = Path(path)
        if self.attachment_filename is None:
            self.attachment_filename = name.name
        if self.last_modified is None:
            self.last_modified = min(opened.status.st_mtime, _LAST_TIME)
        if self.cache_timeout is None:
            self.cache_timeout = max_age_of(str(name))
        size: int | None = opened.status.st_size
        body: bytes | FileBody | None = opened.content
        by_server = app.config["USE_X_SENDFILE"]
        if by_server:
            body, size = b"", None
        elif body is None:
            body = FileBody(partial(_reopen, opened), size, name=repr(path))
        response = await self._response(app, body, size)
        response.note_file()
        if by_server:
            response.headers["X-Sendfile"] = quote(opened.path)
        if self.add_etags:
            status = opened.status
            response.set_etag(f"{status.st_mtime}-{status.st_size}-{adler32(bytes(name))}")
        return await self._conditional(response, size)

    async def of_object(self, app: Any, file: Any) -> Response:
        """Return the response with a file object."""
        if isinstance(file, BytesIO):
            content = file.getvalue()
            return await self._conditional(await self._response(app, content, len(content)), len(content))
        file = getattr(file, "wrapped", file)  # of an async file object of Trio's
        if isinstance(file, TextIOBase):
            raise TypeError(f"send_file() cannot send the text file {file!r}; open it in binary mode")
        if not hasattr(file, "read"):
            check_awaited("send_file()", file)
            raise TypeError(
                f"send_file() cannot send {type(file).__name__} {file!r:.100}; give a path or a file object"
            )
        size = await in_file_thread(_size, file)
        response = await self._response(app, FileBody.of_object(file, size), size)
        return await self._conditional(response, size)

    async def _response(self, app: Any, body: bytes | FileBody, size: int | None) -> Response:
        response: Response = app.response_class(body, mimetype=await self._content_type())
        if size is not None:
            response.content_length = size
        if self.as_attachment:
            response.headers.set("Content-Disposition", "attachment", **_file_names(self.attachment_filename))
        if self.last_modified is not None:
            response.last_modified = self.last_modified  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]
        response.cache_control.public = True
        if self.cache_timeout is not None:
            response.cache_control.max_age = self.cache_timeout
            response.expires = datetime.now(UTC) + timedelta(seconds=self.cache_timeout)
        return response

    async def _content_type(self) -> str:
        if self.mimetype is not None:
            return self.mimetype
        if self.attachment_filename is None:
            raise ValueError(
                "the type of the file cannot be guessed without a name; give mimetype= or attachment_filename="
            )
        if not mimetypes.inited:
            await in_file_thread(mimetypes.init)  # it reads files of the system
        return mimetypes.guess_type(self.attachment_filename)[0] or _DEFAULT_MIMETYPE

    async def _conditional(self, response: Response, size: int | None) -> Response:
        if self.conditional:
            try:
                # Without a size there are no ranges: those of USE_X_SENDFILE are the business of the server in front.
                await response.make_conditional(request, accept_ranges=size is not None, complete_length=size)
            except BaseException:
                await response.aclose()  # noqa: ASYNC102 - shields itself
                raise
        return response


def _file_names(name: str | None) -> dict[str, str]:
    """The parameters of Content-Disposition for a name (RFC 6266): in ASCII, and if that is another one, in UTF-8."""
    if name is None:
        return {}
    name = name.encode("utf-8", "replace").decode().translate(_CONTROLS)
    if name.isascii():
        return {"filename": name}
    ascii_name = normalize("NFKD", name).encode("ascii", "ignore").decode()
    return {"filename": ascii_name, "filename*": f"UTF-8''{quote(name, safe=_ATTRIBUTE_CHARACTERS)}"}
