"""Messages for the client's next page, kept in the session until a page shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, overload

from trio.lowlevel import checkpoint

from ..tasks.functions import check_awaited
from . import signals
from .context import Context, current_context
from .sessions import SessionMixin, note_access
from .suggestions import suggests_arguments

_KEY = "_flashes"


@suggests_arguments
async def flash(message: str, category: str = "message") -> None:
    """Keep a message in the session until :func:`get_flashed_messages` takes it out, mostly in the next request.

    In a websocket's handler call it before ``websocket.accept()``, when the session can still be saved.

    :param category: for the page: ``"message"``, ``"error"``, ``"info"`` or any other.
    :raises RuntimeError: outside of a request or websocket, and without a secret key.
    """
    context, session = _context_and_session("flash()")
    await checkpoint()
    check_awaited("flash()", message, category)
    # A new list: the session notices that it is modified only when an item is set.
    session[_KEY] = [*session.get(_KEY, ()), (category, message)]
    if signals.message_flashed.receivers:
        await signals.send(signals.message_flashed, context.app, message=message, category=category)


@overload
def get_flashed_messages(with_categories: Literal[False] = False, category_filter: Iterable[str] = ()) -> list[str]: ...


@overload
def get_flashed_messages(
    with_categories: Literal[True], category_filter: Iterable[str] = ()
) -> list[tuple[str, str]]: ...


@overload
def get_flashed_messages(
    with_categories: bool = False, category_filter: Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]: ...


def get_flashed_messages(
    with_categories: bool = False, category_filter: Iterable[str] = ()
) -> list[str] | list[tuple[str, str]]:
    """Take the messages of :func:`flash` out of the session, and return them: the same ones until the request ends.

    :param with_categories: whether to return pairs of category and message.
    :param category_filter: the categories to return; the messages of all the others are taken out as well. Empty: all.
    :raises RuntimeError: outside of a request or websocket.
    """
    context, session = _context_and_session("get_flashed_messages()")
    flashes = context.flashes
    if flashes is None:
        # Without messages the session is not modified. A session that cannot be saved has none.
        flashes = context.flashes = session.pop(_KEY) if _KEY in session else []
    categories = (category_filter,) if isinstance(category_filter, str) else tuple(category_filter)
    found = [(category, message) for category, message in flashes if not categories or category in categories]
    return found if with_categories else [message for _, message in found]


def _context_and_session(what: str) -> tuple[Context, SessionMixin]:
    context = current_context()
    if context is None or context.session is None:
        raise RuntimeError(f"{what} is only available while a request or websocket is handled: it uses the session")
    note_access(context.session)
    return context, context.session
