"""The exceptions: one hierarchy, with the values that they carry."""

from typing import Any, assert_type

import triows
from triows.errors import (
    CancelledSwallowedError,
    HTTPDisconnectError,
    JSONMessageError,
    LifespanError,
    ListenError,
    TriowsError,
    WebSocketClosed,
    WebsocketDisconnectError,
    WebsocketResponseError,
    WebSocketStateError,
)

of_triows: list[type[TriowsError]] = [
    CancelledSwallowedError,
    HTTPDisconnectError,
    JSONMessageError,
    LifespanError,
    ListenError,
    WebSocketClosed,
    WebsocketDisconnectError,
    WebsocketResponseError,
    WebSocketStateError,
]
not_of_triows: type[TriowsError] = ValueError  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
an_os_error: type[OSError] = triows.ListenError
a_value_error: type[ValueError] = JSONMessageError
a_runtime_error: type[RuntimeError] = WebSocketStateError
the_same: type[WebSocketClosed] = triows.WebSocketClosed

try:
    ...
except JSONMessageError as error:
    assert_type(error.message, str | bytes)
except WebsocketDisconnectError as error:
    assert_type(error.code, int)
    assert_type(error.reason, str)
    error.status_code  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
except WebsocketResponseError as error:
    assert_type(error.response, Any)
except WebSocketClosed as error:
    assert_type(error.connection, object)

WebsocketDisconnectError("1000")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
JSONMessageError("not JSON")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
