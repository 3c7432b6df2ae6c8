"""Sessions, and where they are kept."""

from datetime import datetime
from typing import Any, assert_type

import coredis

from triows import (
    MemorySessionStore,
    RedisSessionStore,
    Response,
    ServerSideSessions,
    SessionInterface,
    SessionMixin,
    SessionStore,
    Triows,
    session,
)

assert_type(session, SessionMixin)
assert_type(session.new, bool)
assert_type(session.modified, bool)
assert_type(session.accessed, bool)
session.modified = True
session.modified = "yes"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]


class InMemory(SessionInterface):
    """An interface of a user's own, over what the base class declares."""

    def __init__(self) -> None:
        self.kept: dict[str, SessionMixin] = {}

    async def open_session(self, app: Triows, request: Any) -> SessionMixin | None:
        return self.kept.get(request.cookies.get(self.get_cookie_name(app), ""))

    async def save_session(self, app: Triows, session: SessionMixin, response: Response | None) -> None:
        if response is not None and self.should_set_cookie(app, session):
            response.set_cookie(self.get_cookie_name(app), "key", secure=self.get_cookie_secure(app))


class NotAsync(SessionInterface):
    def open_session(self, app: Triows, request: Any) -> SessionMixin | None:
        return None

    def save_session(self, app: Triows, session: SessionMixin, response: Response | None) -> None:
        pass


async def use(interface: SessionInterface, app: Triows) -> None:
    assert_type(interface.get_cookie_name(app), str)
    assert_type(interface.get_cookie_domain(app), str | None)
    assert_type(interface.get_cookie_path(app), str)
    assert_type(interface.get_cookie_httponly(app), bool)
    assert_type(interface.get_cookie_samesite(app), str | None)
    assert_type(interface.get_cookie_partitioned(app), bool)
    assert_type(interface.get_expiration_time(app, session), datetime | None)
    assert_type(interface.is_null_session(session), bool)
    assert_type(await interface.make_null_session(app), SessionMixin)
    app.session_interface = InMemory()
    interface.get_cookie_name()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


# On the server


class Store:
    """A store of a user's own."""

    async def load(self, key: str) -> str | None:
        return None

    async def save(self, key: str, data: str, lifetime: float, *, new: bool) -> None: ...
    async def touch(self, key: str, lifetime: float) -> None: ...
    async def delete(self, key: str) -> None: ...


class NoStore:
    async def load(self, key: str) -> bytes | None:
        return None


async def keep_on_the_server(app: Triows) -> None:
    stores: list[SessionStore] = [Store(), MemorySessionStore(100), RedisSessionStore(coredis.Redis(), prefix="s:")]
    app.session_interface = ServerSideSessions(stores[0])
    ServerSideSessions(NoStore())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(session.regenerate(), None)
    assert_type(await session.save(), None)
    assert_type(await stores[0].load("key"), str | None)
