"""Responses: a status, headers and a body, complete or streamed.

A body is *complete* when it is given as str, bytes, or a list or tuple of them: it is sent with its Content-Length.
Anything else that can be iterated, asynchronously or not, is *streamed* piece by piece. Synchronous iterators run in
a worker thread, since they may block.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping
from contextlib import aclosing
from copy import deepcopy
from functools import lru_cache
from hashlib import md5
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, cast, overload

import trio
from werkzeug import datastructures
from werkzeug.sansio.response import Response as SansIOResponse
from werkzeug.utils import get_content_type

from ..protocol.headers import Headers
from ..protocol.plain import plain_bytes, plain_text
from ..tasks.context import current
from ..tasks.functions import check_awaited, forgotten_await
from .conditions import ConditionalRequest, cut, failed_condition, wanted_range
from .file_body import FileBody
from .foreign_names import RESPONSE as FOREIGN
from .foreign_names import ForeignNameGuard
from .headers import ResponseHeaders, encode_headers
from .json_codec import STANDARD_JSON, JSONCodec
from .quart_names import RESPONSE, RESPONSE_ONLY_CALLED, refuse_definitions
from .server_sent_events import ServerSentEvent
from .suggestions import suggests_arguments

Body = str | bytes | bytearray | Iterable[str | bytes] | AsyncIterable[str | bytes]
"""The types of a response's body."""


class BodySink(Protocol):
    """Where a streamed body goes: the connection, or what changes the body on its way there."""

    async def send_body(self, data: bytes) -> None: ...
    def until_shutdown(self, scope: trio.CancelScope) -> None:
        """Cancel ``scope`` when the server shuts down: the body has no end of its own."""


class Response(ForeignNameGuard, SansIOResponse):
    """An HTTP response: ``Response(body, status, headers)``.

    :param response: the body: see the module's text. None is an empty body.
    :param status: the status code, or code and phrase (``"404 Not Found"``); 200 if None.
    :param headers: a mapping, pairs, or :class:`werkzeug.datastructures.Headers`.
    :param mimetype: the Content-Type without parameters; ``charset=utf-8`` is added to texts.
    :param content_type: the whole Content-Type instead.
    """

    _foreign = FOREIGN
    default_mimetype: str | None = "text/html"
    json_provider: JSONCodec = STANDARD_JSON
    _file: object = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_definitions(cls, RESPONSE)
        refuse_definitions(cls, RESPONSE_ONLY_CALLED, Response)

    def __init__(
        self,
        response: Body | None = None,
        status: int | str | HTTPStatus | None = None,
        headers: Mapping[str, str | Iterable[str]] | Iterable[tuple[str, str]] | None = None,
        mimetype: str | None = None,
        content_type: str | None = None,
    ) -> None:
        try:
            if not headers and content_type is None:
                # Werkzeug would make the same content type, after a search in empty headers.
                content_type = _content_type(self.default_mimetype if mimetype is None else mimetype)
            super().__init__(status, ResponseHeaders(headers), mimetype, content_type)
        except (AttributeError, TypeError):
            check_awaited(type(self).__name__, status, headers, mimetype, content_type)
            raise
        self._complete: bytes | None = b"" if response is None else None
        self._stream: Iterable[str | bytes] | AsyncIterable[str | bytes] | None = None
        self._started = False
        self._may_have_length = bool(headers)  # so that the headers need not be searched for one at each response
        if response is not None:
            self.response = response
        elif not headers or "content-length" not in self.headers:
            self._note_length(0)

    @property
    def timeout(self) -> None:
        """None: responses have no timeout. Use ``trio.fail_after()`` in the generator of the body."""
        return None

    @timeout.setter
    def timeout(self, value: None) -> None:
        if value is not None:
            raise ValueError(
                f"a response has no timeout, and cannot have {value!r}; use trio.fail_after() in what yields its body"
            )

    @property
    def response(self) -> Body:
        """The body: bytes if it is complete, else the iterable."""
        return self._stream if self._stream is not None else cast(bytes, self._complete)

    @response.setter
    def response(self, body: Body) -> None:
        match body:
            case str() | bytes() | bytearray():
                self.set_data(body)
            case memoryview():
                self.set_data(bytes(body))
            case list() | tuple():
                self.set_data(b"".join(_to_bytes(piece) for piece in body))
            case AsyncIterable() | Iterable():
                if self._complete is not None and self.content_length == len(self._complete):
                    del self.headers["Content-Length"]  # that of the former body
                self._complete, self._stream, self._started = None, body, False
                self._may_have_length = True
            case _:
                if hint := forgotten_await(body):
                    raise TypeError(f"a response body cannot be a coroutine: {hint}")
                raise TypeError(
                    f"a response body cannot be {type(body).__name__} {body!r};"
                    " it is str, bytes, or an iterable or async iterable of them"
                )

    @property
    def is_streamed(self) -> bool:
        """Whether the body is sent piece by piece, without a known length."""
        return self._stream is not None

    @property
    def is_file(self) -> bool:
        """Whether the body is a file as it is, of :func:`send_file`, so that nothing of the request is in it."""
        return self._file is not None and self._file is self.response

    def note_file(self) -> None:
        """Note that the body is a file as it is, until another one is set."""
        self._file = self.response

    def set_data(self, data: str | bytes | bytearray) -> None:
        """Replace the body by a complete one. The header Content-Length is that of the new body."""
        complete = self._complete = _to_bytes(data)
        self._stream = None
        self._note_length(len(complete))

    def _note_length(self, length: int) -> None:
        """Put the length into the headers, for hooks to read."""
        is_first, self._may_have_length = not self._may_have_length, True
        if self._status_code == HTTPStatus.NOT_MODIFIED:
            return  # its length is that of the response that it stands for
        if is_first:
            datastructures.Headers.add(self.headers, "Content-Length", str(length))
        else:
            self.headers["Content-Length"] = str(length)

    @overload
    async def get_data(self, as_text: Literal[True]) -> str: ...

    @overload
    async def get_data(self, as_text: Literal[False] = False) -> bytes: ...

    async def get_data(self, as_text: bool = False) -> str | bytes:
        """Return the whole body, as bytes or as text (UTF-8). A streamed body is read to its end, and then complete.

        A cancellation closes a streamed body, which is lost.
        """
        if self._stream is not None:
            pieces = []
            try:
                async for piece in self.iter_body():
                    pieces.append(piece)
            finally:
                await self.aclose()
            self.set_data(b"".join(pieces))
        data = cast(bytes, self._complete)
        return data.decode() if as_text else data

    @property
    def data(self) -> Any:
        """The whole body, to be awaited: ``await response.data``. Assigning replaces it."""
        return self.get_data()

    @data.setter
    def data(self, value: str | bytes) -> None:
        self.set_data(value)

    async def get_json(self, force: bool = False, silent: bool = False) -> Any:
        """Return the value of the body's JSON; None if the mimetype is another one and ``force`` is False.

        The provider of the current app reads it.

        :raises ValueError: if it is not JSON, unless ``silent``: None then.
        """
        if not (force or self.is_json):
            return None
        context = current.get(None)
        codec = self.json_provider
        if codec is STANDARD_JSON and context is not None:
            codec = context.app.json
        try:
            return codec.loads(await self.get_data())
        except ValueError:
            if silent:
                return None
            raise

    @property
    def json(self) -> Any:
        """:meth:`get_json`, to be awaited: ``await response.json``."""
        return self.get_json()

    @property
    def max_cookie_size(self) -> int:  # type: ignore[override] # pyright: ignore[reportIncompatibleVariableOverride]
        """MAX_COOKIE_SIZE: bytes beyond which setting a cookie warns that browsers may ignore it; 0: no warning."""
        context = current.get(None)
        return super().max_cookie_size if context is None else cast(int, context.app.config["MAX_COOKIE_SIZE"])

    if not TYPE_CHECKING:  # for which Werkzeug's signatures hold

        @SansIOResponse.status.setter
        def status(self, value: Any) -> None:
            try:
                self._status, self._status_code = self._clean_status(value)
            except (AttributeError, TypeError):
                check_awaited("the status of a response", value)
                raise TypeError(
                    f"the status of a response cannot be {type(value).__name__} {value!r:.100}; it is a number, or text"
                    " like '404 Not Found'"
                ) from None

        @SansIOResponse.mimetype.setter
        def mimetype(self, value: Any) -> None:
            check_awaited("the mimetype of a response", value)
            SansIOResponse.mimetype.fset(self, value)

        def set_cookie(self, key: str, value: str = "", *args: Any, **kwargs: Any) -> None:
            """See :meth:`werkzeug.sansio.response.Response.set_cookie`."""
            check_awaited("set_cookie()", key, value, *args, *kwargs.values())
            _set_cookie(self, key, plain_text(value), *args, **kwargs)

    async def iter_body(self) -> AsyncGenerator[bytes, None]:
        """Yield the body's pieces, none of them empty. Call :meth:`aclose` afterwards, after an error too.

        Iterate inside :func:`contextlib.aclosing` where the iteration may end early.

        :raises RuntimeError: if a streamed body is iterated a second time.
        """
        stream = self._stream
        if stream is None:
            if self._complete:
                yield self._complete
            return
        if self._started:
            raise RuntimeError("this streamed response body was already iterated; use get_data() to keep it")
        self._started = True
        if isinstance(stream, AsyncIterable):
            async for piece in stream:
                if piece:
                    yield _to_bytes(piece)
            return
        iterator: Iterator[str | bytes] = await trio.to_thread.run_sync(iter, stream)
        while (data := await trio.to_thread.run_sync(_next_piece, iterator)) is not None:
            if data:
                yield data

    async def send_to(self, sink: BodySink) -> None:
        """Send the body of a streamed response piece by piece. Call :meth:`aclose` afterwards, after an error too."""
        async with aclosing(self.iter_body()) as pieces:
            async for piece in pieces:
                await sink.send_body(piece)

    async def aclose(self) -> None:
        """Close a streamed body's generator, so that its ``finally`` blocks run now. May be called again.

        Inside a cancelled scope the generator's own awaits are cancelled, and its ``finally`` blocks still run.
        """
        stream = self._stream
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
        elif (sync_close := getattr(stream, "close", None)) is not None:
            # Shielded, so that the thread is waited for: a generator cannot be closed while another thread runs it.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(sync_close)

    async def freeze(self) -> None:
        """Read a streamed body to its end, so that it is complete: it may be kept, and sent several times."""
        self.set_data(await self.get_data())

    async def make_sequence(self) -> None:
        """Do what :meth:`freeze` does."""
        await self.freeze()

    def iter_encode(self) -> AsyncGenerator[bytes, None]:
        """Return what :meth:`iter_body` does."""
        return self.iter_body()

    async def add_etag(self, overwrite: bool = False, weak: bool = False) -> None:
        """Set the ETag to a hash of the body, if there is none or ``overwrite`` is True. A streamed body is read."""
        if overwrite or "ETag" not in self.headers:
            self.set_etag(md5(await self.get_data(), usedforsecurity=False).hexdigest(), weak)

    async def make_conditional(
        self,
        request: ConditionalRequest,
        accept_ranges: bool | str = False,
        complete_length: int | None = None,
    ) -> Response:
        """Make this the answer to the conditions of a GET or HEAD, and to the ranges that a GET asks for.

        A condition on ETag or Last-Modified that fails makes it a 304 or 412 without a body. If ``complete_length`` is
        given, ranges make it a 206, several of them with a body of ``multipart/byteranges``; a streamed body that is
        not :func:`send_file`'s is read to its end for that.

        :param accept_ranges: the value of ``Accept-Ranges``; True for ``bytes``, False for no such header.
        :param complete_length: bytes of the whole body.
        :raises werkzeug.exceptions.RequestedRangeNotSatisfiable: if the body has none of the ranges, or they are
            malformed, of another unit, or more than 16 (416).
        """
        if accept_ranges:
            self.headers["Accept-Ranges"] = "bytes" if accept_ranges is True else accept_ranges
        if request.method not in ("GET", "HEAD"):
            return self
        status = failed_condition(request, self)
        if status is not None:
            await self.aclose()
            self.set_data(b"")
            self.status_code = status
            self.headers.pop("Content-Length", None)
        elif complete_length and accept_ranges != "none" and (wanted := wanted_range(request, self)) is not None:
            await self._cut(wanted)
        return self

    async def _cut(self, wanted: str) -> None:
        body = self._stream
        if isinstance(body, FileBody) and body.size is not None:
            length = body.select(cut(self, wanted, body.size))
        else:
            data = await self.get_data()
            parts = cut(self, wanted, len(data))
            data = b"".join([part if isinstance(part, bytes) else data[slice(*part)] for part in parts])
            self.set_data(data)
            length = len(data)
        self.headers["Content-Length"] = f"{length}"

    def wire_headers(self) -> Headers:
        """Return the headers for the wire, as pairs of bytes.

        The carrier frames the body. Content-Length is among the headers only if a streamed body, or a 304, has one that
        the handler has set.

        :raises ValueError: as :func:`encode_headers` does, and for a status that no final response has.
        """
        status = self._status_code
        if not 200 <= status <= 999:
            raise ValueError(f"a response cannot have the status {status}; it is from 200 to 999")
        lines = encode_headers(self.headers)
        if self._complete is None:
            return lines
        if status != HTTPStatus.NOT_MODIFIED:
            return [line for line in lines if line[0] != b"content-length"]
        # A hook may have emptied the body before it made the response a 304: the length of nothing stands for nothing.
        return [line for line in lines if line != (b"content-length", b"0")]

    def wire_body(self) -> bytes | None:
        """Return the complete body; None if it must be streamed."""
        return self._complete

    @classmethod
    def from_sansio(cls, response: SansIOResponse) -> Response:
        """Return a werkzeug response (WSGI or sans-I/O) as one of this class; one of its own comes back as it is."""
        if isinstance(response, Response):
            return response
        get_data = getattr(response, "get_data", None)
        body = cast(bytes, get_data()) if get_data is not None else b""
        converted = cls(body, response.status, response.headers, content_type=None)
        if "content-type" not in response.headers:
            converted.headers.pop("content-type", None)
        return converted

    def __getstate__(self) -> dict[str, Any]:
        # The provider knows its app, which cannot be pickled: the app of the context that it is read in has another.
        return {name: value for name, value in self.__dict__.items() if name != "json_provider"}

    def __copy__(self) -> Self:
        response = type(self).__new__(type(self))
        response.__dict__.update(self.__dict__)
        return response

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self.json_provider)] = self.json_provider
        response = memo[id(self)] = type(self).__new__(type(self))
        response.__dict__.update(deepcopy(self.__dict__, memo))
        return response

    def __repr__(self) -> str:
        body = "streamed" if self._complete is None else f"{len(self._complete)} bytes"
        return f"<{type(self).__name__} {body} [{self.status}]>"


_set_cookie = suggests_arguments(SansIOResponse.set_cookie)


@lru_cache(maxsize=64)
def _content_type(mimetype: str | None) -> str | None:
    return None if mimetype is None else get_content_type(plain_text(mimetype), "utf-8")


def _next_piece(iterator: Iterator[str | bytes]) -> bytes | None:
    # None for the end: StopIteration cannot leave a thread for a coroutine.
    for piece in iterator:
        return _to_bytes(piece)
    return None


def _to_bytes(piece: str | bytes | bytearray | memoryview) -> bytes:
    if type(piece) is bytes:
        return piece
    if isinstance(piece, str):
        return str.encode(piece)  # of a subclass too, see protocol/plain.py
    if isinstance(piece, bytes | bytearray | memoryview):
        return plain_bytes(piece)
    if hint := forgotten_await(piece):
        raise TypeError(f"a response body holds a coroutine: {hint}")
    if isinstance(piece, ServerSentEvent):
        raise TypeError("a response body holds a ServerSentEvent; give the generator to EventSourceResponse()")
    raise TypeError(f"a response body holds {type(piece).__name__} {piece!r}; its pieces are str or bytes")
