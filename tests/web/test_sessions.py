"""Sessions in signed cookies: what they hold, how long they last, and when they are sent.

Tests triows/web/tagged_json.py.
"""

from __future__ import annotations

import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from triows import Response, SessionInterface, SessionMixin, Triows, session, websocket
from triows.testing import WebsocketResponseError
from triows.testing.request_context import pipeline_for
from triows.web.request import RequestBase
from triows.web.sessions import NullSession, SecureCookieSession, SecureCookieSessionInterface
from triows.web.tagged_json import JSONTag, TaggedJSONSerializer


def make_app(secret: str | None = "secret") -> Triows:
    app = Triows(__name__)
    app.secret_key = secret
    return app


async def save(app: Triows, **values: Any) -> Response:
    saved = SecureCookieSession()
    saved.update(values)
    response = Response()
    await app.session_interface.save_session(app, saved, response)
    return response


def request_with(app: Triows, cookie: str) -> RequestBase:
    return pipeline_for(app, "/", headers={"Cookie": cookie.partition(";")[0]}).subject


async def test_a_session_comes_back_in_its_cookie() -> None:
    app = make_app()
    response = await save(app, something="else")
    assert response.headers["Vary"] == "Cookie"
    opened = await app.session_interface.open_session(app, request_with(app, response.headers["Set-Cookie"]))
    assert opened == {"something": "else"}
    assert opened is not None
    assert not opened.modified


async def test_the_cookie_has_the_configured_attributes() -> None:
    app = make_app()
    app.config.update(
        SESSION_COOKIE_NAME="s",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_DOMAIN="a.example",
    )
    cookie = (await save(app, a=1)).headers["Set-Cookie"]
    assert cookie.startswith("s=")
    assert set(cookie.split("; ")[1:]) == {"Domain=a.example", "HttpOnly", "Path=/", "SameSite=Lax", "Secure"}


async def test_forged_cookies_open_an_empty_session() -> None:
    app = make_app()
    forged = (await save(make_app("other"), a=1)).headers["Set-Cookie"]
    assert await app.session_interface.open_session(app, request_with(app, forged)) == {}


@pytest.mark.parametrize("content", [b"{", b"", b"\xff", b'{" u":"no uuid"}', b"[" * 5000])
async def test_a_signed_cookie_of_another_make_opens_an_empty_session(content: bytes) -> None:
    app = make_app()
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer is not None
    signed = serializer.make_signer(serializer.salt).sign(urlsafe_b64encode(content).rstrip(b"="))
    opened = await app.session_interface.open_session(app, request_with(app, f"session={signed.decode()}"))
    assert opened == {}


async def test_former_keys_are_still_accepted() -> None:
    cookie = (await save(make_app("old"), a=1)).headers["Set-Cookie"]
    app = make_app("new")
    app.config["SECRET_KEY_FALLBACKS"] = ["old"]
    assert await app.session_interface.open_session(app, request_with(app, cookie)) == {"a": 1}


async def test_an_untouched_session_is_not_sent() -> None:
    response = Response()
    await make_app().session_interface.save_session(make_app(), SecureCookieSession({"a": 1}), response)
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers


@pytest.mark.parametrize(
    "look",
    [bool, len, list, dict, str, lambda session: session.keys(), lambda session: session == {}],
    ids=["bool", "len", "list", "dict", "str", "keys", "=="],
)
async def test_a_response_varies_with_the_cookie_however_the_session_was_looked_at(look: Callable[[Any], Any]) -> None:
    app = make_app()

    @app.get("/")
    async def view() -> str:
        look(session)
        return ""

    @app.get("/other")
    async def other() -> str:
        return ""

    # CVE-2026-27205: a cache must not take what this client sees for everybody's, nor the other way round.
    assert (await app.test_client().get("/")).headers["Vary"] == "Cookie"
    assert "Vary" not in (await app.test_client().get("/other")).headers


async def test_an_emptied_session_deletes_its_cookie() -> None:
    emptied = SecureCookieSession({"a": 1})
    emptied.clear()
    response = Response()
    await SecureCookieSessionInterface().save_session(make_app(), emptied, response)
    assert "Max-Age=0" in response.headers["Set-Cookie"]


async def test_a_permanent_session_expires_later() -> None:
    app = make_app()
    kept = SecureCookieSession()
    kept.permanent = True
    response = Response()
    await app.session_interface.save_session(app, kept, response)
    assert "Expires=" in response.headers["Set-Cookie"]


async def test_acceptance_carries_the_cookie_once() -> None:
    app = make_app()
    opened = SecureCookieSession()
    opened["a"] = 1
    assert [name for name, _ in app.session_interface.accept_headers(app, opened)] == [b"set-cookie"]
    assert not opened.modified


async def test_changes_after_acceptance_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    opened = SecureCookieSession()
    opened["a"] = 1
    await app.session_interface.save_session(app, opened, None)
    assert "before websocket.accept()" in caplog.text


async def test_without_a_secret_key_the_session_is_read_only() -> None:
    async with make_app(None).test_request_context("/"):
        assert session.get("a") is None
        with pytest.raises(RuntimeError, match="secret_key"):
            session["a"] = 1


@pytest.mark.parametrize(
    "value",
    [
        {"a": (1, (2, b"\xff")), "b": [UUID(int=1), {"c": None}]},
        {"when": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)},
        {"x": {" t": [1]}},
        {"x": {" di": {"a": 1}}},
    ],
)
def test_python_types_survive_the_cookie(value: Any) -> None:
    serializer = TaggedJSONSerializer()
    assert serializer.loads(serializer.dumps(value)) == value


async def test_a_session_interface_that_is_set_late_is_used_by_the_next_request() -> None:
    class Elsewhere(SecureCookieSessionInterface):
        async def open_session(self, app: Triows, request: RequestBase) -> SecureCookieSession:
            return SecureCookieSession({"user": "from elsewhere"})

    app = make_app()

    @app.get("/")
    async def view() -> str:
        return str(session.get("user"))

    client = app.test_client()
    assert await (await client.get("/")).get_data() == b"None"
    app.session_interface = Elsewhere()
    assert await (await client.get("/")).get_data() == b"from elsewhere"


# Interfaces of other kinds


class InMemory:
    """A synchronous interface, as those for Flask are: it knows nothing of triows, and wants a response always."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.threads: set[threading.Thread] = set()

    def open_session(self, app: Triows, request: RequestBase) -> SessionMixin | None:
        self.threads.add(threading.current_thread())
        if "X-None" in request.headers:
            return None
        return SecureCookieSession(self.kept.get(request.cookies.get("sid", ""), {}))

    def save_session(self, app: Triows, session: SessionMixin, response: Response) -> None:
        self.threads.add(threading.current_thread())
        if session.modified:
            self.kept["1"] = dict(session)
            response.set_cookie("sid", "1")

    def make_null_session(self, app: Triows) -> SessionMixin:
        return NullSession()

    def is_null_session(self, obj: object) -> bool:
        return isinstance(obj, NullSession)


class SyncInterface(InMemory, SessionInterface):  # type: ignore[misc]
    """A synchronous interface of triows's."""

    def save_session(self, app: Triows, session: SessionMixin, response: Response | None) -> None:
        super().save_session(app, session, response or Response())


class Dicts(SyncInterface):
    """An interface whose sessions are dicts, and nothing more."""

    def open_session(self, app: Triows, request: RequestBase) -> Any:
        opened = super().open_session(app, request)
        return None if opened is None else dict(opened)

    def save_session(self, app: Triows, session: Any, response: Response | None) -> None:
        if session:
            super().save_session(app, Changed(session), response)


class Changed(SecureCookieSession):
    modified = True


class HalfAsync(SecureCookieSessionInterface):
    """Functions that are not async, and return what is to be awaited."""

    def open_session(self, *args: Any) -> Any:
        return super().open_session(*args)

    def save_session(self, *args: Any) -> Any:
        return super().save_session(*args)

    def make_null_session(self, *args: Any) -> Any:
        return super().make_null_session(*args)


def flasks() -> Any:
    sessions = pytest.importorskip("flask.sessions")
    return sessions.SecureCookieSessionInterface()


INTERFACES = [InMemory, SyncInterface, Dicts, HalfAsync, SecureCookieSessionInterface, flasks]


def app_with(interface: Any) -> Triows:
    app = make_app()
    app.session_interface = interface

    @app.get("/")
    async def count() -> dict[str, Any]:
        session["count"] = session.get("count", 0) + 1
        return dict(session)

    @app.get("/look")
    async def look() -> str:
        return str(session.get("count"))

    @app.websocket("/")
    async def ws() -> Any:
        if "X-Reject" in websocket.headers:
            session["count"] = 10
            return "no", 403
        await websocket.send(str(session.get("count")))
        return None

    return app


@pytest.mark.parametrize("make", INTERFACES)
async def test_an_interface_may_be_async_or_not(make: Any) -> None:
    app = app_with(make())
    client, other = app.test_client(), app.test_client()
    for count in (1, 2, 3):
        assert await (await client.get("/")).get_json() == {"count": count}
    assert await (await other.get("/look")).get_data() == b"None"
    async with client.session_transaction() as opened:
        assert opened["count"] == 3
        opened["count"] = 7
    async with client.websocket("/") as ws:
        assert await ws.receive() == "7"
    with pytest.raises(WebsocketResponseError):
        async with client.websocket("/", headers={"X-Reject": "1"}) as ws:
            await ws.receive()
    assert await (await client.get("/look")).get_data() == b"10"
    async with app.test_request_context("/"):
        assert dict(session) == {}


@pytest.mark.parametrize("make", [InMemory, SyncInterface])
async def test_an_interface_that_is_not_async_runs_in_a_worker_thread(make: Any) -> None:
    interface = make()
    app = app_with(interface)
    await app.test_client().get("/")
    assert interface.threads
    assert threading.current_thread() not in interface.threads


@pytest.mark.parametrize("make", [InMemory, SyncInterface])
async def test_an_interface_that_is_not_async_may_have_no_session(make: Any) -> None:
    client = app_with(make()).test_client()
    assert await (await client.get("/look", headers={"X-None": "1"})).get_data() == b"None"
    with pytest.raises(RuntimeError, match="does it have a secret key"):
        async with client.session_transaction(headers={"X-None": "1"}):
            pass


@pytest.mark.parametrize("make", [HalfAsync, flasks])
async def test_an_interface_has_no_session_without_a_key(make: Any) -> None:
    app = app_with(make())
    app.secret_key = None
    async with app.test_request_context("/"):
        assert app.session_interface.is_null_session(session)


async def test_an_interface_may_be_set_on_a_subclass_and_have_functions_set_on_it() -> None:
    class App(Triows):
        session_interface: Any = SyncInterface()

    app = App(__name__)
    opened = SecureCookieSession({"user": "Ann"})

    async def open_session(app: Triows, request: RequestBase) -> SessionMixin:
        return opened

    app.session_interface.open_session = open_session
    app.get("/", endpoint="view")(lambda: session["user"])
    assert await (await app.test_client().get("/")).get_data() == b"Ann"


async def test_an_error_of_an_interface_that_is_not_async_is_answered() -> None:
    class Broken(InMemory):
        def open_session(self, app: Triows, request: RequestBase) -> SessionMixin | None:
            raise OSError("the store is down")

    app = app_with(Broken())
    app.errorhandler(OSError)(lambda error: ("try later", 503))
    assert (await app.test_client().get("/")).status_code == 503


@pytest.mark.parametrize("make", [InMemory, flasks])
async def test_a_cookie_that_cannot_be_set_at_a_websockets_end_is_reported(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with(make())

    @app.websocket("/late")
    async def late() -> None:
        await websocket.accept()
        session["count"] = 5

    async with app.test_client().websocket("/late") as ws:
        await ws.wait_closed()
    assert "SessionInterface" in caplog.text or "InMemory" in caplog.text
    assert "none can be set any more" in caplog.text


# Classes of sessions


def test_a_session_of_ones_own_is_a_dict_beside_the_mixin() -> None:
    class ServerSession(dict[str, Any], SessionMixin):
        pass

    kept = ServerSession(user="Ann")
    assert (kept.new, kept.modified, kept.accessed, kept.permanent) == (False, True, True, False)
    kept.permanent = True
    assert kept == {"user": "Ann", "_permanent": True}
    assert kept.permanent


def test_a_session_of_ones_own_may_keep_its_items_elsewhere() -> None:
    class Stored(SessionMixin):
        def __init__(self) -> None:
            self.items_kept: dict[str, Any] = {}

        def __getitem__(self, key: str) -> Any:
            return self.items_kept[key]

        def __setitem__(self, key: str, value: Any) -> None:
            self.items_kept[key] = value

        def __delitem__(self, key: str) -> None:
            del self.items_kept[key]

        def __iter__(self) -> Iterator[str]:
            return iter(self.items_kept)

        def __len__(self) -> int:
            return len(self.items_kept)

    stored = Stored()
    stored.setdefault("user", "Ann")
    stored.permanent = True
    assert stored.get("user") == "Ann"
    assert (stored.permanent, stored.pop("_permanent"), len(stored)) == (True, True, 1)


def test_the_classes_of_sessions_are_sessions() -> None:
    interface = SecureCookieSessionInterface()
    assert issubclass(SecureCookieSession, SessionMixin)
    assert interface.is_null_session(NullSession())
    assert not interface.is_null_session(SecureCookieSession())
    assert interface.pickle_based is False


async def test_the_null_session_of_an_interface_is_awaited() -> None:
    assert isinstance(await SessionInterface().make_null_session(None), NullSession)


# Tags of one's own


class TagSet(JSONTag):
    key = " s"

    def check(self, value: Any) -> bool:
        return isinstance(value, set)

    def to_json(self, value: Any) -> Any:
        return [self.serializer.tag(item) for item in sorted(value)]

    def to_python(self, value: Any) -> Any:
        return set(value)


def test_a_tag_of_ones_own_is_used_at_any_depth() -> None:
    serializer = TaggedJSONSerializer()
    serializer.register(TagSet)
    value = {"a": [{(1, b"x"), (2, b"y")}], " s": {"b": set()}}
    text = serializer.dumps(value)
    assert '" s"' in text
    assert serializer.loads(text) == value


def test_a_tag_may_stand_before_those_that_are_there_and_take_plain_values() -> None:
    class TagShout(JSONTag):
        key = " shout"

        def check(self, value: Any) -> bool:
            return isinstance(value, str) and value.endswith("!")

        def to_json(self, value: Any) -> Any:
            return value[:-1]

        def to_python(self, value: Any) -> Any:
            return f"{value}!"

    serializer = TaggedJSONSerializer()
    serializer.register(TagShout, index=0)
    assert isinstance(serializer.order[0], TagShout)
    assert serializer.dumps(["hey!"]) == '[{" shout":"hey"}]'
    assert serializer.loads('[{" shout":"hey"}]') == ["hey!"]


def test_a_key_is_given_once_unless_by_force() -> None:
    class TagOther(TagSet):
        key = " t"

    serializer = TaggedJSONSerializer()
    with pytest.raises(KeyError, match="' t' already, TagTuple; give TagOther another key"):
        serializer.register(TagOther)
    serializer.register(TagOther, force=True, index=0)
    assert serializer.loads(serializer.dumps({1, 2})) == {1, 2}


def test_a_tag_without_methods_says_what_it_needs() -> None:
    class TagNothing(JSONTag):
        pass

    tag = TagNothing(TaggedJSONSerializer())
    for method in (tag.check, tag.to_json, tag.to_python):
        with pytest.raises(NotImplementedError, match=r"TagNothing needs a \w+\(\) method"):
            method(1)
