"""Forms in request bodies, parsed as they arrive. A worker thread writes large files to disk."""

from __future__ import annotations

import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from io import BytesIO
from os import PathLike, fspath
from pathlib import PurePath
from tempfile import TemporaryFile
from typing import IO, Any, cast
from urllib.parse import parse_qsl

import trio
from werkzeug.datastructures import FileStorage as SyncFileStorage
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData, State

_MAX_IN_MEMORY = 500 * 1024  # bytes of one file
_STEP = 64 * 1024  # bytes that the decoder is given at once
_MAX_BOUNDARY = 70  # bytes (RFC 2046, 5.1.1); a search for a longer one in text that resembles it takes long
_DELIMITERS_IN_A_ROW = 8  # more of them are no form, and would hold back all of a body
_MAX_PADDING = 256  # bytes of white space that may follow a delimiter (RFC 2046, 5.1.1)
_PADDING = b" \t\v\f"
_CHARSETS = ("ascii", "us-ascii", "utf-8", "iso-8859-1")


class FileStorage(SyncFileStorage):
    """A file of a form. ``read()`` and its other file methods are synchronous; :meth:`save` is awaited."""

    async def save(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self, destination: str | PathLike[str] | IO[bytes], buffer_size: int = 16384
    ) -> None:
        """Write the file, from its current position, to a path or an open binary file, in a worker thread.

        A cancellation waits until the file is written.

        :param buffer_size: bytes that are copied at a time.
        :raises OSError: if the file cannot be written.
        """
        await trio.to_thread.run_sync(self._copy, destination, buffer_size)

    async def load(self, source: str | PathLike[str], buffer_size: int = 16384) -> None:
        """Append the content of a file to this one, in a worker thread, and take over its name.

        A cancellation waits until the file is read.

        :param buffer_size: bytes that are copied at a time.
        :raises OSError: if the file cannot be read.
        """
        self.filename: str | None = PurePath(fspath(source)).name
        await trio.to_thread.run_sync(self._append, source, buffer_size)

    def _append(self, source: str | PathLike[str], buffer_size: int) -> None:
        with open(fspath(source), "rb") as file:
            shutil.copyfileobj(file, self.stream, buffer_size)

    def _copy(self, destination: str | PathLike[str] | IO[bytes], buffer_size: int) -> None:
        if isinstance(destination, str | PathLike):
            with open(fspath(destination), "wb") as file:
                shutil.copyfileobj(self.stream, file, buffer_size)
        else:
            shutil.copyfileobj(self.stream, destination, buffer_size)


class _Spool:
    """A file that is in memory while it is small, and on disk from then on."""

    def __init__(self) -> None:
        self.file: IO[bytes] = BytesIO()
        self._size = 0
        self._on_disk = False

    async def write(self, data: bytes) -> None:
        """Append the data. If it is cancelled, nothing was appended."""
        if self._on_disk or self._size + len(data) > _MAX_IN_MEMORY:
            await trio.to_thread.run_sync(self._write_to_disk, data)
        else:
            self.file.write(data)
        self._size += len(data)

    def _write_to_disk(self, data: bytes) -> None:
        if not self._on_disk:
            memory = cast(BytesIO, self.file)
            self.file = TemporaryFile("w+b")  # noqa: SIM115  (the form's user closes it)
            self.file.write(memory.getbuffer())
            self._on_disk = True
        self.file.write(data)


class FormParser(ABC):
    """Parses the form in a body as the body arrives.

    :ivar fields: the names and values of the fields, once :meth:`read` has returned.
    :ivar files: the names and contents of the files, likewise.
    """

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[tuple[str, FileStorage]] = []
        self._error: Exception | None = None

    async def read(self, body: AsyncIterator[bytes]) -> None:
        """Read the body to its end. A cancellation loses nothing: the next call, with the same iterator, reads on.

        Later calls raise the error of the first one again.

        :raises werkzeug.exceptions.RequestEntityTooLarge: beyond a limit.
        :raises werkzeug.exceptions.BadRequest: if the form is malformed or ends too early.
        """
        if self._error is not None:
            raise self._error
        try:
            await self._read(body)
        except ValueError as error:
            self._error = BadRequest("The multipart form is malformed.")
            self.close()
            raise self._error from error
        except Exception as error:
            self._error = error
            self.close()
            raise

    @abstractmethod
    async def _read(self, body: AsyncIterator[bytes]) -> None: ...

    def close(self) -> None:
        """Close the files."""
        for _, file in self.files:
            file.close()


class UrlencodedForm(FormParser):
    """An ``application/x-www-form-urlencoded`` body of ``max_size`` bytes at most."""

    def __init__(self, *, max_size: int | None, max_fields: int | None = None) -> None:
        super().__init__()
        self._data = bytearray()
        self._max_size = max_size
        self._max_fields = max_fields

    async def _read(self, body: AsyncIterator[bytes]) -> None:
        async for piece in body:
            self._data += piece
            if self._max_size is not None and len(self._data) > self._max_size:
                raise RequestEntityTooLarge()
        text = self._data.decode("utf-8", "replace")
        self._data.clear()
        try:
            self.fields: list[tuple[str, str]] = parse_qsl(
                text, keep_blank_values=True, errors="replace", max_num_fields=self._max_fields
            )
        except ValueError:
            raise RequestEntityTooLarge() from None


def multipart_form(boundary: bytes, *, max_field_size: int | None, max_parts: int | None) -> FormParser:
    """Return the parser of a ``multipart/form-data`` body.

    :param max_field_size: the largest field that is not a file, in bytes.
    """
    if not 0 < len(boundary) <= _MAX_BOUNDARY:
        return _FormWithoutBoundary()
    return MultipartForm(boundary, max_field_size=max_field_size, max_parts=max_parts)


class _FormWithoutBoundary(FormParser):
    """A multipart body whose Content-Type names no boundary that it could have: only an empty one is a form."""

    async def _read(self, body: AsyncIterator[bytes]) -> None:
        async for _ in body:
            raise BadRequest(f"The multipart form names no boundary of 1 to {_MAX_BOUNDARY} characters.")


class MultipartForm(FormParser):
    """A ``multipart/form-data`` body (RFC 7578); see :func:`multipart_form`.

    An empty one is a form without parts, as is one whose first delimiter is followed by the close delimiter.
    """

    def __init__(self, boundary: bytes, *, max_field_size: int | None, max_parts: int | None) -> None:
        super().__init__()
        self._is_empty = True
        # The decoder's own limit is that of its buffer, which holds a step of input and the head of a part.
        buffer_size = None if max_field_size is None else max(max_field_size, 2 * _STEP)
        self._decoder = MultipartDecoder(boundary, buffer_size, max_parts=max_parts)
        self._delimiter = b"--" + boundary
        # What some clients send after a delimiter when there is nothing to send.
        self._no_part = re.compile(
            rb"(?:%b[ \t]*+(?:\r\n|\r|\n)){,%d}+(?:\r\n|\r|\n)?%b--"
            % (re.escape(self._delimiter), _DELIMITERS_IN_A_ROW, re.escape(self._delimiter))
        )
        self._held = b""
        self._ready = b""
        self._decoded = 0  # bytes of self._ready
        self._ended = False
        self._event: Event | None = None
        self._max_field_size = max_field_size
        self._part: Field | File | None = None
        self._spool: _Spool | None = None
        self._value = bytearray()

    async def _read(self, body: AsyncIterator[bytes]) -> None:
        await self._decode()  # bytes that a cancelled call has left
        async for piece in body:
            self._is_empty = False
            self._ready = self._hold_back(piece)
            await self._decode()
        if not self._ended and not self._is_empty:
            self._ready = self._hold_back(None)
            await self._decode()
            self._ended = True
            self._decoder.receive_data(None)
            await self._handle_events()

    async def _decode(self) -> None:
        """Decode ``_ready`` step by step, with a checkpoint between steps. A cancellation loses nothing."""
        await self._handle_events()
        while self._decoded < len(self._ready):
            step = self._ready[self._decoded : self._decoded + _STEP]
            self._decoded += len(step)
            self._decoder.receive_data(step)
            await self._handle_events()
            if self._decoded < len(self._ready):
                await trio.lowlevel.checkpoint()  # a step may be hundreds of parts: let other tasks run
        self._ready, self._decoded = b"", 0

    def _hold_back(self, data: bytes | None) -> bytes:
        """Return the bytes that can be decoded now, and hold back the rest.

        The decoder must get a delimiter whole, with its line end: else it may take the CR for content.
        """
        ready = self._held + (data or b"")
        self._held = b""
        if data is None:
            return ready
        length = len(self._delimiter)
        cut = len(ready) - length - 4  # the rest may begin a delimiter with its line ends
        for _ in range(_DELIMITERS_IN_A_ROW):  # before one there may be others, in one of which the cut would be
            first = max(cut - length - _MAX_PADDING, 0)
            start = ready.rfind(self._delimiter, first, max(cut + 1 + length, 0))
            if start < 0 or ready[start + length : max(cut, 0)].lstrip(_PADDING) not in (b"", b"-", b"\r"):
                break
            cut = start - 2
        cut = max(cut, 0)
        self._held = ready[cut:]
        return ready[:cut]

    async def _handle_events(self) -> None:
        while not isinstance(event := self._event or self._next_event(), NeedData | Epilogue):
            self._event = event
            if isinstance(event, Field | File) and event.name is None:
                raise ValueError("a part of the form has no name (RFC 7578, section 4.2)")
            match event:
                case Field():
                    self._part, self._value = event, bytearray()
                case File():
                    self._part, self._spool = event, _Spool()
                case Data():
                    await self._add_data(event)
                case _:
                    pass  # a Preamble
            self._event = None

    def _next_event(self) -> Event:
        decoder = self._decoder
        if decoder.state is State.PART and self._no_part.match(decoder.buffer):
            decoder.state = State.EPILOGUE  # the decoder would look for the headers of a part
        return decoder.next_event()

    async def _add_data(self, event: Data) -> None:
        if self._spool is not None:
            await self._spool.write(event.data)
        else:
            self._value += event.data
            if self._max_field_size is not None and len(self._value) > self._max_field_size:
                raise RequestEntityTooLarge()
        if not event.more_data:
            self._end_part()

    def _end_part(self) -> None:
        part: Any = self._part
        if self._spool is None:
            self.fields.append((part.name, self._value.decode(_charset(part.headers), "replace")))
        else:
            file = self._spool.file
            file.seek(0)
            self.files.append((part.name, FileStorage(file, part.filename, part.name, headers=part.headers)))
            self._spool = None

    def close(self) -> None:
        """Close the files."""
        if self._spool is not None:
            self._spool.file.close()
        super().close()


def _charset(headers: Headers) -> str:
    """Return the charset that a part names, if it is one of a few common ones, else UTF-8."""
    content_type = headers.get("content-type")
    charset = parse_options_header(content_type)[1].get("charset", "").lower() if content_type else ""
    return charset if charset in _CHARSETS else "utf-8"
