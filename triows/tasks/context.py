"""The context of a task and its child tasks: one object in one ContextVar, and proxies for its attributes.

Trio gives each new task a copy of its parent's context variables. So every task inherits the context of the task that
has started it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from trio.lowlevel import Task

_MISSING: Any = object()


class Namespace:
    """What ``g`` stands for: any attribute may be set. ``"name" in g`` tells whether one is."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"g has no {name!r} here; set g.{name} in this context first, or use g.get({name!r})")

    if TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None: ...

    def get(self, name: str, default: Any = None) -> Any:
        """Return the attribute ``name``, or ``default``."""
        return self.__dict__.get(name, default)

    def pop(self, name: str, default: Any = _MISSING) -> Any:
        """Remove and return the attribute ``name``. If it is missing, return ``default``, or raise :exc:`KeyError`."""
        if default is _MISSING:
            return self.__dict__.pop(name)
        return self.__dict__.pop(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return the attribute ``name``, set to ``default`` first if it is missing."""
        return self.__dict__.setdefault(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __repr__(self) -> str:
        return f"<g {self.__dict__!r}>"


class TaskContext(Protocol):
    """What :data:`current` holds.

    :ivar app: the app that the task runs for.
    :ivar name: how messages name the request or websocket; None if there is neither.
    :ivar request_id: its id in logs; None if nobody has asked for one.
    """

    app: Any

    @property
    def name(self) -> str | None: ...
    @property
    def request_id(self) -> str | None: ...


current: ContextVar[TaskContext] = ContextVar("triows.context")


def context_of(task: Task) -> TaskContext | None:
    """Return the context of a task, or None if the task has none. Any thread may call this."""
    return task.context.get(current)


def current_request_id() -> str | None:
    """Return the id of the request or websocket that the task works for; None if it has none, or works for neither."""
    context = current.get(None)
    return None if context is None else context.request_id


class Proxy:
    """Stands for one attribute of the current context, in every task for the attribute of that task's own context."""

    __slots__ = ("_attribute", "_remedy")

    def __init__(self, attribute: str, remedy: str) -> None:
        object.__setattr__(self, "_attribute", attribute)
        object.__setattr__(self, "_remedy", remedy)

    def _get_current_object(self) -> Any:
        """Return the object that the proxy stands for in this task.

        :raises RuntimeError: if there is none.
        """
        try:
            target = getattr(current.get(), self._attribute)
        except LookupError:
            target = None
        if target is None:
            raise RuntimeError(self._remedy) from None
        return target

    def __getattr__(self, name: str) -> Any:
        # Every message passes here: nothing but one ContextVar.get and two getattr.
        try:
            return getattr(getattr(current.get(), self._attribute), name)
        except (LookupError, AttributeError) as error:
            return self._explain(name, error)

    def _explain(self, name: str, error: Exception) -> Any:
        context = current.get(None)
        if context is not None and getattr(context, self._attribute) is not None:
            raise error
        if name.startswith("__") and name.endswith("__"):
            # Tools look for __wrapped__ and __name__ on everything that a module holds, and expect an AttributeError.
            raise AttributeError(name) from None
        raise RuntimeError(self._remedy) from None

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._get_current_object(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._get_current_object(), name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The class of the object, for isinstance()."""
        try:
            return type(self._get_current_object())
        except RuntimeError:
            return Proxy

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copy or pickle the object, not the proxy."""
        return self._get_current_object().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        try:
            return repr(self._get_current_object())
        except RuntimeError:
            return f"<{self._attribute}: none here>"

    def __str__(self) -> str:
        try:
            return str(self._get_current_object())
        except RuntimeError:
            return repr(self)

    def __bool__(self) -> bool:
        try:
            return bool(self._get_current_object())
        except RuntimeError:
            return False

    def __dir__(self) -> list[str]:
        try:
            return dir(self._get_current_object())
        except RuntimeError:
            return []

    def __eq__(self, other: object) -> bool:
        return bool(self._get_current_object() == other)

    def __ne__(self, other: object) -> bool:
        return bool(self._get_current_object() != other)

    def __hash__(self) -> int:
        return hash(self._get_current_object())

    def __len__(self) -> int:
        return len(self._get_current_object())

    def __getitem__(self, key: Any) -> Any:
        return self._get_current_object()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._get_current_object()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._get_current_object()[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._get_current_object()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._get_current_object())

    def __aiter__(self) -> Any:
        return self._get_current_object().__aiter__()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._get_current_object()(*args, **kwargs)

    def __or__(self, other: Any) -> Any:
        return self._get_current_object() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._get_current_object()

    def __ior__(self, other: Any) -> Any:
        target = self._get_current_object()
        target |= other
        return self
