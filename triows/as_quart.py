"""``import quart`` as another name of ``triows.quart``, for Quart's extensions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_PREFIX = f"{__package__}."


class _Finder(MetaPathFinder):
    """Finds ``quart`` and ``quart.*`` below :mod:`triows`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "quart":
            return None
        own = find_spec(_PREFIX + fullname)
        if own is None:  # the real Quart, which may be installed, must not lend single modules
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: triows has no {_PREFIX}{fullname}, for which 'quart' stands since"
                " install_as_quart() was called",
                name=fullname,
            )
        return ModuleSpec(fullname, _Loader(), is_package=own.submodule_search_locations is not None)


class _Loader(Loader):
    """Loads the module of triows, so that both names lead to the same object."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        name = _PREFIX + spec.name
        __import__(name)
        module = sys.modules[name]
        # The machinery of imports is about to put its own in this place.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def install_as_quart() -> None:
    """Let ``import quart`` and ``import quart.*`` mean ``triows.quart``, in this program.

    That brings extensions that were written for Quart. Call it before anything imports Quart or one of them::

        import triows

        triows.install_as_quart()

        from quart_auth import QuartAuth

    Calling it again does nothing.

    :raises RuntimeError: if Quart itself is imported already.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    if "quart" in sys.modules:
        raise RuntimeError(
            "Quart itself is imported already; call install_as_quart() before anything imports quart or one of its"
            " extensions"
        )
    sys.meta_path.insert(0, _Finder())
