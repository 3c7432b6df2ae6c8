"""The templates of apps and blueprints: folders, context processors, filters, tests, globals, and the environment."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pytest
import trio

from triows import Blueprint, JSONProvider, Triows, flash, g, render_template, render_template_string, request, session
from triows.framework.jinja import DispatchingJinjaLoader, Environment

from ..support.records import error_log


@pytest.fixture
async def in_app(app: Triows) -> AsyncIterator[Triows]:
    """The app, in whose context the test runs."""
    async with app.app_context():
        yield app


def write(folder: Path, **sources: str) -> str:
    """Write templates into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        (folder / f"{name}.html").write_text(source)
    return str(folder)


async def text_at(app: Triows, path: str = "/") -> str:
    response = await app.test_client().get(path)
    return await response.get_data(as_text=True)


def rendering(source: str, **variables: Any) -> Callable[[], Any]:
    """A view that renders a template given as text."""

    async def view() -> str:
        return await render_template_string(source, **variables)

    return view


# Folders


async def test_templates_are_in_the_folder_templates_beside_the_module(tmp_path: Path) -> None:
    write(tmp_path / "templates", page="page")
    app = Triows(__name__, root_path=str(tmp_path))
    async with app.app_context():
        assert await render_template("page.html") == "page"


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("absolute", [True, False])
async def test_the_folder_is_absolute_or_below_the_root_path(tmp_path: Path, kind: Any, absolute: bool) -> None:
    write(tmp_path / "pages", page="page")
    folder = kind(tmp_path / "pages" if absolute else "pages")
    app = Triows(__name__, root_path=str(tmp_path), template_folder=folder)
    assert app.template_folder == folder
    async with app.app_context():
        assert await render_template("page.html") == "page"


async def test_the_apps_templates_come_before_those_of_blueprints_in_their_order(tmp_path: Path) -> None:
    app = Triows(__name__, template_folder=write(tmp_path / "app", a="a of app"))
    for name in ("one", "two"):
        folder = write(tmp_path / name, a=f"a of {name}", b=f"b of {name}", **{name: f"own of {name}"})
        app.register_blueprint(Blueprint(name, __name__, template_folder=folder))
    async with app.app_context():
        texts = [await render_template(f"{name}.html") for name in ("a", "b", "one", "two")]
    assert texts == ["a of app", "b of one", "own of one", "own of two"]
    assert app.jinja_env.list_templates() == ["a.html", "b.html", "one.html", "two.html"]


async def test_the_folder_of_a_blueprint_is_below_its_own_root_path(tmp_path: Path) -> None:
    write(tmp_path / "pages", page="of the part")
    inner = Blueprint("inner", __name__, root_path=str(tmp_path), template_folder="pages")
    outer = Blueprint("outer", __name__)
    outer.register_blueprint(inner)
    app = Triows(__name__)
    app.register_blueprint(outer)
    app.register_blueprint(outer, name="again")
    async with app.app_context():
        assert await render_template("page.html") == "of the part"
    assert [name for name, _ in app.template_owners()] == [
        "the app 'tests.framework.test_templates'",
        "the blueprint 'outer'",
        "the blueprint 'outer.inner'",
    ]


async def test_an_app_without_a_folder_says_so(app: Triows) -> None:
    app.template_folder = None
    assert app.jinja_loader is None
    async with app.app_context():
        with pytest.raises(jinja2.TemplateNotFound, match=r"'a\.html' since no template_folder is set$"):
            await render_template("a.html")


async def test_a_template_that_is_not_there_names_the_folders(tmp_path: Path) -> None:
    app = Triows("shop", template_folder=write(tmp_path / "app"))
    app.register_blueprint(Blueprint("part", __name__, template_folder=str(tmp_path / "gone")))
    dictionary = Blueprint("other", __name__)
    dictionary.jinja_loader = jinja2.DictLoader({})
    app.register_blueprint(dictionary)
    places = (
        f"in {tmp_path}/app of the app 'shop', or in {tmp_path}/gone (no such folder) of the blueprint 'part',"
        " or in DictLoader of the blueprint 'other'"
    )
    async with app.app_context():
        with pytest.raises(jinja2.TemplateNotFound) as caught:
            await render_template("a.html")
        assert str(caught.value) == f"there is no template 'a.html' {places}"
        assert caught.value.name == "a.html"
        with pytest.raises(jinja2.TemplatesNotFound) as several:
            await render_template(["a.html", "b.html"])
        assert str(several.value) == f"there is none of the templates 'a.html', 'b.html' {places}"
        with pytest.raises(jinja2.TemplatesNotFound, match="empty list"):
            await render_template([])
        with pytest.raises(jinja2.TemplateNotFound, match=r"'\.\./a\.html'"):
            await render_template("../a.html")


async def test_another_folder_and_another_loader_have_an_effect_at_any_time(tmp_path: Path, in_app: Triows) -> None:
    in_app.template_folder = write(tmp_path / "one", a="one")
    assert await render_template("a.html") == "one"
    in_app.template_folder = write(tmp_path / "two", b="two")
    assert await render_template("b.html") == "two"
    assert isinstance(in_app.jinja_loader, jinja2.FileSystemLoader)
    in_app.jinja_loader.searchpath.append(write(tmp_path / "three", c="three"))
    assert await render_template("c.html") == "three"
    in_app.jinja_loader = jinja2.DictLoader({"d.html": "four"})
    assert await render_template("d.html") == "four"
    in_app.jinja_loader = None
    with pytest.raises(jinja2.TemplateNotFound):
        await render_template("e.html")


# Context processors


async def test_context_processors_of_the_app_and_the_blueprint_give_variables(app: Triows) -> None:
    outer, inner = Blueprint("outer", __name__, url_prefix="/outer"), Blueprint("inner", __name__, url_prefix="/inner")
    app.context_processor(lambda: {"who": "app", "of": "app", "given": "app"})

    @outer.context_processor
    async def of_outer() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return {"who": "outer"}

    @inner.context_processor
    def of_inner() -> dict[str, Any]:
        return {"who": f"inner of {request.path}"}

    @inner.app_context_processor
    async def of_all() -> dict[str, Any]:
        return {"all": "all"}

    for owner, path in ((app, "/app"), (outer, "/"), (inner, "/")):
        owner.get(path)(rendering("{{ who }} {{ of }} {{ given }} {{ all }}", given="view"))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert await text_at(app, "/app") == "app app view all"
    assert await text_at(app, "/outer/") == "outer app view all"
    assert await text_at(app, "/outer/inner/") == "inner of /outer/inner/ app view all"


async def test_the_table_of_context_processors_is_the_real_one(in_app: Triows) -> None:
    in_app.template_context_processors[None].append(lambda: {"a": 1})
    assert await render_template_string("{{ a }}") == "1"
    in_app.template_context_processors[None].clear()
    assert await render_template_string("{{ a }}") == ""


@pytest.mark.parametrize("value", [None, [("a", 1)], "text"])
async def test_a_context_processor_that_returns_no_dict_is_named(in_app: Triows, value: Any) -> None:
    @in_app.context_processor
    def broken() -> Any:
        return value

    with pytest.raises(TypeError, match=rf"broken\(\) \(.*\) returned {type(value).__name__} .* returns a dict"):
        await render_template_string("")


async def test_blueprints_take_no_context_processor_after_they_were_registered(app: Triows) -> None:
    part = Blueprint("part", __name__)
    app.register_blueprint(part)
    for add in (part.context_processor, part.app_context_processor, part.app_template_filter()):
        with pytest.raises(RuntimeError, match="registered already"):
            add(str)


# Filters, tests and globals


@pytest.mark.parametrize("on", ["app", "blueprint"])
@pytest.mark.parametrize("how", ["decorator", "decorator with a name", "method", "method with a name"])
async def test_filters_tests_and_globals_are_there(app: Triows, on: str, how: str) -> None:
    part = Blueprint("part", __name__)

    def add(kind: str, function: Callable[..., Any]) -> None:
        name = "other" if "name" in how else None
        if "decorator" in how:
            owner, method = (app, "template") if on == "app" else (part, "app_template")
            assert getattr(owner, f"{method}_{kind}")(name)(function) is function
        else:
            owner, method = (app, "add_template") if on == "app" else (part, "add_app_template")
            getattr(owner, f"{method}_{kind}")(function, name)

    def twice(value: int) -> int:
        return value * 2

    def four(value: int = 4) -> bool:
        return value == 4

    add("filter", twice)
    add("test", four)
    add("global", four)
    app.register_blueprint(part)
    twice_, four_ = ("other", "other") if "name" in how else ("twice", "four")
    async with app.app_context():
        source = f"{{{{ 2|{twice_} }}}} {{{{ 4 is {four_} }}}} {{{{ {four_}() }}}}"
        assert await render_template_string(source) == "4 True True"


@pytest.mark.parametrize("name", ["template_filter", "template_test", "template_global"])
def test_a_decorator_without_parentheses_is_refused(app: Triows, name: str) -> None:
    part = Blueprint("part", __name__)
    for decorator, called in (
        (getattr(app, name), f"@app.{name}"),
        (getattr(part, f"app_{name}"), f"@blueprint.app_{name}"),
    ):
        with pytest.raises(TypeError, match=rf"^{called}\(\) takes a name, and not .*: write {called}\(\)$"):
            decorator(test_a_decorator_without_parentheses_is_refused)


@pytest.mark.parametrize(
    ("add", "message"), [("context_processor", "@app.context_processor"), ("template_filter", "@")]
)
def test_what_is_no_function_is_refused(app: Triows, add: str, message: str) -> None:
    decorator: Any = getattr(app, add)
    with pytest.raises(TypeError, match=message):
        (decorator if add == "context_processor" else decorator("name"))("no function")


def test_a_context_processor_takes_no_arguments(app: Triows) -> None:
    with pytest.raises(TypeError, match=r"takes \(request\), and @app\.context_processor calls it with \(\)"):
        app.context_processor(lambda request: {})


def test_a_function_without_a_name_needs_one(app: Triows) -> None:
    function = partial(str)
    with pytest.raises(TypeError, match=r"has no name of its own; give it one: name='\.\.\.'"):
        app.add_template_filter(function)
    app.add_template_filter(function, "text")
    assert app.jinja_env.filters["text"] is function


# What every template has


async def test_every_template_has_quarts_globals(app: Triows) -> None:
    app.secret_key = "secret"

    @app.before_request
    async def before() -> None:
        g.user, session["count"] = "Ada", 3
        await flash("Saved")

    source = (
        "{{ request.method }} {{ request.args.q }} {{ session.count }} {{ g.user }} {{ config.DEBUG }} {{ g.nothing }}"
        " {{ url_for('index', q='x', _anchor='top') }} {{ get_flashed_messages()|join }} {{ websocket and 1 or 0 }}"
        " {% macro m() %}{{ request.path }}{% endmacro %}{{ m() }}"
    )
    app.get("/", endpoint="index")(rendering(source))
    assert await text_at(app, "/?q=<") == "GET &lt; 3 Ada False  /?q=x#top Saved 0 /"


async def test_imported_templates_have_them_too(in_app: Triows) -> None:
    in_app.jinja_loader = jinja2.DictLoader({"m.html": "{% macro m() %}{{ g.user }}{{ config.TESTING }}{% endmacro %}"})
    g.user = "Ada"
    assert await render_template_string("{% import 'm.html' as m %}{{ m.m() }}") == "AdaFalse"


async def test_tojson_is_the_apps_and_safe_in_html(in_app: Triows) -> None:
    assert await render_template_string("{{ value|tojson }}", value={"b": "</script>'", "a": date(2026, 1, 2)}) == (
        '{"a": "Fri, 02 Jan 2026 00:00:00 GMT", "b": "\\u003c/script\\u003e\\u0027"}'
    )

    class Provider(JSONProvider):
        sort_keys = False

        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return super().dumps([obj], **kwargs)

    in_app.json = Provider(in_app)
    assert await render_template_string("{{ {'b': 1, 'a': 2}|tojson }}") == '[{"b": 1, "a": 2}]'
    assert await render_template_string("{{ {'b': 1}|tojson(indent=1) }}") == '[\n {\n  "b": 1\n }\n]'


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        *((f"a.{suffix}", True) for suffix in ("html", "htm", "xml", "xhtml", "svg")),
        *((f"a.{suffix}", False) for suffix in ("txt", "HTML", "html.txt", "json")),
        ("html", False),
    ],
)
async def test_the_suffix_of_a_template_says_whether_values_are_escaped(
    in_app: Triows, name: str, escaped: bool
) -> None:
    in_app.jinja_loader = jinja2.DictLoader({name: "{{ '<' }}"})
    assert await render_template(name) == ("&lt;" if escaped else "<")


# The environment


async def test_options_of_the_class_and_of_the_app_are_used() -> None:
    class App(Triows):
        jinja_options = {"variable_start_string": "<<", "variable_end_string": ">>"}  # noqa: RUF012

    one, other = App("one"), App("other")
    one.jinja_options["autoescape"] = False
    assert "autoescape" not in App.jinja_options
    for app, text in ((one, "<"), (other, "&lt;")):
        async with app.app_context():
            assert await render_template_string("<< text >>", text="<") == text


@pytest.mark.parametrize(
    "change",
    [
        lambda app: app.jinja_options.update(trim_blocks=True),
        lambda app: app.jinja_options.__setitem__("trim_blocks", True),
        lambda app: app.jinja_options.pop("x", None),
        lambda app: setattr(app, "jinja_options", {}),
        lambda app: setattr(app, "jinja_environment", Environment),
    ],
)
def test_options_that_come_too_late_are_refused(app: Triows, change: Callable[[Triows], Any]) -> None:
    app.template_filter()(len)
    with pytest.raises(RuntimeError, match=r"^jinja_\w+ is changed after app\.jinja_env was made .* change it before"):
        change(app)


def test_an_environment_that_is_not_async_is_refused(app: Triows) -> None:
    app.jinja_options = {"enable_async": False}
    with pytest.raises(ValueError, match="'enable_async': False; rendering is always async"):
        app.jinja_env  # noqa: B018


async def test_what_a_subclass_overrides_is_called() -> None:
    class OwnEnvironment(Environment):
        pass

    class App(Triows):
        jinja_environment = OwnEnvironment

        def create_jinja_environment(self) -> Environment:
            environment = super().create_jinja_environment()
            environment.globals["made"] = "by create_jinja_environment"
            return environment

        def select_jinja_autoescape(self, filename: str | None) -> bool:
            return False

        def create_global_jinja_loader(self) -> jinja2.BaseLoader:
            return jinja2.DictLoader({"page.html": "{{ made }} {{ updated }} <{{ '<' }}"})

        async def update_template_context(self, context: dict[str, Any]) -> None:
            await super().update_template_context(context)
            context["updated"] = "by update_template_context"

    app = App("overriding")
    async with app.app_context():
        assert await render_template("page.html") == "by create_jinja_environment by update_template_context <<"
        with pytest.raises(jinja2.TemplatesNotFound, match=r"^none of the templates given were found: a, b$"):
            await render_template(["a", "b"])
    assert type(app.jinja_env) is OwnEnvironment


async def test_an_environment_of_jinjas_own_will_do(app: Triows) -> None:
    loader = jinja2.DictLoader({"page.html": "{% include 'part.html' %}", "part.html": "part"})
    app.create_jinja_environment = lambda: jinja2.Environment(loader=loader, enable_async=True)  # type: ignore[method-assign, assignment, return-value]
    async with app.app_context():
        assert await render_template("page.html") == "part"
        assert await render_template_string("{{ 1 }}") == "1"


def test_the_environment_is_made_once(app: Triows) -> None:
    assert app.jinja_env is app.jinja_env
    assert isinstance(app.jinja_env.loader, DispatchingJinjaLoader)


# Settings


@pytest.mark.parametrize(
    ("setting", "debug", "reloads"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
async def test_a_template_is_read_again_as_the_settings_say(
    tmp_path: Path, in_app: Triows, setting: bool | None, debug: bool, reloads: bool
) -> None:
    in_app.template_folder = write(tmp_path, page="{% include 'part.html' %}", part="old")
    assert await render_template("page.html") == "old"  # the settings may come later
    in_app.config["TEMPLATES_AUTO_RELOAD"] = setting
    in_app.debug = debug
    write(tmp_path, part="new")
    touch(tmp_path / "part.html")
    assert await render_template("page.html") == ("new" if reloads else "old")


def touch(path: Path) -> None:
    """Give a file a later time, whatever the clock of the file system shows."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


def test_reloading_may_be_set_on_the_environment(app: Triows) -> None:
    app.jinja_options["auto_reload"] = True
    assert app.jinja_env.auto_reload is True
    app.jinja_env.auto_reload = False
    app.debug = True
    assert app.jinja_env.auto_reload is False


@pytest.mark.parametrize("value", [1, 0, True, False])
def test_the_settings_of_templates_are_flags(app: Triows, value: Any) -> None:
    app.config["EXPLAIN_TEMPLATE_LOADING"] = app.config["TEMPLATES_AUTO_RELOAD"] = value
    assert app.config["TEMPLATES_AUTO_RELOAD"] is app.config["EXPLAIN_TEMPLATE_LOADING"] is bool(value)
    for key in ("EXPLAIN_TEMPLATE_LOADING", "TEMPLATES_AUTO_RELOAD"):
        with pytest.raises(TypeError, match=f"{key} is 'maybe'; it must be True or False"):
            app.config[key] = "maybe"


async def test_the_log_explains_where_a_template_was_looked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = Triows("shop", template_folder=write(tmp_path / "app", a="a of app"))
    app.register_blueprint(Blueprint("part", __name__, template_folder=write(tmp_path / "part", a="a of part")))
    other = Blueprint("other", __name__)
    other.jinja_loader = jinja2.DictLoader({"b.html": ""})
    app.register_blueprint(other)
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    with caplog.at_level(logging.INFO, app.logger.name):
        async with app.app_context():
            assert await render_template("a.html") == "a of app"
            await render_template("b.html")
            with pytest.raises(jinja2.TemplateNotFound):
                await render_template("c.html")
    assert [record.getMessage() for record in error_log(caplog)] == [
        "looking for the template 'a.html'\n"
        f"  {tmp_path}/app of the app 'shop': found, {tmp_path}/app/a.html\n"
        f"  {tmp_path}/part of the blueprint 'part': found, {tmp_path}/part/a.html\n"
        "  DictLoader of the blueprint 'other': not found",
        "looking for the template 'b.html'\n"
        f"  {tmp_path}/app of the app 'shop': not found\n"
        f"  {tmp_path}/part of the blueprint 'part': not found\n"
        "  DictLoader of the blueprint 'other': found, not in a file",
        "looking for the template 'c.html'\n"
        f"  {tmp_path}/app of the app 'shop': not found\n"
        f"  {tmp_path}/part of the blueprint 'part': not found\n"
        "  DictLoader of the blueprint 'other': not found",
    ]
