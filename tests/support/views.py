"""Views that raise, or return, what a test gives them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import trio

from triows import Response, Triows

SECRET = "the password is swordfish"


class Ours(Exception):
    pass


class OursToo(Ours):
    pass


def raising(error: BaseException) -> Callable[[], Any]:
    async def view() -> Any:
        raise error

    return view


def raising_in_children(*errors: Exception) -> Callable[[], Any]:
    """A view whose child tasks raise, all of them, in this order."""

    async def child(error: Exception, previous: trio.Event, mine: trio.Event) -> None:
        try:
            with trio.CancelScope(shield=True):
                await previous.wait()
            raise error
        finally:
            mine.set()

    async def view() -> Any:
        events = [trio.Event() for _ in range(len(errors) + 1)]
        events[0].set()
        async with trio.open_nursery() as nursery:
            for number, error in enumerate(errors):
                nursery.start_soon(child, error, events[number], events[number + 1])

    return view


async def answer(value: Any, **options: Any) -> Response:
    """The response to a request whose view returns this value."""
    app = Triows(__name__)

    @app.route("/", methods=["GET", "HEAD"])
    async def view() -> Any:
        result = value() if inspect.isfunction(value) else value
        return await result if inspect.iscoroutine(result) else result

    return await app.test_client().open("/", **options)
