"""Hooks, error handlers, and the functions of the app's own life."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, assert_type

import trio
from werkzeug.exceptions import HTTPException, NotFound

from triows import Blueprint, Response, Triows

app = Triows(__name__)
blueprint = Blueprint("blueprint", __name__)


@app.before_request
async def before_request() -> str | None:
    return None


@app.after_request
def after_request(response: Response) -> Response:
    return response


@app.teardown_request
async def teardown_request(error: BaseException | None) -> None: ...


@app.before_websocket
def before_websocket() -> tuple[str, int] | None:
    return "no", 403


@app.after_websocket
async def after_websocket(response: Response | None) -> Response | None:
    return response


@app.teardown_websocket
def teardown_websocket(error: BaseException | None) -> None: ...


@app.teardown_appcontext
def teardown_appcontext(error: BaseException | None) -> None: ...


@app.url_value_preprocessor
def preprocess(endpoint: str | None, values: dict[str, Any] | None) -> None: ...


@app.url_defaults
def defaults(endpoint: str, values: dict[str, Any]) -> None: ...


@app.errorhandler(NotFound)
async def not_found(error: NotFound) -> tuple[str, int]:
    return error.name, 404


@app.errorhandler(500)
def broken(error: Exception) -> Response:
    return Response(str(error), 500)


@app.errorhandler(trio.TooSlowError)
async def too_slow(error: trio.TooSlowError) -> str:
    return "too slow"


@app.before_serving
async def before_serving() -> int:
    return 1


@app.after_serving
def after_serving() -> float:
    return 1.0


@app.while_serving
async def while_serving() -> AsyncIterator[None]:
    yield


@app.lifespan
@asynccontextmanager
async def lifespan(app: Triows) -> AsyncIterator[None]:
    yield


async def hooks_keep_their_types() -> None:
    assert_type(await before_request(), str | None)
    assert_type(after_request(Response()), Response)
    assert_type(await teardown_request(None), None)
    assert_type(before_websocket(), tuple[str, int] | None)
    assert_type(await after_websocket(None), Response | None)
    assert_type(teardown_websocket(None), None)
    assert_type(teardown_appcontext(None), None)
    assert_type(preprocess(None, {}), None)
    assert_type(defaults("index", {}), None)
    assert_type(await not_found(NotFound()), tuple[str, int])
    assert_type(broken(ValueError()), Response)
    assert_type(await too_slow(trio.TooSlowError()), str)
    assert_type(await before_serving(), int)
    assert_type(after_serving(), float)
    assert_type(while_serving(), AsyncIterator[None])
    async with lifespan(app) as value:
        assert_type(value, None)


blueprint.before_request(before_request)
blueprint.after_app_request(after_request)
blueprint.teardown_app_websocket(teardown_websocket)
blueprint.before_app_serving(before_serving)
blueprint.while_app_serving(while_serving)

assert_type(app.register_error_handler(HTTPException, broken), None)
app.register_error_handler(404, not_found)
app.register_error_handler("404", not_found)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.register_error_handler(NotFound, "not found")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.errorhandler(NotFound())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.before_request("hook")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
app.before_serving()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

wrong: Callable[[], int] = app.after_request(after_request)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
