"""Templates, and the messages for the next page."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, assert_type

from triows import (
    Blueprint,
    Triows,
    flash,
    get_flashed_messages,
    get_template_attribute,
    render_template,
    render_template_string,
    stream_template,
    stream_template_string,
)

app = Triows(__name__, template_folder=Path("pages"))
part = Blueprint("part", __name__, template_folder="templates")
Triows(__name__, template_folder=None)
Triows(__name__, template_folder=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def rendering() -> None:
    assert_type(await render_template("page.html", title="Title"), str)
    assert_type(await render_template(["own.html", "page.html"]), str)
    assert_type(await render_template(app.jinja_env.get_template("page.html")), str)
    assert_type(await render_template_string("{{ title }}", title="Title"), str)
    assert_type(await stream_template("page.html"), AsyncGenerator[str, None])
    assert_type(await stream_template_string("{{ title }}", title="Title"), AsyncGenerator[str, None])
    async with aclosing(await stream_template("page.html")) as pieces:
        async for piece in pieces:
            assert_type(piece, str)
    assert_type(await get_template_attribute("macros.html", "name"), Any)
    await render_template(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await render_template_string(b"bytes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def messages() -> None:
    assert_type(await flash("Saved"), None)
    await flash("Saved", "info")
    assert_type(get_flashed_messages(), list[str])
    assert_type(get_flashed_messages(with_categories=True), list[tuple[str, str]])
    assert_type(get_flashed_messages(category_filter=["info"]), list[str])


@app.get("/stream")
async def stream() -> AsyncIterator[str]:
    return await stream_template("page.html")


# A decorator returns the function that it decorates, with its type.


@app.template_filter()
def twice(number: int) -> int:
    return number * 2


@app.template_test("even")
def is_even(number: int) -> bool:
    return number % 2 == 0


@app.template_global(name="now")
async def current_time() -> float:
    return 0.0


@app.context_processor
def variables() -> dict[str, int]:
    return {"a": 1}


@part.context_processor
async def variables_of_the_part() -> dict[str, int]:
    return {"a": 1}


assert_type(twice(1), int)
assert_type(is_even(1), bool)
assert_type(variables(), dict[str, int])
app.add_template_filter(twice, "double")
app.add_template_test(is_even)
app.add_template_global(current_time)
app.template_filter(twice)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
part.app_template_filter()(twice)
part.app_template_test("even")(is_even)
part.app_template_global()(current_time)
part.app_context_processor(variables)
part.add_app_template_filter(twice)
part.add_app_template_test(is_even, "even")
part.add_app_template_global(current_time, name="now")

app.jinja_env.filters["twice"] = twice
app.jinja_options["trim_blocks"] = True
assert_type(app.select_jinja_autoescape("page.html"), bool)


class App(Triows):
    jinja_options = {"trim_blocks": True}  # noqa: RUF012

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        return True

    async def update_template_context(self, context: dict[str, Any]) -> None:
        await super().update_template_context(context)
        context["b"] = 2
