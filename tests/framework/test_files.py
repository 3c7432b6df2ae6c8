"""Static folders, resources, and the folder of an installation."""

from __future__ import annotations

import os
import sys
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from triows import Blueprint, Response, Triows, url_for


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("static", "assets", "part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.txt").write_text(name)
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path


async def get(app: Triows, path: str, **options: Any) -> tuple[int, bytes]:
    response = await app.test_client().get(path, **options)
    return response.status_code, await response.get_data()


async def text_of(app: Triows, path: str, **options: Any) -> str:
    status, data = await get(app, path, **options)
    return data.decode() if status == 200 else str(status)


# The static folder of an app


async def test_the_folder_static_is_served(root: Path) -> None:
    app = Triows(__name__, root_path=str(root))
    assert app.has_static_folder
    assert app.static_folder == f"{root}/static"
    assert app.static_url_path == "/static"
    assert await text_of(app, "/static/file.txt") == "static"
    assert await text_of(app, "/static/missing") == "404"


async def test_a_missing_folder_has_urls_and_no_files(tmp_path: Path) -> None:
    app = Triows(__name__, root_path=str(tmp_path))
    assert await text_of(app, "/static/file.txt") == "404"
    async with app.test_request_context("/"):
        assert url_for("static", filename="a/b c.txt") == "/static/a/b%20c.txt"


@pytest.mark.parametrize(
    ("options", "folder", "url_path"),
    [
        ({"static_folder": "assets"}, "assets", "/assets"),
        ({"static_folder": Path("assets")}, "assets", "/assets"),
        ({"static_folder": "assets/"}, "assets", "/assets"),
        ({"static_folder": "./assets", "static_url_path": "/files"}, "./assets", "/files"),
        ({"static_folder": "assets", "static_url_path": "/files/"}, "assets", "/files"),
        ({"static_folder": "assets", "static_url_path": ""}, "assets", ""),
        ({"static_folder": "assets", "static_url_path": "/"}, "assets", ""),
    ],
)
async def test_the_folder_and_its_urls_may_be_others(
    root: Path, options: dict[str, Any], folder: str, url_path: str
) -> None:
    app = Triows(__name__, root_path=str(root), **options)
    assert (app.static_folder, app.static_url_path) == (f"{root}/{folder}", url_path)
    assert await text_of(app, f"{url_path}/file.txt") == "assets"
    async with app.test_request_context("/"):
        assert url_for("static", filename="file.txt") == f"{url_path}/file.txt"


async def test_the_arguments_may_be_given_by_position_as_in_quart(root: Path) -> None:
    app = Triows(__name__, "/files", str(root / "assets"), None, False, False)
    assert await text_of(app, "/files/file.txt") == "assets"


async def test_no_folder_has_no_route() -> None:
    app = Triows(__name__, static_folder=None)
    assert (app.has_static_folder, app.static_folder, app.static_url_path) == (False, None, None)
    assert [*app.url_map.iter_rules()] == []
    with pytest.raises(RuntimeError, match=r"has no static folder to send 'file\.txt' from"):
        await app.send_static_file("file.txt")


async def test_the_folder_may_be_changed(root: Path) -> None:
    app = Triows(__name__, root_path=str(root))
    app.static_folder = "assets"
    assert await text_of(app, "/static/file.txt") == "assets"
    app.static_folder = root / "part"
    assert await text_of(app, "/static/file.txt") == "part"


def test_the_url_path_is_read_when_the_app_is_made(root: Path) -> None:
    app = Triows(__name__)
    with pytest.raises(AttributeError, match=r"'static_url_path' .* give static_url_path= to Triows\(\)"):
        app.static_url_path = "/files"


def test_the_path_of_the_folder_is_text_and_joins_as_a_path_does(root: Path) -> None:
    app = Triows(__name__, root_path=str(root))
    folder = app.static_folder
    assert folder is not None
    assert os.path.join(folder, "file.txt") == f"{root}/static/file.txt"
    assert f"{folder}/file.txt" == f"{root}/static/file.txt"
    assert folder / "file.txt" == root / "static" / "file.txt"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/..%2fsecret.txt",
        "/static/..%5csecret.txt",
        "/static/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static/%252e%252e/secret.txt",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/file.txt%00",
        "/static/file.txt%00.png",
        "/static/%ff",
        "/static/%c0%ae%c0%ae/secret.txt",
        "/static/",
        "/static/.",
    ],
)
async def test_no_url_leads_out_of_the_folder(root: Path, path: str) -> None:
    assert await text_of(Triows(__name__, root_path=str(root)), path, follow_redirects=True) == "404"


async def test_a_url_that_leads_back_in_is_found(root: Path) -> None:
    app = Triows(__name__, root_path=str(root))
    assert await text_of(app, "/static/more/../file.txt") == "static"


async def test_static_files_have_conditions_and_ranges(root: Path) -> None:
    app = Triows(__name__, root_path=str(root))
    client = app.test_client()
    response = await client.get("/static/file.txt", headers={"Range": "bytes=2-3"})
    assert (response.status_code, await response.get_data()) == (206, b"at")
    etag = response.headers["ETag"]
    assert (await client.get("/static/file.txt", headers={"If-None-Match": etag})).status_code == 304
    assert (await client.post("/static/file.txt")).status_code == 405


async def test_routes_and_views_may_take_the_place_of_static_files(root: Path) -> None:
    app = Triows(__name__, root_path=str(root))

    @app.get("/static/own")
    async def own() -> str:
        return "my own"

    assert await text_of(app, "/static/own") == "my own"

    async def replaced(filename: str) -> str:
        return f"not {filename}"

    app.view_functions["static"] = replaced
    assert await text_of(app, "/static/file.txt") == "not file.txt"


async def test_send_static_file_may_be_overridden_and_used_by_other_routes(root: Path) -> None:
    class App(Triows):
        async def send_static_file(self, filename: str) -> Response:
            response = await super().send_static_file(filename)
            response.headers["X-Mine"] = filename
            return response

    app = App(__name__, root_path=str(root))

    @app.get("/robots.txt")
    async def robots() -> Response:
        return await app.send_static_file("file.txt")

    for path in ("/static/file.txt", "/robots.txt"):
        assert (await app.test_client().get(path)).headers["X-Mine"] == "file.txt"


@pytest.mark.parametrize("owner", ["app", "blueprint"])
async def test_an_override_of_send_static_file_may_name_its_parameter_as_it_likes(root: Path, owner: str) -> None:
    class Override:
        async def send_static_file(self, f: str) -> str:
            return f"mine {f}"

    app = type("App", (Override, Triows), {})(__name__, root_path=str(root))
    app.register_blueprint(
        type("Part", (Override, Blueprint), {})(
            "part", __name__, root_path=str(root), static_folder="static", url_prefix="/part"
        )
    )
    path = "/static/file.txt" if owner == "app" else "/part/static/file.txt"
    assert await text_of(app, path) == "mine file.txt"


@pytest.mark.parametrize("overrides", [False, True])
def test_the_static_view_has_the_attributes_of_send_static_file(
    root: Path, monkeypatch: pytest.MonkeyPatch, overrides: bool
) -> None:
    class App(Triows):
        async def send_static_file(self, filename: str) -> Response:
            return await super().send_static_file(filename)

    app = (App if overrides else Triows)(__name__, root_path=str(root))
    view = app.view_functions["static"]
    assert not hasattr(view, "is_hidden")
    monkeypatch.setattr(app.send_static_file.__func__, "is_hidden", True, raising=False)  # type: ignore[attr-defined]
    assert view.is_hidden  # type: ignore[attr-defined]
    assert view.__name__ == "send_static_file"
    assert copy(view).is_hidden  # type: ignore[attr-defined]


async def test_send_static_file_may_be_replaced_at_any_time(root: Path) -> None:
    app = Triows(__name__, root_path=str(root))
    app.send_static_file = lambda filename: f"mine {filename}"  # type: ignore[assignment,method-assign,return-value]
    assert await text_of(app, "/static/file.txt") == "mine file.txt"


# Hosts


async def test_static_files_may_be_on_one_host(root: Path) -> None:
    app = Triows(__name__, root_path=str(root), host_matching=True, static_host="files.example")
    assert await text_of(app, "/static/file.txt", headers={"Host": "files.example"}) == "static"
    assert await text_of(app, "/static/file.txt", headers={"Host": "other.example"}) == "404"


async def test_hosts_may_be_matched_where_there_is_no_folder(tmp_path: Path) -> None:
    app = Triows(__name__, root_path=str(tmp_path), host_matching=True)
    assert [*app.url_map.iter_rules()] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host_matching": True}, "nothing says which one has the files of '.*/static'; give static_host="),
        ({"host_matching": True, "static_folder": "missing"}, "nothing says which one has the files of"),
        ({"static_host": "a.example"}, "'a.example', and has no effect without host_matching=True"),
        (
            {"static_host": "a.example", "host_matching": True, "static_folder": None},
            "has no effect without a static_folder",
        ),
    ],
)
def test_a_host_that_is_missing_or_has_no_effect_is_refused(root: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Triows(__name__, root_path=str(root), **options)


# Blueprints


async def test_a_blueprint_has_files_of_its_own(root: Path) -> None:
    app = Triows(__name__, root_path=str(root))
    part = Blueprint("part", __name__, "assets", url_prefix="/part", root_path=str(root))
    app.register_blueprint(part)
    app.register_blueprint(part, name="again", url_prefix="/again")
    assert part.static_folder == f"{root}/assets"
    assert await text_of(app, "/part/assets/file.txt") == "assets"
    assert await text_of(app, "/again/assets/file.txt") == "assets"
    assert await text_of(app, "/static/file.txt") == "static"
    async with app.test_request_context("/"):
        assert url_for("part.static", filename="file.txt") == "/part/assets/file.txt"
        assert url_for("again.static", filename="file.txt") == "/again/assets/file.txt"


async def test_a_nested_blueprint_has_files_of_its_own(root: Path) -> None:
    app = Triows(__name__)
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    inner = Blueprint("inner", __name__, static_folder=root / "part", static_url_path="/files", url_prefix="/inner")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert await text_of(app, "/outer/inner/files/file.txt") == "part"


async def test_a_view_of_a_blueprint_finds_its_own_static_files(root: Path) -> None:
    app = Triows(__name__)
    part = Blueprint("part", __name__, root / "part", url_prefix="/part")
    part.get("/")(lambda: f"{url_for('.static', filename='a')} {url_for('static', filename='a')}")
    app.register_blueprint(part)
    assert await text_of(app, "/part/") == "/part/part/a /static/a"


async def test_a_blueprint_has_no_folder_unless_it_is_given_one(root: Path) -> None:
    part = Blueprint("part", __name__, root_path=str(root))
    assert (part.has_static_folder, part.static_folder, part.static_url_path) == (False, None, None)
    with pytest.raises(RuntimeError, match="has no static folder"):
        await part.send_static_file("file.txt")


def test_the_url_path_of_a_blueprint_may_be_set_until_it_is_registered(root: Path) -> None:
    part = Blueprint("part", __name__, root / "part")
    part.static_url_path = "/files/"
    app = Triows(__name__)
    app.register_blueprint(part)
    assert {rule.rule for rule in app.url_map.iter_rules()} == {
        "/static/<path:filename>",
        "/files/<path:filename>",
    }
    with pytest.raises(RuntimeError, match="static_url_path of the blueprint 'part' is set to '/late'"):
        part.static_url_path = "/late"


# For how long caches keep them


async def test_an_app_and_a_blueprint_may_each_decide_for_how_long_files_are_kept(root: Path) -> None:
    class App(Triows):
        def get_send_file_max_age(self, filename: str | None) -> int | None:
            asked.append(filename)
            return 1

    class Part(Blueprint):
        def get_send_file_max_age(self, filename: str | None) -> int | None:
            asked.append(filename)
            return None

    asked: list[str | None] = []
    app = App(__name__, root_path=str(root))
    app.register_blueprint(Part("part", __name__, "part", root_path=str(root)))
    client = app.test_client()
    assert (await client.get("/static/file.txt")).headers["Cache-Control"] == "public, max-age=1"
    assert (await client.get("/part/file.txt")).headers["Cache-Control"] == "public"
    assert asked == [f"{root}/static/file.txt", f"{root}/part/file.txt"]


@pytest.mark.parametrize(
    ("value", "error"),
    [(-1, ValueError), (timedelta(-1), ValueError), ("1 h", TypeError), (True, TypeError), (1e300, ValueError)],
)
def test_a_maximum_age_that_makes_no_sense_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="SEND_FILE_MAX_AGE_DEFAULT is"):
        Triows(__name__).config["SEND_FILE_MAX_AGE_DEFAULT"] = value


def test_the_maximum_age_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOWS_SEND_FILE_MAX_AGE_DEFAULT", "60")
    app = Triows(__name__)
    app.config.from_prefixed_env()
    assert app.config["SEND_FILE_MAX_AGE_DEFAULT"] == 60


# Resources


async def test_resources_are_opened_below_the_root_path(root: Path) -> None:
    (root / "text.txt").write_text("a€\n", encoding="utf-8")
    for owner in (Triows(__name__, root_path=str(root)), Blueprint("part", __name__, root_path=str(root))):
        async with await owner.open_resource("text.txt") as file:
            assert await file.read() == "a€\n".encode()
        async with await owner.open_resource(Path("text.txt"), "r") as text:
            assert [line async for line in text] == ["a€\n"]
        with pytest.raises(ValueError, match="not with 'w'"):
            await owner.open_resource("text.txt", "w")  # type: ignore[call-overload]
        with pytest.raises(FileNotFoundError):
            await owner.open_resource("missing")


# The folder of an installation


async def test_files_of_the_instance_are_read_and_written(tmp_path: Path) -> None:
    app = Triows(__name__, instance_path=tmp_path)
    assert app.instance_path == str(tmp_path)
    async with await app.open_instance_resource("notes.txt", "w") as file:
        await file.write("€")
    async with await app.open_instance_resource("notes.txt") as data:
        assert await data.read() == "€".encode()


def test_an_instance_path_is_absolute() -> None:
    with pytest.raises(ValueError, match="instance_path is 'instance'; it must be an absolute path"):
        Triows(__name__, instance_path="instance")


def test_names_of_configuration_files_may_be_relative_to_the_instance() -> None:
    assert Triows(__name__).instance_relative_config is False
    assert Triows(__name__, instance_relative_config=True).instance_relative_config is True


def test_the_instance_is_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "a_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (tmp_path / "a_module.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("a_package", "a_package.inner", "a_module"):
        assert Triows(name, root_path="/").instance_path == f"{tmp_path}/instance"


@pytest.mark.parametrize(
    ("site", "prefix"),
    [
        ("lib/python3.11/site-packages", ""),
        ("Lib/site-packages", ""),
        ("odd/site-packages", "odd"),
        ("site-packages", ""),
    ],
)
def test_the_instance_of_an_installed_app_is_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str, prefix: str
) -> None:
    folder = tmp_path / site
    folder.mkdir(parents=True)
    (folder / "installed.py").touch()
    monkeypatch.syspath_prepend(folder)
    assert Triows("installed").instance_path == str(tmp_path / prefix / "var" / "installed-instance")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert Triows("installed").instance_path == str(tmp_path / "var" / "installed-instance")


def test_a_namespace_package_has_its_instance_beside_it_if_it_has_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for parent in ("one", "two"):
        (tmp_path / parent / "of_folders").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "one")
    assert Triows("of_folders").instance_path == f"{tmp_path}/one/instance"
    monkeypatch.syspath_prepend(tmp_path / "two")
    assert Triows("of_folders", root_path="/").instance_path == f"{os.getcwd()}/instance"
