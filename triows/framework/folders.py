"""Where an app and its blueprints are in the file system: the folder of their module."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec


def root_path_of(import_name: str) -> str:
    """Return the folder of a module or package, as an absolute path.

    That is the working directory for a name that is no module's, and for ``__main__`` without a file, as in a console.

    :raises RuntimeError: if the package has no folder of its own: a namespace package.
    """
    module = sys.modules.get(import_name)
    file = getattr(module, "__file__", None)
    if file is None:
        try:
            spec = find_spec(import_name)
        except (ImportError, ValueError):  # no module, or one that was made by hand
            return os.getcwd()
        if spec is None or (spec.origin is None and spec.submodule_search_locations is None):
            return os.getcwd()
        if spec.origin is None:
            raise RuntimeError(
                f"{import_name!r} is a namespace package, which may have several folders; give root_path= one of them"
            )
        file = spec.origin
    return os.path.dirname(os.path.abspath(file))
