"""Finding the app: the module or file, the name in it, and the function that makes it.

Only what is written with parentheses is called, and functions that are discovered by their name, ``create_app`` or
``make_app``. A callable of three parameters is an ASGI 3 application, and never called.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from ..connection.checks import did_you_mean
from ..framework.application import App
from ..server.process.loading import loading
from ..tasks.functions import is_async
from ..tasks.tracebacks import format_from_app
from .errors import NoAppError

ImportModule = Callable[[str], ModuleType]

VARIABLE = "TRIOWS_APP"
_DEFAULT_FILES = ("app.py", "main.py", "app/__init__.py", "main/__init__.py")
_DEFAULT_NAMES = ("app", "application")
_FACTORY_NAMES = ("create_app", "make_app")

# A path may have colons, and begins with one behind the drive on Windows. So the name comes after ``.py:``, or else
# after a colon that no slash follows; the arguments of a call may have both.
_NAME = r"([^:/\\(]*(?:\(.*)?)"
_FILE_AND_NAME = re.compile(rf"(.*?\.py):{_NAME}", re.DOTALL)
_MODULE_AND_NAME = re.compile(rf"(.*?):{_NAME}", re.DOTALL)

_NO_NAME = re.compile(r"cannot import name '(.+?)' from '(.+?)'")  # Python 3.12 and later have ImportError.name_from


class Target(NamedTuple):
    """Where an app is: a module or file, and the name in it, which is empty if none is given."""

    place: str
    name: str

    @property
    def is_path(self) -> bool:
        """Whether the place is a file, and not a module."""
        return self.place.endswith(".py") or "/" in self.place or "\\" in self.place

    @property
    def path(self) -> Path:
        """The file. For a folder with ``__init__.py`` it is that."""
        path = Path(self.place)
        return path / "__init__.py" if (path / "__init__.py").is_file() else path


def read_target(text: str | None) -> Target:
    """Read ``MODULE_OR_FILE[:NAME]``; without it, take that of ``TRIOWS_APP``, or of a file that is found.

    :raises NoAppError: if none is found.
    """
    text = text or os.environ.get(VARIABLE)
    if text:
        return split_target(text)
    if found := _find_file():
        return Target(found, "")
    files = [path.name for path in Path().glob("*.py")]
    raise NoAppError(
        f"there is no app.py and no main.py in {Path.cwd()}; name the file or module of the app, as in 'triows run"
        f" {files[0] if len(files) == 1 else 'hello.py'}', or by --app or {VARIABLE}"
    )


def finds_target() -> bool:
    """Whether there is a target that nobody has given to the command."""
    return bool(os.environ.get(VARIABLE) or _find_file())


def _find_file() -> str | None:
    return next((name for name in _DEFAULT_FILES if Path(name).is_file()), None)


def split_target(text: str) -> Target:
    """Split ``MODULE_OR_FILE[:NAME]``."""
    if Path(text).is_file():
        return Target(text, "")
    match = _FILE_AND_NAME.fullmatch(text) or (None if text.endswith(".py") else _MODULE_AND_NAME.fullmatch(text))
    return Target(text, "") if match is None else Target(match[1], match[2])


def check_file(target: Target) -> None:
    """Raise NoAppError if the target is a file that is not there, or that is of another kind."""
    path = target.path
    if not target.is_path:
        return
    if not path.is_file():
        siblings = [entry.name for entry in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise NoAppError(f"there is no file {target.place}{did_you_mean(path.name, siblings)}")
    if path.suffix != ".py":
        raise NoAppError(f"{target.place} is not a Python file")


def load_app(target: Target, import_module: ImportModule = importlib.import_module) -> App:
    """Import the module or file, and return the app in it.

    :raises NoAppError: if there is none, or the module raises an error; the message has the frames of the user's files.
    """
    check_file(target)
    with loading():
        try:
            module = _load_file(target, import_module) if target.is_path else _load_module(target, import_module)
        except NoAppError:
            raise
        except Exception as error:
            _fail(target.place, error)
        return _find_named(module, target) if target.name else _find_best(module, target)


def _fail(what: str, error: Exception) -> NoReturn:
    """Raise the error of the user's code as one block."""
    raise NoAppError(f"cannot load {what}: {_why(error)}\n{format_from_app(error).rstrip()}") from error


# What Python says of a module that is not loaded to its end; the second from 3.13 on, of a module of the app's own.
_OF_CIRCLES = ("circular import", "if it has the same name as a third-party module")


def _why(error: Exception) -> str:
    """Say what is wrong, and what to do about what is often wrong."""
    if isinstance(error, SyntaxError):
        return "there is a syntax error"
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        return f"there is no module {error.name}; install it in this environment, or correct its name"
    if isinstance(error, ImportError | AttributeError) and any(words in str(error) for words in _OF_CIRCLES):
        return (
            "modules import each other in a circle; move what both need into a third module, or import it in the"
            " function that needs it"
        )
    if isinstance(error, ImportError) and (match := _NO_NAME.match(str(error))):
        return f"there is no {match[1]} in the module {match[2]}; correct the name, or define it there"
    if isinstance(error, NameError) and error.name:
        return f"there is no {error.name}; define or import it, or correct the name"
    return f"it raises {type(error).__name__}"


# Importing


def module_of(path: Path) -> tuple[Path, str]:
    """Return the folder that belongs into ``sys.path`` for a file, and the dotted name of the module that it is."""
    path = path.resolve()
    names = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file() and "." not in folder.name:
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)


def _load_file(target: Target, import_module: ImportModule) -> ModuleType:
    path = target.path
    folder, name = module_of(path)
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
    if folder == path.resolve().parent:
        return _run_file(path, name)
    module = import_module(name)
    if module.__file__ is None or not path.samefile(module.__file__):
        raise NoAppError(
            f"{target.place} is the module {name}, and that name leads to {module.__file__}: rename one of them"
        )
    return module


class _OnlyFile(MetaPathFinder):
    """Finds one file, as the module of this name."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(fullname, self._path) if fullname == self._name else None


def _run_file(path: Path, name: str) -> ModuleType:
    """Load a file that is in no package, whatever module of its name there is elsewhere.

    Python's own import does it, and not ``exec_module()``: so a circular import is called one in the error.
    """
    finder = _OnlyFile(name, path)
    sys.modules.pop(name, None)
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module(name)
    finally:
        sys.meta_path.remove(finder)


def _load_module(target: Target, import_module: ImportModule) -> ModuleType:
    name = target.place
    if sys.path[:1] != [""]:
        sys.path.insert(0, "")
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # Only the named module or its packages: a missing import inside the app is the app's error.
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            files = [*Path().glob("*.py")]
            hint = did_you_mean(name, [*(path.stem for path in files), *(path.name for path in files)])
            tip = "" if name.rpartition(".")[2].startswith("py") else f" (for a file, write {name}.py)"
            raise NoAppError(f"there is no module {name}{tip}{hint}") from error
        raise
    except (TypeError, ValueError) as error:
        # What import_module() says of an empty or relative name; anything else is the app's.
        if name and not name.startswith("."):
            raise
        raise NoAppError(f"{name!r} is neither a module nor a file") from error


# The app in a module


class _Call(NamedTuple):
    """A call that the user has written."""

    name: str
    args: list[Any]
    kwargs: dict[str, Any]


def _read_name(text: str) -> str | _Call:
    """Read the dotted name of an app, or a call with literal arguments.

    :raises NoAppError: if it is neither.
    """
    try:
        expression = ast.parse(text.strip(), mode="eval").body
        called = expression.func if isinstance(expression, ast.Call) else expression
        name = ast.unparse(called)
        if all(part.isidentifier() for part in name.split(".")):
            if not isinstance(expression, ast.Call):
                return name
            arguments = [ast.literal_eval(value) for value in expression.args]
            named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in expression.keywords}
            return _Call(name, arguments, named)
    except (SyntaxError, ValueError):
        pass
    raise NoAppError(
        f"{text!r} is neither the name of an app nor a call with literal arguments, like create_app('development')"
    )


def _find_named(module: ModuleType, target: Target) -> App:
    written = _read_name(target.name)
    name = written.name if isinstance(written, _Call) else written
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, None)
    if value is None:
        raise NoAppError(f"there is no {target.name} in {target.place}{_hint(module, target, name)}")
    if isinstance(written, _Call):
        value = _call(value, written.args, written.kwargs, target.place, target.name)
    if isinstance(value, App):
        return value
    raise _not_an_app(value, target.name, target)


def _find_best(module: ModuleType, target: Target) -> App:
    others = {}
    for name in _DEFAULT_NAMES:
        value = getattr(module, name, None)
        if isinstance(value, App):
            return value
        if _is_asgi(value):
            raise _not_an_app(value, name, target)
        if value is not None:
            others[name] = value
    apps = _apps(module)
    if len(apps) == 1:
        return next(iter(apps.values()))
    if apps:
        names = list(apps)
        raise NoAppError(
            f"{target.place} has {len(apps)} apps, {', '.join(names)}: say which, as in '{target.place}:{names[0]}'"
        )
    for name in _FACTORY_NAMES:
        factory = getattr(module, name, None)
        if _is_asgi(factory):
            raise _not_an_app(factory, name, target)
        if callable(factory):
            value = _call(factory, [], {}, target.place, name)
            if isinstance(value, App):
                return value
            raise _not_an_app(value, f"{name}()", target)
    for name, value in others.items():
        raise _not_an_app(value, name, target)
    raise NoAppError(f"there is no {' or '.join(_DEFAULT_NAMES)} in {target.place}, and no other Triows app at all")


def _apps(module: ModuleType) -> Mapping[str, App]:
    """The apps of a module by their names, each once."""
    found = {id(value): (name, value) for name, value in reversed(vars(module).items()) if isinstance(value, App)}
    return dict(reversed(found.values()))


def _call(factory: Any, args: list[Any], kwargs: dict[str, Any], place: str, name: str) -> Any:
    if not callable(factory):
        raise NoAppError(f"{name} in {place} is {_kind(factory)}, which cannot be called: leave out the ()")
    if is_async(factory):
        raise NoAppError(f"{name} in {place} is async, and no event loop runs yet: make the app in a plain function")
    function = getattr(factory, "__name__", name.partition("(")[0])
    try:
        signature = inspect.signature(factory)
    except ValueError:  # a callable that tells nothing of its parameters
        signature = inspect.Signature.from_callable(lambda *args, **kwargs: None)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise NoAppError(
            f"{name} in {place} cannot be called: {error}; write '{place}:{function}{signature}', with literals for its"
            " parameters"
        ) from error
    try:
        value = factory(*args, **kwargs)
    except Exception as error:
        _fail(f"{place}:{name}", error)
    if inspect.iscoroutine(value):
        value.close()
        raise NoAppError(f"{name} in {place} returns a coroutine, and no event loop runs yet: make the app in it")
    return value


def _is_asgi(value: Any) -> bool:
    """Whether the value is called as an ASGI 3 application is: with scope, receive and send."""
    if not callable(value) or isinstance(value, type | App):
        return False
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if not positional:
        return is_async(value) and any(each.kind is each.VAR_POSITIONAL for each in parameters)
    return len(positional) == 3 and all(each.default is each.empty for each in positional)


def _is_wsgi(value: Any) -> bool:
    """Whether the value is called as a WSGI application is, by the names that its parameters have in PEP 3333."""
    try:
        return callable(value) and [*inspect.signature(value).parameters] == ["environ", "start_response"]
    except (TypeError, ValueError):
        return False


def _kind(value: Any) -> str:
    """What the value is, with an article."""
    if value is None or isinstance(value, type):
        return "None" if value is None else "a class"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _not_an_app(value: Any, name: str, target: Target) -> NoAppError:
    place = target.place
    what = f"{name} in {place} is {_kind(value)}, not a Triows app"
    if _is_asgi(value):
        module = module_of(target.path)[1] if target.is_path else place
        what += (
            f"; it is an ASGI application: serve it by an ASGI server (hypercorn -k trio {module}:{name}), since"
            " triows's own would not run it"
        )
    elif _is_wsgi(value):
        what += "; it is a WSGI application, and triows serves none: a WSGI server does, such as gunicorn"
    elif inspect.isroutine(value):
        what += f"; if it makes one, write '{place}:{name}()'"
    return NoAppError(what)


def _hint(module: ModuleType, target: Target, name: str) -> str:
    """What was probably meant by a name that is not there."""
    apps = _apps(module)
    factories = [each for each in _FACTORY_NAMES if callable(getattr(module, each, None))]
    if close := did_you_mean(name, [*apps, *factories]):
        return close
    if apps:
        return f"; it has {', '.join(apps)}"
    return f"; if {factories[0]} makes it, write '{target.place}:{factories[0]}()'" if factories else ""
