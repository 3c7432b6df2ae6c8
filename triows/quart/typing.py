"""Quart's ``quart.typing``: what views may return, and what hooks are."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers
from werkzeug.sansio.response import Response as SansIOResponse

from ..web.quart_names import refuse_imports as _refuse_imports
from ..web.response import Response

if TYPE_CHECKING:
    from ..testing.app import TestApp
    from ..testing.client import TestClient
    from ..testing.http import TestHTTPConnection
    from ..testing.websocket import TestWebSocket

    TestAppProtocol = TestApp
    TestClientProtocol = TestClient
    TestHTTPConnectionProtocol = TestHTTPConnection
    TestWebsocketConnectionProtocol = TestWebSocket

FilePath = bytes | str | os.PathLike[Any]

# What views return

ResponseTypes = Response | SansIOResponse
ResponseValue = (
    ResponseTypes
    | bytes
    | str
    | Mapping[str, Any]
    | list[Any]
    | Iterable[bytes]
    | Iterable[str]
    | AsyncIterable[bytes]
    | AsyncIterable[str]
)
StatusCode = int
HeaderName = str
HeaderValue = str | list[str] | tuple[str, ...]
HeadersValue = Headers | Mapping[HeaderName, HeaderValue] | Iterable[tuple[HeaderName, HeaderValue]]
ResponseReturnValue = (
    ResponseValue
    | tuple[ResponseValue, HeadersValue]
    | tuple[ResponseValue, StatusCode]
    | tuple[ResponseValue, StatusCode, HeadersValue]
)

# Views and hooks

_Answer = ResponseReturnValue | None
RouteCallable = Callable[..., ResponseReturnValue] | Callable[..., Awaitable[ResponseReturnValue]]
WebsocketCallable = Callable[..., Awaitable[_Answer]]
BeforeRequestCallable = Callable[[], _Answer] | Callable[[], Awaitable[_Answer]]
BeforeWebsocketCallable = BeforeRequestCallable
AfterRequestCallable = Callable[[Any], ResponseTypes] | Callable[[Any], Awaitable[ResponseTypes]]
AfterWebsocketCallable = Callable[[Any], ResponseTypes | None] | Callable[[Any], Awaitable[ResponseTypes | None]]
TeardownCallable = Callable[[BaseException | None], None] | Callable[[BaseException | None], Awaitable[None]]
BeforeServingCallable = Callable[[], None] | Callable[[], Awaitable[None]]
AfterServingCallable = BeforeServingCallable
WhileServingCallable = Callable[[], AsyncGenerator[None, None]]
ErrorHandlerCallable = Callable[[Any], ResponseReturnValue] | Callable[[Any], Awaitable[ResponseReturnValue]]
ShellContextProcessorCallable = Callable[[], dict[str, Any]]
TemplateContextProcessorCallable = Callable[[], dict[str, Any]] | Callable[[], Awaitable[dict[str, Any]]]
TemplateFilterCallable = Callable[..., Any]
TemplateGlobalCallable = Callable[..., Any]
TemplateTestCallable = Callable[..., bool]
URLDefaultCallable = Callable[[str, dict[str, Any]], None]
URLValuePreprocessorCallable = Callable[[str | None, dict[str, Any] | None], None]
AppOrBlueprintKey = str | None

# Tests

_OF_TESTS = {
    "TestAppProtocol": "TestApp",
    "TestClientProtocol": "TestClient",
    "TestHTTPConnectionProtocol": "TestHTTPConnection",
    "TestWebsocketConnectionProtocol": "TestWebSocket",
}

if not TYPE_CHECKING:
    _refuse = _refuse_imports(
        __name__,
        {
            "Event": "events are Trio's: trio.Event",
            **dict.fromkeys(
                ("ASGIHTTPProtocol", "ASGILifespanProtocol", "ASGIWebsocketProtocol"),
                "what carries requests is no part of the app; wrap app.asgi_app",
            ),
        },
    )

    def __getattr__(name: str) -> Any:
        # What tests need is imported when a test asks for it: that is a third of all that an app would import.
        if name in _OF_TESTS:
            from .. import testing

            return getattr(testing, _OF_TESTS[name])
        return _refuse(name)


# ASGI

HTTPScope = MutableMapping[str, Any]
WebsocketScope = MutableMapping[str, Any]
LifespanScope = MutableMapping[str, Any]
ASGIReceiveCallable = Callable[[], Awaitable[Any]]
ASGISendCallable = Callable[[Any], Awaitable[None]]
