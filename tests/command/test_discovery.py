"""Finding the app: what is found, and the one block for each way in which it is not.

Tests triows/command/errors.py too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from triows import Triows
from triows.command import discovery
from triows.command.discovery import Target, module_of, read_target, split_target
from triows.framework.application import App

from ..support.commands import APP, triows, write
from ..support.commands import complaint as said


def load_app(text: str | None = None) -> App:
    return discovery.load_app(read_target(text))


def complaint(*arguments: str) -> str:
    return said("run", *arguments)


# Without a target


@pytest.mark.parametrize("place", ["app.py", "main.py", "app/__init__.py", "main/__init__.py"])
def test_the_app_is_found_in_files_and_packages_of_these_names(tmp_path: Path, place: str) -> None:
    write(tmp_path / place)
    assert load_app().name == ("app" if "app" in place else "main")


def test_a_file_app_comes_before_the_others(tmp_path: Path) -> None:
    for place in ("main.py", "app.py", "other.py"):
        write(tmp_path / place)
    assert load_app().name == "app"


def test_the_environment_comes_before_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "app.py")
    write(tmp_path / "other.py")
    monkeypatch.setenv("TRIOWS_APP", "other:app")
    assert load_app().name == "other"
    assert load_app("app.py").name == "app"
    assert triows("routes", "app.py").exit_code == 0


def test_an_empty_folder_is_one_line(tmp_path: Path) -> None:
    assert complaint() == (
        f"there is no app.py and no main.py in {tmp_path}; name the file or module of the app, as in 'triows run"
        " hello.py', or by --app or TRIOWS_APP"
    )


def test_a_folder_with_one_file_says_how_to_run_that(tmp_path: Path) -> None:
    write(tmp_path / "chat.py")
    assert "as in 'triows run chat.py'" in complaint()


# Files and modules


def test_an_app_is_loaded_from_a_file(tmp_path: Path) -> None:
    app = load_app(write(tmp_path / "chat.py"))
    assert isinstance(app, Triows)
    assert app.name == "chat"


def test_a_file_finds_the_modules_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "folder" / "beside_it.py", "name = 'found'")
    place = write(tmp_path / "folder" / "main.py", "import beside_it\n" + APP + "\napp.name = beside_it.name")
    assert load_app(place).name == "found"


def test_a_file_may_have_the_name_of_a_module_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "colorsys", sys)
    assert load_app(write(tmp_path / "colorsys.py")).name == "colorsys"


def test_a_file_in_a_package_is_its_module(tmp_path: Path) -> None:
    write(tmp_path / "site_package" / "__init__.py", "")
    write(tmp_path / "site_package" / "names.py", "name = 'found'")
    write(tmp_path / "site_package" / "sub" / "__init__.py", "")
    place = tmp_path / "site_package" / "sub" / "app.py"
    write(place, "from ..names import name\n" + APP + "\napp.extensions['found'] = name")
    app = load_app(str(place))
    assert app.import_name == "site_package.sub.app"
    assert app.extensions["found"] == "found"
    assert sys.path[0] == str(tmp_path)


def test_a_package_is_loaded_by_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "chat_package" / "__init__.py", "from .web import app")
    write(tmp_path / "chat_package" / "web.py")
    assert load_app("./chat_package").name == "chat_package.web"


@pytest.mark.parametrize(
    ("path", "folder", "name"),
    [
        ("chat.py", "", "chat"),
        ("packed/__init__.py", "", "packed"),
        ("packed/chat.py", "", "packed.chat"),
        ("packed/v1.0/chat.py", "packed/v1.0", "chat"),
    ],
)
def test_the_module_of_a_file(tmp_path: Path, path: str, folder: str, name: str) -> None:
    write(tmp_path / "packed" / "__init__.py", "")
    write(tmp_path / "packed" / "v1.0" / "__init__.py", "")
    assert module_of(tmp_path / path) == (tmp_path / folder, name)


def test_a_file_whose_module_is_another_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "json" / "__init__.py", "")
    place = write(tmp_path / "json" / "decoder.py")
    text = complaint(place)
    assert text.startswith(f"{place} is the module json.decoder, and that name leads to ")
    assert text.endswith("decoder.py: rename one of them")


def test_an_app_is_loaded_from_a_module_in_the_working_directory(tmp_path: Path) -> None:
    write(tmp_path / "chatting.py")
    assert load_app("chatting").name == "chatting"


def test_an_app_is_loaded_from_a_module_of_a_package(tmp_path: Path) -> None:
    write(tmp_path / "chat_package" / "__init__.py", "")
    write(tmp_path / "chat_package" / "web.py")
    assert load_app("chat_package.web:app").name == "chat_package.web"


def test_a_path_may_have_colons(tmp_path: Path) -> None:
    place = write(tmp_path / "with:colon" / "a:b.py")
    assert load_app(place).name == "a:b"
    assert load_app(f"{place}:app").name == "a:b"


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (r"C:\work\app.py:app", (r"C:\work\app.py", "app")),
        (r"C:\work\app.py", (r"C:\work\app.py", "")),
        (r"C:\work\app.py:create_app()", (r"C:\work\app.py", "create_app()")),
        (r"C:\work\folder", (r"C:\work\folder", "")),
        ("C:/work/app.py:holder.app", ("C:/work/app.py", "holder.app")),
        ("C:app.py", ("C:app.py", "")),
        ("C:app.py:app", ("C:app.py", "app")),
        ("/a:b/app.py:app", ("/a:b/app.py", "app")),
        ("/a:b/app.py", ("/a:b/app.py", "")),
        ("/a.py:b/app.py", ("/a.py:b/app.py", "")),
        ("/a.py:b/app.py:app", ("/a.py:b/app.py", "app")),
        ("./a:b/folder", ("./a:b/folder", "")),
        ("app.py:", ("app.py", "")),
        ("app.py:holder.py", ("app.py", "holder.py")),
        ("app.py:create_app('sqlite:///x.py:y()')", ("app.py", "create_app('sqlite:///x.py:y()')")),
        ("package.module:app", ("package.module", "app")),
        ("package.module:create_app('a:b')", ("package.module", "create_app('a:b')")),
        ("package.module", ("package.module", "")),
        (":app", ("", "app")),
    ],
)
def test_the_name_comes_after_the_file_or_the_first_colon_that_no_slash_follows(
    target: str, parts: tuple[str, str]
) -> None:
    assert split_target(target) == Target(*parts)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    assert complaint("nowhere/chat.py") == "there is no file nowhere/chat.py"
    write(tmp_path / "chat.py")
    assert complaint("chatt.py:app") == "there is no file chatt.py; did you mean 'chat.py'?"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "there is no file" in complaint("./folder")


def test_a_file_of_another_kind_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "folder" / "notes.txt", "")
    assert complaint("folder/notes.txt") == "folder/notes.txt is not a Python file"


@pytest.mark.parametrize("name", ["nowhere_at_all", "os.nowhere", "json.decoder.nowhere", "nowhere_at_all.deeper"])
def test_a_missing_module_is_one_line(name: str) -> None:
    assert complaint(name) == f"there is no module {name} (for a file, write {name}.py)"


def test_a_missing_module_that_is_nearly_a_file_is_told(tmp_path: Path) -> None:
    write(tmp_path / "chatter.py")
    assert complaint("chater").endswith("; did you mean 'chatter'?")


def test_a_file_with_a_wrong_suffix_is_one_line(tmp_path: Path) -> None:
    assert complaint("chatter.pyy") == "there is no module chatter.pyy"
    write(tmp_path / "chatter.py")
    assert complaint("chatter.pyy") == "there is no module chatter.pyy; did you mean 'chatter.py'?"


@pytest.mark.parametrize("name", [".relative", "..", ":app"])
def test_a_name_that_no_module_can_have_is_one_line(name: str) -> None:
    assert "is neither a module nor a file" in complaint(name)


# Names in a module


def test_the_app_may_have_another_name(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", APP + "\nclass holder: mine = Triows('mine')")
    assert load_app(f"{place}:holder.mine").name == "mine"


def test_the_app_may_be_called_application(tmp_path: Path) -> None:
    assert load_app(write(tmp_path / "chat.py", APP.replace("app", "application"))).name == "chat"


def test_the_only_app_may_have_any_name(tmp_path: Path) -> None:
    text = APP.replace("app", "site") + "\nalias = site\napp = None\napplication = 5\n"
    assert load_app(write(tmp_path / "chat.py", text)).name == "chat"


def test_several_apps_are_one_line(tmp_path: Path) -> None:
    write(
        tmp_path / "chat.py", "from triows import Triows\nsite = Triows('site')\nadmin = Triows('admin')\nagain = admin"
    )
    assert complaint("chat.py") == "chat.py has 2 apps, site, admin: say which, as in 'chat.py:site'"


def test_a_wrong_name_is_one_line_with_the_right_ones(tmp_path: Path) -> None:
    write(tmp_path / "chat.py", APP + "\nother = Triows('other')")
    assert complaint("chat.py:wrong") == "there is no wrong in chat.py; it has app, other"
    assert complaint("chat.py:ather") == "there is no ather in chat.py; did you mean 'other'?"


def test_a_module_without_an_app_is_one_line(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", "")
    assert complaint(place) == f"there is no app or application in {place}, and no other Triows app at all"


def test_something_else_than_an_app_is_one_line(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", "app = 5")
    assert complaint(place) == f"app in {place} is an int, not a Triows app"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("None", "None"),
        ("Triows", "a class"),
        ("Blueprint('part', 'part')", "a Blueprint"),
        ("print", "a builtin_function_or_method"),
    ],
)
def test_what_is_no_app_is_named_by_its_kind(tmp_path: Path, value: str, kind: str) -> None:
    write(tmp_path / "chat.py", f"from triows import Blueprint, Triows\ndef make(): return {value}")
    assert complaint("chat.py:make()").startswith(f"make() in chat.py is {kind}, not a Triows app")


@pytest.mark.parametrize("name", ["a b", "app[0]", "create_app(", "create_app(print)", "app or 1", "create_app(*x)"])
def test_what_is_neither_a_name_nor_a_call_is_one_line(tmp_path: Path, name: str) -> None:
    write(tmp_path / "chat.py")
    assert complaint(f"chat.py:{name}") == (
        f"{name!r} is neither the name of an app nor a call with literal arguments, like create_app('development')"
    )


# Functions that make the app


FACTORY = """
from triows import Triows

def create_app(name="made", debug=False):
    app = Triows(name)
    app.debug = debug
    return app

class holder:
    def make():
        return Triows("made too")
"""


def test_a_function_that_is_written_as_a_call_is_called(tmp_path: Path) -> None:
    app = load_app(f"{write(tmp_path / 'chat.py', FACTORY)}:create_app('a:b', debug=True)")
    assert (app.name, app.debug) == ("a:b", True)
    assert load_app("chat:create_app()").name == "made"
    assert load_app("chat:holder.make()").name == "made too"


@pytest.mark.parametrize("name", ["create_app", "make_app"])
def test_a_function_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    assert load_app(write(tmp_path / "chat.py", FACTORY.replace("create_app", name))).name == "made"


def test_a_function_that_is_only_named_is_not_called(tmp_path: Path) -> None:
    write(tmp_path / "chat.py", FACTORY)
    assert complaint("chat.py:create_app") == (
        "create_app in chat.py is a function, not a Triows app; if it makes one, write 'chat.py:create_app()'"
    )
    assert complaint("chat.py:wrong") == (
        "there is no wrong in chat.py; if create_app makes it, write 'chat.py:create_app()'"
    )


@pytest.mark.parametrize(
    ("target", "called"),
    [
        ("chat.py", "create_app"),
        ("chat.py:create_app(1, 2)", "create_app(1, 2)"),
        ("chat:create_app(x=1)", "create_app(x=1)"),
    ],
)
def test_a_function_whose_arguments_do_not_fit_is_one_line(tmp_path: Path, target: str, called: str) -> None:
    write(tmp_path / "chat.py", "def create_app(config): raise AssertionError('it was called')")
    text = complaint(target)
    place = target.partition(":")[0]
    assert text.startswith(f"{called} in {place} cannot be called: ")
    assert text.endswith(f"; write '{place}:create_app(config)', with literals for its parameters")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("number()", "is an int, which cannot be called: leave out the ()"),
        ("slow()", "is async, and no event loop runs yet: make the app in a plain function"),
        ("later()", "returns a coroutine, and no event loop runs yet: make the app in it"),
        ("other()", "is an int, not a Triows app"),
    ],
)
def test_what_makes_no_app_is_one_line(tmp_path: Path, name: str, reason: str) -> None:
    write(
        tmp_path / "chat.py",
        "number = 5\nasync def slow(): pass\ndef later(): return slow()\ndef other(): return 5\n",
    )
    assert complaint(f"chat.py:{name}") == f"{name} in chat.py {reason}"


def test_a_function_that_is_found_and_makes_no_app_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "chat.py", "def create_app(): return 5")
    assert complaint("chat.py") == "create_app() in chat.py is an int, not a Triows app"


# ASGI 3 applications


@pytest.mark.parametrize(
    "text",
    [
        "async def app(scope, receive, send): pass",
        "def app(scope, receive, send): raise AssertionError('it was called')",
        "class Deny:\n    def __call__(self, scope, receive, send): pass\napp = Deny()",
        "async def app(*args): pass",
        "async def create_app(scope, receive, send): pass",
    ],
)
def test_an_asgi_application_is_not_called_and_one_line(tmp_path: Path, text: str) -> None:
    write(tmp_path / "chat.py", text)
    name = "create_app" if "create_app" in text else "app"
    line = complaint("chat.py")
    assert line.startswith(f"{name} in chat.py is ")
    assert line.endswith(
        f"; it is an ASGI application: serve it by an ASGI server (hypercorn -k trio chat:{name}), since triows's own"
        " would not run it"
    )


def test_an_app_inside_of_middleware_is_not_taken_instead(tmp_path: Path) -> None:
    text = (
        APP.replace("app", "site")
        + "\nclass Deny:\n    async def __call__(self, scope, receive, send): pass\napp = Deny()"
    )
    write(tmp_path / "packed" / "__init__.py", "")
    write(tmp_path / "packed" / "chat.py", text)
    line = complaint("packed/chat.py")
    assert line.startswith("app in packed/chat.py is a Deny, not a Triows app; ")
    assert "hypercorn -k trio packed.chat:app" in line


@pytest.mark.parametrize(
    "text",
    [
        "def app(environ, start_response): raise AssertionError('it was called')",
        "class Old:\n    def __call__(self, environ, start_response): pass\napp = Old()",
    ],
)
def test_a_wsgi_application_is_one_line(tmp_path: Path, text: str) -> None:
    write(tmp_path / "chat.py", text)
    assert complaint("chat.py").endswith(
        ", not a Triows app; it is a WSGI application, and triows serves none: a WSGI server does, such as gunicorn"
    )


# Errors of the app itself


@pytest.mark.parametrize("target", ["broken_app.py", "broken_app"])
@pytest.mark.parametrize(
    ("text", "error"),
    [("1 / 0", "ZeroDivisionError: "), ("int(None)", "TypeError: "), ("None.x()", "AttributeError: ")],
)
def test_an_error_in_the_app_itself_is_one_block_with_the_users_frames(
    tmp_path: Path, target: str, text: str, error: str
) -> None:
    place = write(tmp_path / "broken_app.py", f"import helping\nhelping.run(lambda: {text})")
    helping = write(tmp_path / "helping.py", "def run(function):\n    function()")
    first, second, *lines, last = complaint(target).splitlines()
    assert (first, second) == (
        f"cannot load {target}: it raises {error.partition(':')[0]}",
        "Traceback (most recent call last):",
    )
    assert [line.strip().partition(",")[0] for line in lines if line.startswith("  File")] == [
        f'File "{place}"',
        f'File "{helping}"',
        f'File "{place}"',
    ]
    assert last.startswith(error)


def test_a_syntax_error_is_one_block(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", "x = 1\ny = = 2\n")
    assert complaint("chat.py").splitlines() == [
        "cannot load chat.py: there is a syntax error",
        f'  File "{place}", line 2',
        "    y = = 2",
        "        ^",
        "SyntaxError: invalid syntax",
    ]


def test_a_syntax_error_in_a_module_of_the_apps_says_who_imports_it(tmp_path: Path) -> None:
    place = write(tmp_path / "chat.py", "import broken_models")
    models = write(tmp_path / "broken_models.py", "def f(:")
    text = complaint("chat.py")
    assert text.index(f'File "{place}", line 1') < text.index(f'File "{models}", line 1')
    assert "frozen" not in text


def test_a_missing_module_in_the_app_is_named(tmp_path: Path) -> None:
    write(tmp_path / "chat.py", "import nowhere_at_all")
    text = complaint("chat.py")
    assert text.startswith(
        "cannot load chat.py: there is no module nowhere_at_all; install it in this environment, or correct its name\n"
    )
    assert text.endswith("ModuleNotFoundError: No module named 'nowhere_at_all'")


CIRCLE = "modules import each other in a circle; move what both need into a third module, or import it in the function"


@pytest.mark.parametrize("target", ["round_app.py", "round_app"])
@pytest.mark.parametrize("back", ["from round_app import app", "import round_app\nround_app.app"])
def test_a_circular_import_says_what_to_do(tmp_path: Path, target: str, back: str) -> None:
    write(tmp_path / "round_app.py", "import round_helper\n" + APP)
    write(tmp_path / "round_helper.py", back)
    text = complaint(target)
    assert text.startswith(f"cannot load {target}: {CIRCLE}")
    assert "circular import)" in text.splitlines()[-1] or "third-party module" in text.splitlines()[-1]  # 3.13
    assert "frozen" not in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "from json import laods",
            "there is no laods in the module json; correct the name, or define it there",
        ),
        ("Tryows()", "there is no Tryows; define or import it, or correct the name"),
    ],
)
def test_a_wrong_name_in_the_app_says_what_to_do(tmp_path: Path, text: str, why: str) -> None:
    write(tmp_path / "chat.py", text)
    assert complaint("chat.py").splitlines()[0] == f"cannot load chat.py: {why}"


def test_an_error_of_the_function_that_makes_the_app_is_one_block(tmp_path: Path) -> None:
    write(tmp_path / "chat.py", "def create_app():\n    1 / 0\n")
    assert complaint("chat.py").startswith("cannot load chat.py:create_app: it raises ZeroDivisionError\nTraceback")


def test_an_app_that_ends_the_program_does(tmp_path: Path) -> None:
    write(tmp_path / "chat.py", "raise SystemExit(3)")
    with pytest.raises(SystemExit, match="3"):
        load_app("chat.py")
    assert "chat" not in sys.modules
