"""Names of other frameworks that are asked of a request or a websocket, each with what has that meaning here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

_BOTH: Mapping[str, str] = {
    **dict.fromkeys(("query_params", "query", "rel_url", "GET", "query_arguments"), "the query is in {name}.args"),
    **dict.fromkeys(("path_params", "match_info", "path_args"), "the URL's variables are in {name}.view_args"),
    **dict.fromkeys(
        ("client", "ip", "remote", "remote_address", "remote_ip"),
        "the client's address is {name}.remote_addr, and the connection's other end {name}.peer",
    ),
    **dict.fromkeys(("state", "ctx"), "import 'g' from triows, and set its attributes"),
    **dict.fromkeys(("app", "application"), "import 'current_app' from triows"),
    **dict.fromkeys(("META", "request_headers", "environ"), "headers are in {name}.headers"),
    "COOKIES": "cookies are in {name}.cookies",
}
_IN_DISCONNECT = "websocket.disconnect has code and reason once the client is gone, and is None until then"

REQUEST: Mapping[str, str] = {
    **{name: remedy.format(name="request") for name, remedy in _BOTH.items()},
    **dict.fromkeys(("POST", "post"), "the fields of a form are in 'await request.form'"),
    "FILES": "the files of a form are in 'await request.files'",
    **dict.fromkeys(("stream", "content", "iter_chunks"), "iterate: 'async for piece in request.body'"),
    "read": "use 'await request.get_data()'",
    "text": "use 'await request.get_data(as_text=True)'",
    "get_argument": "use request.args.get(), or (await request.form).get()",
}
"""What other frameworks have on an HTTP request."""

RESPONSE: Mapping[str, str] = {
    **dict.fromkeys(("text", "body_text"), "use 'await response.get_data(as_text=True)'"),
    **dict.fromkeys(("content", "body", "read"), "use 'await response.get_data()'"),
    **dict.fromkeys(("media_type", "contenttype"), "this is response.mimetype here"),
    "ok": "compare response.status_code",
    "delete_header": "use response.headers.pop(name)",
}
"""What other frameworks and clients have on a response."""

MESSAGES: Mapping[str, str] = {
    **dict.fromkeys(
        ("receive_text", "receive_bytes", "receive_str", "receive_message", "recv", "get_message", "read_message"),
        "use receive(), which returns text as str and binary as bytes",
    ),
    **dict.fromkeys(
        ("send_text", "send_bytes", "send_str", "send_message", "write_message"),
        "use send(), which takes str for text and bytes for binary",
    ),
    **dict.fromkeys(
        ("iter_text", "iter_bytes", "iter_json", "iter_messages"), "iterate: 'async for message in websocket'"
    ),
}
"""What others have for the messages of a websocket; the test client's has these names to answer for."""

WEBSOCKET: Mapping[str, str] = {
    **MESSAGES,
    **{name: remedy.format(name="websocket") for name, remedy in _BOTH.items()},
    **dict.fromkeys(
        ("client_state", "application_state", "closed", "open", "close_code", "close_reason", "disconnected"),
        _IN_DISCONNECT,
    ),
    **dict.fromkeys(("prepare", "handshake"), "use accept(), or just receive() or send()"),
    "send_denial_response": "return the response before accepting",
    **dict.fromkeys(("wait_closed", "wait_disconnected"), "the client's leaving cancels the handler; use 'finally:'"),
}
"""What other frameworks and libraries have on a websocket."""


class AbsentName:
    """What is not there, and says what is meant. An attribute of the object itself goes before it.

    :ivar name: the name.
    :ivar remedy: what to do instead.
    """

    def __init__(self, name: str, remedy: str) -> None:
        self.name: str = name
        self.remedy: str = remedy

    def __get__(self, instance: Any, owner: type) -> Any:
        subject = owner if instance is None else instance
        raise AttributeError(self.message(owner.__name__), name=self.name, obj=subject)

    def message(self, owner: str) -> str:
        """Return the text of the error.

        :param owner: the name of the object's class.
        """
        return f"a {owner} has no {self.name!r}: {self.remedy}"


class ForeignNameGuard:
    """A base class that says what is meant by another framework's name, where Python says that it is not there.

    Each name is a descriptor. A ``__getattr__()`` would do, but a class that has one gets each of its attributes more
    slowly, even those that are there: 2 % of an echoed message (CPython 3.11).
    """

    _foreign: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, remedy in vars(cls).get("_foreign", {}).items():
            if not hasattr(cls, name):
                setattr(cls, name, AbsentName(name, remedy))

    def __dir__(self) -> Iterable[str]:
        return [name for name in super().__dir__() if name not in self._foreign or hasattr(self, name)]
