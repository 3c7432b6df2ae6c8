"""Files: sent, and opened."""

from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import assert_type

from triows import Blueprint, Response, Triows, safe_join, send_file, send_from_directory

app = Triows(__name__, "/files", Path("assets"), None, False, False, root_path="/srv", instance_path=Path("/data"))
part = Blueprint("part", __name__, "static", "/files", root_path="/srv")
Triows(__name__, static_folder=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

assert_type(app.root_path, str)
assert_type(app.instance_path, str)
assert_type(app.instance_relative_config, bool)
assert_type(app.has_static_folder, bool)
assert_type(app.static_url_path, str | None)
if app.static_folder is not None:
    text: str = app.static_folder
    assert_type(app.static_folder / "name", Path)
app.static_folder = Path("other")
part.static_url_path = "/other"
assert_type(safe_join("/srv", "a", "b"), str | None)
app.config["SEND_FILE_MAX_AGE_DEFAULT"] = timedelta(hours=1)


async def use() -> None:
    assert_type(await app.send_static_file("name"), Response)
    assert_type(app.get_send_file_max_age("name"), int | None)
    assert_type(await send_file("name", "text/plain", True, "name", False, 5, True, datetime.now(UTC)), Response)
    await send_file(Path("name"))
    await send_file(b"name")
    await send_file(BytesIO(b"data"), mimetype="text/plain")
    with TemporaryFile() as temporary:
        await send_file(temporary, mimetype="text/plain")
    await send_file(StringIO())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await send_file(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await send_file("name", max_age=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert_type(await send_from_directory(Path("folder"), "name", conditional=False, cache_timeout=5), Response)
    async with await app.open_resource("name") as file:
        assert_type(await file.read(), bytes)
    async with await part.open_resource(Path("name"), "r") as text_file:
        assert_type(await text_file.read(5), str)
        async for line in text_file:
            assert_type(line, str)
    await app.open_resource("name", "w")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    async with await app.open_instance_resource("name", "w") as notes:
        await notes.write("text")
