"""Where an app and its blueprints are in the file system: the folder of their module, and that of an installation."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path


def root_path_of(import_name: str) -> str:
    """Return the folder of a module or package, as an absolute path.

    That is the working directory for a name that is no module's, and for ``__main__`` without a file, as in a console.

    :raises RuntimeError: if a namespace package has several folders.
    """
    module = sys.modules.get(import_name)
    file = getattr(module, "__file__", None)
    if file is None:
        try:
            spec = find_spec(import_name)
        except (ImportError, ValueError):  # no module, or one that was made by hand
            return os.getcwd()
        if spec is None:
            return os.getcwd()
        if spec.origin is None:  # a namespace package
            folders = sorted({os.path.realpath(folder) for folder in spec.submodule_search_locations or ()})
            if len(folders) > 1:
                raise RuntimeError(
                    f"the package {import_name!r} has the folders {folders}; give root_path= one of them"
                )
            return folders[0]
        file = spec.origin
    return os.path.dirname(os.path.abspath(file))


def instance_path_of(import_name: str, name: str) -> str:
    """Return the folder of an app's installation: ``instance`` beside its package or module, unless it is installed.

    For an app that is installed below ``sys.prefix``, or in the ``site-packages`` of another environment, it is
    ``var/NAME-instance`` there.
    """
    top = import_name.partition(".")[0]
    try:
        folder = root_path_of(top)
    except RuntimeError:
        folder = os.getcwd()
    if os.path.basename(folder) == top and not os.path.isfile(os.path.join(folder, f"{top}.py")):  # a package's
        folder = os.path.dirname(folder)
    prefix = _prefix_of(Path(folder))
    return os.path.join(folder, "instance") if prefix is None else os.path.join(prefix, "var", f"{name}-instance")


def _prefix_of(folder: Path) -> Path | None:
    """The environment that has a folder of modules, None if none has."""
    if folder.is_relative_to(prefix := Path(sys.prefix).absolute()):
        return prefix
    if folder.name.lower() != "site-packages":
        return None
    parent = folder.parent
    for above in (parent, parent.parent):  # Windows has Lib/site-packages, others have lib/python3.11/site-packages
        if above.name.lower() == "lib":
            return above.parent
    return parent
