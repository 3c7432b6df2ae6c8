"""Sessions that a store keeps: the client's cookie holds a random id and nothing else.

- An id is only ever made here. One that the store does not know is replaced, so that nobody can plant one.
- What was read and not changed is not written: it cannot undo what another request writes meanwhile. Of two requests
  that change one session at the same time, the last one wins, with all that it holds.
- A session that another request has ended stays ended, whatever is written to it later.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, cast

from ..connection.base import NoNurseryError
from ..protocol.headers import Headers
from .context import current_context
from .headers import encode_headers
from .request import RequestBase
from .response import Response
from .session_stores import SessionStore
from .sessions import SecureCookieSession, SessionInterface, SessionMixin, cookie_attributes
from .tagged_json import TaggedJSONSerializer

_ID_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9_-]{43}")  # what 32 bytes are in URL-safe base64

Step = Callable[[], Awaitable[None]]


class ServerSideSession(SecureCookieSession):
    """The session of :class:`ServerSideSessions`.

    :ivar id: what the client's cookie holds.
    """

    def __init__(self, initial: dict[str, Any] | None = None, id: str | None = None) -> None:
        super().__init__(initial)
        self.new: bool = id is None
        self.id: str = _new_id() if id is None else id
        self._cookie_id = id  # what the client has; None: nothing
        self._ended: list[str] = []
        self._plan: Callable[[], Sequence[Step]] | None = None

    def regenerate(self) -> None:
        """Give the session another id, and end the former one: call it when somebody logs in.

        Who knew the former id, by having planted it, does not know this one. What the session holds stays.
        """
        if not self.new:
            self._ended.append(self.id)
        self.id = _new_id()
        self.new = True
        self._touch()

    def clear(self) -> None:
        """End the session: the store forgets it. What is put into it afterwards begins another one."""
        super().clear()
        self.regenerate()

    async def save(self) -> None:
        """Save the changes now, rather than with the response: for a websocket that was accepted, and for streams.

        Cancelled, it may have saved them or not.
        """
        if self._plan is None:
            raise RuntimeError("this session was not opened by an app, so that it cannot be saved")
        for step in self._plan():
            await step()


class ServerSideSessions(SessionInterface):
    """Keeps sessions in a store: ``app.session_interface = ServerSideSessions(MemorySessionStore())``.

    No secret key is needed. Sessions hold what those in cookies hold (:class:`~triows.SessionMixin`), as JSON; a store
    keeps them for PERMANENT_SESSION_LIFETIME after the last change, or, if they are permanent, after the last request.

    :param store: a :class:`SessionStore`.
    """

    serializer: Any = TaggedJSONSerializer()
    session_class = ServerSideSession

    def __init__(self, store: SessionStore) -> None:
        self.store = store

    async def open_session(self, app: Any, request: RequestBase) -> ServerSideSession:
        """Return the session of the cookie's id: a new one if there is none, or the store does not know it."""
        session = await self._load(self._id_of(app, request))
        session._plan = partial(self._steps, app, session)
        return session

    def _id_of(self, app: Any, request: RequestBase) -> str | None:
        if not any(name == b"cookie" for name, _ in request.head.headers):
            return None
        id = request.cookies.get(self.get_cookie_name(app))
        return id if id is not None and _ID.fullmatch(id) else None

    async def _load(self, id: str | None) -> ServerSideSession:
        data = None if id is None else await self.store.load(_key(id))
        if data is not None:
            try:
                return self.session_class(self.serializer.loads(data), id)
            except (ValueError, TypeError):
                pass  # written by another program, or another version of this one
        return self.session_class()

    async def save_session(self, app: Any, session: SessionMixin, response: Response | None) -> None:
        """Save the changes in the store, and the id in the response's cookie."""
        own = cast(ServerSideSession, session)
        if response is not None:
            self._write_cookie(app, own, response)
        elif own and own.id != own._cookie_id:
            app.logger.warning(
                "the session was begun, or got another id, after its websocket had been accepted, when no cookie can be"
                " set any more; the client will not have it: do this before websocket.accept()"
            )
        for step in self._steps(app, own):
            await step()

    def accept_headers(self, app: Any, session: SessionMixin) -> Headers:
        """Return the cookie for the acceptance of a websocket. A task in the handler's nursery saves the changes."""
        own = cast(ServerSideSession, session)
        carrier = Response()
        context = current_context()
        self._write_cookie(app, own, carrier)
        if context is not None and context.websocket is not None:
            try:
                nursery = context.websocket.nursery
            except NoNurseryError:
                pass  # accepted in a hook: it is saved at the end
            else:
                for step in self._steps(app, own):
                    nursery.start_soon(step)
        return encode_headers([("Set-Cookie", cookie) for cookie in carrier.headers.getlist("Set-Cookie")])

    def _write_cookie(self, app: Any, session: ServerSideSession, response: Response) -> None:
        name, attributes = self.get_cookie_name(app), cookie_attributes(self, app)
        if session.accessed or session.modified:
            response.vary.add("Cookie")
        if not session:
            if session.modified and session._cookie_id is not None:
                response.delete_cookie(name, **attributes)
                session._cookie_id = None
        elif session.id != session._cookie_id or self.should_set_cookie(app, session):
            expires = self.get_expiration_time(app, session)
            response.set_cookie(name, session.id, expires=expires, **attributes)
            response.vary.add("Cookie")
            session._cookie_id = session.id

    def _steps(self, app: Any, session: ServerSideSession) -> Sequence[Step]:
        """Return what saves the session as it is now, and take it for saved."""
        store, key = self.store, _key(session.id)
        # The former ids end first: a failure in between logs somebody out, and lets nobody in.
        steps: list[Step] = [partial(store.delete, _key(id)) for id in session._ended]
        lifetime = app.permanent_session_lifetime.total_seconds()
        if not session:
            if session.modified and not session.new:
                steps.append(partial(store.delete, key))
        elif session.modified:
            data = self.serializer.dumps(dict(session))
            steps.append(partial(store.save, key, data, lifetime, new=session.new))
            session.new = False
        elif self.should_set_cookie(app, session):
            steps.append(partial(store.touch, key, lifetime))
        session._ended = []
        session.modified = False
        return steps


def _new_id() -> str:
    return secrets.token_urlsafe(_ID_BYTES)


def _key(id: str) -> str:
    return hashlib.sha256(id.encode("ascii")).hexdigest()
