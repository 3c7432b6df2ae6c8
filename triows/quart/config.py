"""Quart's ``quart.config``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, cast, overload

from ..framework.application import App
from ..framework.config import DEFAULT_CONFIG as DEFAULT_CONFIG
from ..framework.config import Config as Config

T = TypeVar("T")


class ConfigAttribute(Generic[T]):
    """An attribute of a subclass of the app that stands for a setting: ``greeting = ConfigAttribute("GREETING")``.

    :param name: the key in ``app.config``.
    :param get_converter: called with the value that is read, for the value of the attribute.
    """

    def __init__(self, name: str, get_converter: Callable[[Any], T] | None = None) -> None:
        self.__name__ = name
        self.get_converter: Callable[[Any], T] | None = get_converter

    @overload
    def __get__(self, app: None, owner: type) -> Self: ...
    @overload
    def __get__(self, app: App, owner: type) -> T: ...

    def __get__(self, app: App | None, owner: type) -> Self | T:
        if app is None:
            return self
        value = app.config[self.__name__]
        return cast(T, value) if self.get_converter is None else self.get_converter(value)

    def __set__(self, app: App, value: Any) -> None:
        app.config[self.__name__] = value
