"""Where server-side sessions are kept: what a store does, one in memory, and one in Redis."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable
from typing import Any, Protocol

import trio

from ..connection.checks import size


class SessionStore(Protocol):
    """Keeps texts by keys, each for some time. The keys are digests: who reads the store learns no session's id.

    Any error that a method raises fails the request.
    """

    async def load(self, key: str) -> str | None:
        """Return the text of a key; None if there is none, or its time is over."""

    async def save(self, key: str, data: str, lifetime: float, *, new: bool) -> None:
        """Keep a text for ``lifetime`` seconds.

        :param new: whether the key may be new. If it is False and the key is not there any more, keep nothing:
            another request has deleted the session meanwhile, and it stays deleted.
        """

    async def touch(self, key: str, lifetime: float) -> None:
        """Keep the text of a key, if there is one, for ``lifetime`` seconds from now."""

    async def delete(self, key: str) -> None:
        """Forget a key, if it is there."""


class MemorySessionStore:
    """Keeps sessions in the memory of the process: for one process, until it ends.

    :param max_entries: sessions that are kept; beyond, the one that was written or touched the longest ago is dropped.
    :raises ValueError: if that is less than 1.
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        self._max_entries = size("max_entries", max_entries)
        self._entries: OrderedDict[str, tuple[str, float]] = OrderedDict()  # with the time of the end, by Trio's clock

    def __len__(self) -> int:
        return len(self._entries)

    async def load(self, key: str) -> str | None:
        """See :class:`SessionStore`."""
        return self._entries[key][0] if self._has(key) else None

    async def save(self, key: str, data: str, lifetime: float, *, new: bool) -> None:
        """See :class:`SessionStore`."""
        if not (new or self._has(key)):
            return
        self._entries[key] = data, trio.current_time() + lifetime
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries or not self._has(next(iter(self._entries))):
            self._drop_first()

    async def touch(self, key: str, lifetime: float) -> None:
        """See :class:`SessionStore`."""
        if self._has(key):
            self._entries[key] = self._entries[key][0], trio.current_time() + lifetime
            self._entries.move_to_end(key)

    async def delete(self, key: str) -> None:
        """See :class:`SessionStore`."""
        self._entries.pop(key, None)

    def _has(self, key: str) -> bool:
        return key in self._entries and self._entries[key][1] > trio.current_time()

    def _drop_first(self) -> None:
        self._entries.popitem(last=False)


class RedisClient(Protocol):
    """A client of Redis, as the store uses it: :class:`coredis.Redis`."""

    def get(self, key: Any, /) -> Awaitable[Any]: ...
    def set(self, key: Any, value: Any, /, *, condition: Any = ..., px: Any = ...) -> Awaitable[Any]: ...
    def pexpire(self, key: Any, milliseconds: Any, /) -> Awaitable[Any]: ...
    def delete(self, keys: Any, /) -> Awaitable[Any]: ...


class RedisSessionStore:
    """Keeps sessions in Redis, for any number of processes: ``pip install 'triows[redis]'``.

    :param client: a :class:`!coredis.Redis`, which is open (``async with client:``) for as long as the app serves.
    :param prefix: what the keys in Redis begin with.
    """

    def __init__(self, client: RedisClient, prefix: str = "session:") -> None:
        self._client = client
        self._prefix = prefix

    async def load(self, key: str) -> str | None:
        """See :class:`SessionStore`."""
        data: str | bytes | None = await self._client.get(self._prefix + key)
        return data.decode() if isinstance(data, bytes) else data

    async def save(self, key: str, data: str, lifetime: float, *, new: bool) -> None:
        """See :class:`SessionStore`."""
        from coredis import PureToken

        condition = None if new else PureToken.XX
        await self._client.set(self._prefix + key, data, condition=condition, px=_milliseconds(lifetime))

    async def touch(self, key: str, lifetime: float) -> None:
        """See :class:`SessionStore`."""
        await self._client.pexpire(self._prefix + key, _milliseconds(lifetime))

    async def delete(self, key: str) -> None:
        """See :class:`SessionStore`."""
        await self._client.delete([self._prefix + key])


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))
