"""Errors of requests: which handler answers them, from which task they come, what is logged, what the client learns.

Tests triows/framework/pipeline/base.py, triows/framework/pipeline/http.py and triows/errors.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from werkzeug.exceptions import Conflict, Forbidden, HTTPException, ImATeapot, InternalServerError, NotFound

from triows import Blueprint, Response, Triows, abort, current_app, redirect, request, websocket
from triows.tasks.exception_groups import unwrap_group
from triows.testing import HTTPDisconnectError

from ...support.records import error_log, lines, logged
from ...support.rejections import rejection
from ...support.views import SECRET, Ours, OursToo, raising, raising_in_children


@pytest.fixture
def app(app: Triows) -> Triows:
    """An app whose client sees what a real one would."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


def failing(error: BaseException) -> Any:
    """An error handler or a hook that raises the error."""

    async def handler(*args: Any) -> Any:
        raise error

    return handler


async def body_of(app: Triows) -> tuple[int, str]:
    response = await app.test_client().get("/")
    return response.status_code, await response.get_data(as_text=True)


# Which handler


async def test_a_handler_answers_its_class(app: Triows) -> None:
    app.get("/", endpoint="view")(raising(Ours("oh")))

    @app.errorhandler(Ours)
    async def handler(error: Ours) -> Any:
        return f"handled {error}", 418

    assert await body_of(app) == (418, "handled oh")


async def test_a_handler_answers_subclasses_of_its_class(app: Triows) -> None:
    app.get("/", endpoint="view")(raising(OursToo()))
    app.errorhandler(Ours)(lambda error: type(error).__name__)
    assert await body_of(app) == (200, "OursToo")


async def test_the_nearest_class_wins(app: Triows) -> None:
    app.get("/", endpoint="view")(raising(OursToo()))
    app.errorhandler(Exception)(lambda error: "Exception")
    app.errorhandler(OursToo)(lambda error: "OursToo")
    app.errorhandler(Ours)(lambda error: "Ours")
    assert (await body_of(app))[1] == "OursToo"


async def test_a_handler_answers_its_status(app: Triows) -> None:
    app.get("/", endpoint="view")(lambda: abort(403))
    app.errorhandler(403)(lambda error: (f"status {error.code}", 403))
    assert await body_of(app) == (403, "status 403")


async def test_a_handler_of_a_status_answers_exceptions_that_were_raised(app: Triows) -> None:
    app.get("/", endpoint="view")(raising(Forbidden()))
    app.errorhandler(403)(lambda error: ("mine", 403))
    assert await body_of(app) == (403, "mine")


async def test_a_handler_of_an_http_exceptions_class_answers_it(app: Triows) -> None:
    app.errorhandler(NotFound)(lambda error: ("mine", 404))
    assert await body_of(app) == (404, "mine")


async def test_a_handler_answers_paths_that_are_not_there(app: Triows) -> None:
    app.errorhandler(404)(lambda error: (f"no {request.path}", 404))
    assert await body_of(app) == (404, "no /")


async def test_a_handler_answers_wrong_methods(app: Triows) -> None:
    app.post("/", endpoint="view")(lambda: "")
    app.errorhandler(405)(lambda error: (",".join(sorted(error.valid_methods)), 405))
    assert await body_of(app) == (405, "OPTIONS,POST")


async def test_a_handler_answers_bodies_that_are_too_large(app: Triows) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 3

    @app.post("/")
    async def view() -> bytes:
        return await request.get_data()

    app.errorhandler(413)(lambda error: ("too much", 413))
    response = await app.test_client().post("/", data=b"1234")
    assert (response.status_code, await response.get_data()) == (413, b"too much")


async def test_a_handler_of_http_exceptions_answers_all_of_them(app: Triows) -> None:
    app.errorhandler(HTTPException)(lambda error: (f"http {error.code}", error.code))
    assert await body_of(app) == (404, "http 404")


async def test_a_handler_of_a_status_wins_over_one_of_all(app: Triows) -> None:
    app.errorhandler(HTTPException)(lambda error: "all")
    app.errorhandler(404)(lambda error: "404")
    assert (await body_of(app))[1] == "404"


async def test_a_handler_of_exception_answers_http_errors_as_well(app: Triows) -> None:
    app.errorhandler(Exception)(lambda error: type(error).__name__)
    assert (await body_of(app))[1] == "NotFound"


async def test_a_redirect_of_the_router_is_no_error(app: Triows) -> None:
    app.get("/folder/", endpoint="view")(lambda: "")
    app.errorhandler(Exception)(lambda error: "handled")
    app.errorhandler(HTTPException)(lambda error: "handled")
    assert (await app.test_client().get("/folder")).status_code == 308


async def test_the_handler_of_500_gets_the_original_error(app: Triows) -> None:
    error = Ours("original")
    app.get("/", endpoint="view")(raising(error))
    seen: list[Any] = []

    @app.errorhandler(500)
    async def handler(failure: InternalServerError) -> Any:
        seen.append(failure.original_exception)
        return "sorry", 500

    assert await body_of(app) == (500, "sorry")
    assert seen == [error]


async def test_a_blueprints_handler_wins_over_the_apps(app: Triows) -> None:
    part = Blueprint("part", __name__)
    part.get("/", endpoint="view")(raising(Ours()))
    part.errorhandler(Ours)(lambda error: "the blueprint's")
    app.errorhandler(Ours)(lambda error: "the app's")
    app.register_blueprint(part)
    assert (await body_of(app))[1] == "the blueprint's"


async def test_a_blueprints_handler_is_for_its_own_routes(app: Triows) -> None:
    part = Blueprint("part", __name__)
    part.errorhandler(Ours)(lambda error: "the blueprint's")
    app.register_blueprint(part)
    app.get("/", endpoint="view")(raising(Ours()))
    assert (await body_of(app))[0] == 500


async def test_a_handler_may_be_async_and_sees_the_context(app: Triows) -> None:
    app.get("/", endpoint="view")(raising(Ours()))

    @app.errorhandler(Ours)
    async def handler(error: Ours) -> str:
        await trio.lowlevel.checkpoint()
        return f"{current_app.name} {request.path}"

    assert (await body_of(app))[1] == "tested /"


async def test_a_synchronous_handler_sees_the_context(app: Triows) -> None:
    app.get("/", endpoint="view")(raising(Ours()))
    app.errorhandler(Ours)(lambda error: f"{current_app.name} {request.path}")
    assert (await body_of(app))[1] == "tested /"


@pytest.mark.parametrize("where", ["before", "after", "preprocessor", "session"])
async def test_errors_outside_of_the_view_are_handled_too(app: Triows, where: str) -> None:
    app.get("/", endpoint="view")(lambda: "fine")

    async def hook(*args: Any) -> Any:
        raise Ours

    def preprocessor(*args: Any) -> Any:
        raise Ours

    if where == "before":
        app.before_request(hook)
    elif where == "after":
        app.after_request(hook)
    elif where == "preprocessor":
        app.url_value_preprocessor(preprocessor)
    else:
        app.session_interface = type("Broken", (type(app.session_interface),), {"open_session": hook})()
    app.errorhandler(Ours)(lambda error: ("handled", 418))
    assert (await body_of(app)) == (418, "handled")


@pytest.mark.parametrize("key", ["404", object, 3.5, NotFound(), None])
def test_a_handler_for_something_else_is_refused(app: Triows, key: Any) -> None:
    with pytest.raises(TypeError, match="exception class or a status code"):
        app.errorhandler(key)(lambda error: "")


@pytest.mark.parametrize("status", [200, 302, 999])
def test_a_handler_for_a_status_that_is_no_error_is_refused(app: Triows, status: int) -> None:
    with pytest.raises(ValueError, match=str(status)):
        app.errorhandler(status)(lambda error: "")


# Errors of child tasks


async def test_a_childs_error_finds_its_handler(app: Triows) -> None:
    app.get("/", endpoint="view")(raising_in_children(Ours("child")))
    app.errorhandler(Ours)(lambda error: f"handled {error}")
    assert (await body_of(app))[1] == "handled child"


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "with another task"])
async def test_a_request_whose_own_nursery_cancels_it_is_an_error(
    others: int, app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/cancelled")
    async def cancelled() -> str:
        for _ in range(others):
            request.nursery.start_soon(trio.sleep_forever)
        request.nursery.cancel_scope.cancel()
        await trio.lowlevel.checkpoint()
        return "never sent"

    assert (await app.test_client().get("/cancelled")).status_code == 500
    [record] = caplog.records
    assert record.exc_info is not None
    assert "was cancelled by its nursery before it returned a response" in str(record.exc_info[1])


async def test_an_error_in_the_handlers_own_nursery_finds_its_handler(app: Triows) -> None:
    @app.get("/")
    async def view() -> str:
        request.nursery.start_soon(raising(Ours("child")))
        await trio.sleep_forever()
        return "unreachable"

    app.errorhandler(Ours)(lambda error: f"handled {error}")
    assert (await body_of(app))[1] == "handled child"


async def test_groups_of_one_are_unwrapped_in_any_depth(app: Triows) -> None:
    error: Exception = Ours("deep")
    for _ in range(50):
        error = ExceptionGroup("level", [error])
    app.get("/", endpoint="view")(raising(error))
    app.errorhandler(Ours)(lambda error: f"handled {error}")
    assert (await body_of(app))[1] == "handled deep"


async def test_an_http_error_of_a_child_is_answered(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/", endpoint="view")(raising_in_children(Forbidden("child")))
    assert (await body_of(app))[0] == 403
    assert logged(caplog) == []


async def test_of_several_errors_the_first_with_a_handler_answers(app: Triows) -> None:
    app.get("/", endpoint="view")(raising_in_children(ValueError("one"), Ours("two"), OursToo("three")))
    app.errorhandler(Ours)(lambda error: f"handled {error}")
    assert (await body_of(app))[1] == "handled two"


async def test_several_errors_are_all_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    errors = [ValueError("one"), Ours("two"), KeyError("three")]
    app.get("/", endpoint="view")(raising_in_children(*errors))
    app.errorhandler(Ours)(lambda error: "handled")
    await body_of(app)
    assert logged(caplog) == errors


async def test_several_errors_without_a_handler_are_a_500(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    errors = [ValueError("one"), KeyError("two")]
    app.get("/", endpoint="view")(raising_in_children(*errors))
    assert (await body_of(app))[0] == 500
    assert logged(caplog) == errors


async def test_a_fault_beside_an_http_error_is_a_500(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    errors = [NotFound("one"), KeyError("two")]
    app.get("/", endpoint="view")(raising_in_children(*errors))
    assert (await body_of(app))[0] == 500
    assert logged(caplog) == errors


async def test_of_several_http_errors_the_first_is_answered(app: Triows) -> None:
    app.get("/", endpoint="view")(raising_in_children(Forbidden("one"), NotFound("two")))
    assert (await body_of(app))[0] == 403


async def test_an_error_in_the_midst_of_a_users_own_timeout_is_not_lost(
    app: Triows, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    error = Ours("while cleaning up")

    @app.get("/")
    async def view() -> str:
        async def child() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise error

        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child)
                nursery.start_soon(trio.sleep_forever)
        return "fine"

    assert (await body_of(app))[0] == 500
    assert logged(caplog) == [error]


# Errors beside the cancellation of a disconnect


async def test_an_error_beside_cancelled_is_logged_and_kept(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = None
    error = Ours("while cleaning up")

    @app.websocket("/")
    async def handler() -> None:
        async def child() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise error

        websocket.nursery.start_soon(child)
        await websocket.send("ready")
        await trio.sleep_forever()

    with pytest.raises(Ours) as caught:
        async with app.test_client().websocket("/") as ws:
            assert await ws.receive() == "ready"
            await ws.disconnect()
            await ws.wait_closed()
    assert caught.value is error
    assert logged(caplog) == [error]


async def test_an_error_that_replaces_cancelled_is_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    error = Ours("while cleaning up")

    @app.websocket("/")
    async def handler() -> None:
        try:
            async for _ in websocket:
                pass
        finally:
            raise error

    async with app.test_client().websocket("/"):
        pass
    assert logged(caplog) == [error]


async def test_an_http_error_after_the_client_has_gone_is_nobodys_business(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def view() -> str:
        try:
            await trio.sleep_forever()
        finally:
            abort(404)

    with pytest.raises(HTTPDisconnectError):
        async with app.test_client().request("/") as connection:
            await connection.send_complete()
            await wait_all_tasks_blocked()
            await connection.disconnect()
            await connection.as_response()
    assert logged(caplog) == []


# What is logged, and what is sent


async def test_an_unhandled_error_is_logged_once_with_its_traceback(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    error = Ours("oh")
    app.get("/", endpoint="view")(raising(error))
    await body_of(app)
    assert logged(caplog) == [error]
    assert "GET '/'" in caplog.text
    assert "in view" in caplog.text


async def test_a_handled_error_is_not_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/", endpoint="view")(raising(Ours()))
    app.errorhandler(Ours)(lambda error: "")
    await body_of(app)
    assert logged(caplog) == []


async def test_http_errors_are_not_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    await body_of(app)
    assert logged(caplog) == []


async def test_control_characters_of_a_path_do_not_reach_the_log(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/<name>", endpoint="view")(lambda name: 1 / 0)
    await app.test_client().get("/a%0aERROR%20forged%1b[31m")
    assert "\\nERROR forged\\x1b" in caplog.records[0].getMessage()
    assert "\n" not in caplog.records[0].getMessage()


@pytest.mark.parametrize("debug", [False, True])
async def test_the_client_learns_nothing_of_an_error(app: Triows, debug: bool) -> None:
    app.debug = debug
    app.get("/", endpoint="view")(raising(Ours(SECRET)))
    status, body = await body_of(app)
    assert status == 500
    for word in (SECRET, "Ours", "Traceback", "test_errors", ".py"):
        assert word not in body


async def test_an_error_in_a_stream_breaks_the_response_off(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    error = Ours(SECRET)
    fail = trio.Event()

    @app.get("/")
    async def view() -> AsyncIterator[str]:
        yield "begun"
        await fail.wait()
        raise error

    async with app.test_client().request("/") as connection:
        assert await connection.receive() == b"begun"
        fail.set()
        with pytest.raises(HTTPDisconnectError):
            await connection.receive()
        await connection.disconnect()
    assert logged(caplog) == [error]


async def test_an_error_before_the_first_piece_of_a_stream_breaks_it_off(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    error = Ours(SECRET)

    @app.get("/")
    async def view() -> AsyncIterator[str]:
        raise error
        yield ""

    with pytest.raises(HTTPDisconnectError):
        await app.test_client().get("/")
    assert logged(caplog) == [error]


# Errors in what answers errors


async def test_a_handler_that_fails_is_a_500_and_logged(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    second = KeyError("second")
    app.get("/", endpoint="view")(raising(Ours()))

    @app.errorhandler(Ours)
    async def handler(error: Ours) -> Any:
        raise second

    assert (await body_of(app))[0] == 500
    assert logged(caplog) == [second]


@pytest.mark.parametrize("key", [500, InternalServerError])
@pytest.mark.parametrize("first", [Ours(), Conflict()])
async def test_an_error_in_a_handler_goes_to_the_handler_of_500(
    first: Exception, key: Any, app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    second, seen = KeyError("second"), list[Exception]()
    app.get("/", endpoint="view")(raising(first))
    app.errorhandler(type(first))(failing(second))

    @app.errorhandler(key)
    async def page(error: InternalServerError) -> tuple[str, int]:
        assert isinstance(error, InternalServerError)
        assert error.original_exception is not None
        seen.append(cast(Exception, error.original_exception))
        return "my 500 page", 500

    assert await body_of(app) == (500, "my 500 page")
    assert seen == logged(caplog) == [second]


async def test_an_error_in_a_blueprints_handler_goes_to_its_handler_of_500(app: Triows) -> None:
    blueprint = Blueprint("blueprint", __name__)
    blueprint.get("/", endpoint="view")(raising(Ours()))
    blueprint.errorhandler(Ours)(failing(KeyError("second")))
    blueprint.errorhandler(500)(lambda error: ("the blueprint's page", 500))
    app.errorhandler(500)(lambda error: ("the app's page", 500))
    app.register_blueprint(blueprint)
    assert await body_of(app) == (500, "the blueprint's page")


async def test_an_error_that_its_handler_raises_again_goes_to_the_handler_of_500(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    first = Ours()
    app.get("/", endpoint="view")(raising(first))
    app.errorhandler(Ours)(failing(first))
    app.errorhandler(500)(lambda error: (str(error.original_exception is first), 500))
    assert await body_of(app) == (500, "True")
    assert logged(caplog) == [first]


async def test_what_a_handler_returns_in_vain_goes_to_the_handler_of_500(app: Triows) -> None:
    app.get("/", endpoint="view")(raising(Ours()))
    app.errorhandler(Ours)(lambda error: None)
    app.errorhandler(500)(lambda error: (type(error.original_exception).__name__, 500))
    assert await body_of(app) == (500, "TypeError")


async def test_an_error_in_a_hook_whose_handler_fails_goes_to_the_handler_of_500(app: Triows) -> None:
    app.get("/", endpoint="view")(lambda: "unreached")
    app.before_request(failing(Ours()))
    app.errorhandler(Ours)(failing(KeyError("second")))
    app.errorhandler(500)(lambda error: ("my 500 page", 500))
    assert await body_of(app) == (500, "my 500 page")


async def test_a_handler_of_everything_that_fails_is_a_plain_500(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    failures = [KeyError("first"), KeyError("second")]
    left = iter(failures)
    app.get("/", endpoint="view")(raising(Ours(SECRET)))

    @app.errorhandler(Exception)
    async def handler(error: Exception) -> Any:
        raise next(left)

    status, body = await body_of(app)
    assert (status, SECRET in body) == (500, False)
    assert logged(caplog) == failures


async def test_an_error_in_the_handler_of_a_handshake_goes_to_the_handler_of_500(app: Triows) -> None:
    app.websocket("/", endpoint="view")(raising(Ours()))
    app.errorhandler(Ours)(failing(KeyError("second")))
    app.errorhandler(500)(lambda error: (f"my 500 page: {error.original_exception!r}", 500))
    response = await rejection(app)
    assert (response.status_code, await response.get_data()) == (500, b"my 500 page: KeyError('second')")


async def test_a_handler_may_abort(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/", endpoint="view")(raising(Ours()))
    app.errorhandler(Ours)(lambda error: abort(403))
    assert (await body_of(app))[0] == 403
    assert logged(caplog) == []


@pytest.mark.parametrize("key", [418, ImATeapot, HTTPException])
async def test_abort_in_a_handler_is_answered_by_the_handler_of_its_status(
    app: Triows, caplog: pytest.LogCaptureFixture, key: Any
) -> None:
    app.get("/", endpoint="view")(raising(Ours()))
    app.errorhandler(Ours)(lambda error: abort(418, "Earl Grey"))
    app.errorhandler(key)(lambda error: (f"my page: {error.description}", 418))
    app.errorhandler(500)(lambda error: ("my 500 page", 500))
    assert await body_of(app) == (418, "my page: Earl Grey")
    assert logged(caplog) == []


async def test_abort_in_a_blueprints_handler_is_answered_by_the_blueprints_own(app: Triows) -> None:
    blueprint = Blueprint("blueprint", __name__)
    blueprint.get("/", endpoint="view")(raising(Ours()))
    blueprint.errorhandler(Ours)(lambda error: abort(418))
    blueprint.errorhandler(418)(lambda error: ("the blueprint's page", 418))
    app.errorhandler(418)(lambda error: ("the app's page", 418))
    app.register_blueprint(blueprint)
    assert await body_of(app) == (418, "the blueprint's page")


async def test_abort_in_the_handler_of_a_handshake_is_answered_by_the_handler_of_its_status(app: Triows) -> None:
    app.websocket("/", endpoint="view")(raising(Ours()))
    app.errorhandler(Ours)(lambda error: abort(418))
    app.errorhandler(418)(lambda error: ("my page", 418))
    response = await rejection(app)
    assert (response.status_code, await response.get_data()) == (418, b"my page")


async def test_a_handler_of_a_status_that_aborts_with_it_is_not_called_again(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    called = []
    app.get("/", endpoint="view")(lambda: abort(418))
    app.errorhandler(418)(lambda error: called.append(error) or abort(418, "Earl Grey"))
    app.errorhandler(500)(lambda error: ("my 500 page", 500))
    status, body = await body_of(app)
    assert (status, "Earl Grey" in body, len(called)) == (418, True, 1)
    assert logged(caplog) == []


async def test_handlers_that_abort_to_each_other_are_called_once_each(app: Triows) -> None:
    called = []
    app.get("/", endpoint="view")(lambda: abort(404))
    app.errorhandler(404)(lambda error: called.append(404) or abort(418))
    app.errorhandler(418)(lambda error: called.append(418) or abort(404, "around"))
    status, body = await body_of(app)
    assert (status, "around" in body, called) == (404, True, [404, 418])


async def test_an_error_in_the_handler_that_an_abort_leads_to_goes_to_the_handler_of_500(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    second = KeyError("second")
    app.get("/", endpoint="view")(raising(Ours()))
    app.errorhandler(Ours)(lambda error: abort(418))
    app.errorhandler(418)(failing(second))
    app.errorhandler(500)(lambda error: (f"my 500 page: {error.original_exception!r}", 500))
    assert await body_of(app) == (500, "my 500 page: KeyError('second')")
    assert logged(caplog) == [second]


@pytest.mark.parametrize("traps", [False, True])
async def test_abort_in_the_handler_of_500_is_answered_by_the_handler_of_its_status(app: Triows, traps: bool) -> None:
    app.config["TRAP_HTTP_EXCEPTIONS"] = traps
    app.get("/", endpoint="view")(raising(Ours()))
    app.errorhandler(500)(lambda error: abort(503))
    assert (await body_of(app))[0] == 503
    app.errorhandler(503)(lambda error: ("my 503 page", 503))
    assert await body_of(app) == (503, "my 503 page")


async def test_a_handler_of_500_and_one_that_lead_to_each_other_end(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    failure = KeyError("second")
    app.get("/", endpoint="view")(raising(Ours()))
    app.errorhandler(500)(lambda error: abort(503))
    app.errorhandler(503)(failing(failure))
    assert (await body_of(app))[0] == 503
    assert [type(error) for error in logged(caplog)] == [Ours, KeyError]


@pytest.mark.parametrize("key", [HTTPException, Exception])
async def test_a_response_that_a_view_aborts_with_is_the_answer(app: Triows, key: Any) -> None:
    app.get("/", endpoint="view")(lambda: abort(redirect("/elsewhere")))
    app.errorhandler(key)(lambda error: ("handled", 500))
    assert (await body_of(app))[0] == 302


@pytest.mark.parametrize("key", [HTTPException, Exception])
async def test_a_response_that_a_handler_aborts_with_is_the_answer(app: Triows, key: Any) -> None:
    app.get("/", endpoint="view")(raising(Ours()))
    app.errorhandler(Ours)(lambda error: abort(redirect("/elsewhere")))
    app.errorhandler(key)(lambda error: ("handled", 500))
    assert (await body_of(app))[0] == 302


async def test_a_handler_that_returns_nothing_is_named(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    app.get("/", endpoint="view")(raising(Ours()))

    @app.errorhandler(Ours)
    async def forgetful(error: Ours) -> None: ...

    assert (await body_of(app))[0] == 500
    [error] = logged(caplog)
    assert "forgetful()" in str(error)


async def test_a_failing_handler_of_500_is_a_plain_500(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    first, second = Ours(SECRET), KeyError("second")
    app.get("/", endpoint="view")(raising(first))

    @app.errorhandler(500)
    async def handler(error: Exception) -> Any:
        raise second

    status, body = await body_of(app)
    assert (status, SECRET in body) == (500, False)
    assert logged(caplog) == [first, second]


async def test_after_hooks_see_error_responses(app: Triows) -> None:
    @app.after_request
    async def after(response: Response) -> Response:
        response.headers["X-Status"] = str(response.status_code)
        return response

    assert (await app.test_client().get("/")).headers["x-status"] == "404"


async def test_an_after_hook_that_fails_for_an_error_leaves_its_response(
    app: Triows, caplog: pytest.LogCaptureFixture
) -> None:
    app.errorhandler(404)(lambda error: ("not here", 404))

    @app.after_request
    async def after(response: Response) -> Response:
        raise Ours

    assert await body_of(app) == (404, "not here")
    assert [type(error) for error in logged(caplog)] == [Ours]


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
async def test_what_ends_iterations_is_an_error_like_others_in_a_view(app: Triows, error: type[Exception]) -> None:
    @app.get("/")
    def view() -> str:
        raise error

    assert (await body_of(app))[0] == 500


# HTTP errors that are trapped


@pytest.mark.parametrize(
    ("settings", "trapped"),
    [
        ({}, set()),
        ({"TRAP_HTTP_EXCEPTIONS": True}, {"abort", "bad", "key"}),
        ({"TRAP_BAD_REQUEST_ERRORS": True}, {"bad", "key"}),
        ({"DEBUG": True}, {"key"}),
        ({"DEBUG": True, "TRAP_BAD_REQUEST_ERRORS": False}, set()),
    ],
)
async def test_http_errors_are_faults_where_they_are_trapped(
    app: Triows, settings: dict[str, bool], trapped: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    app.config.update(settings)

    @app.get("/<what>")
    async def view(what: str) -> None:
        if what == "key":
            request.args["missing"]
        abort(400 if what == "bad" else 409)

    client = app.test_client()
    plain = {"abort": 409, "bad": 400, "key": 400}
    statuses = {what: (await client.get(f"/{what}")).status_code for what in plain}
    assert statuses == {**plain, **dict.fromkeys(trapped, 500)}
    assert len(logged(caplog)) == len(trapped)
    app.config["PROPAGATE_EXCEPTIONS"] = None
    for what in trapped:
        with pytest.raises(HTTPException):
            await client.get(f"/{what}")


async def test_a_trapped_error_still_has_its_handler(app: Triows) -> None:
    app.config["TRAP_HTTP_EXCEPTIONS"] = True
    app.errorhandler(404)(lambda error: ("ours", 404))
    assert (await app.test_client().get("/nowhere")).status_code == 404


async def test_a_redirect_of_the_router_is_not_trapped(app: Triows) -> None:
    app.config["TRAP_HTTP_EXCEPTIONS"] = True
    app.get("/folder/", endpoint="folder")(lambda: "")
    assert (await app.test_client().get("/folder")).status_code == 308


async def test_a_rejection_may_be_trapped(app: Triows) -> None:
    app.config["TRAP_HTTP_EXCEPTIONS"] = True

    @app.websocket("/")
    async def ws() -> None:
        abort(409)

    assert (await rejection(app)).status_code == 500


@pytest.mark.parametrize("overridden", [False, True])
async def test_a_missing_key_is_named_in_debug_mode_alone(app: Triows, overridden: bool) -> None:
    if overridden:
        app.dispatch_request = partial(app.dispatch_request)  # type: ignore[method-assign]
    app.get("/", endpoint="view")(lambda: request.args["wanted"])
    app.config["TRAP_BAD_REQUEST_ERRORS"] = False
    assert b"wanted" not in await (await app.test_client().get("/")).get_data()
    app.debug = True
    response = await app.test_client().get("/")
    assert response.status_code == 400
    assert b"wanted" in await response.get_data()


async def test_a_handler_that_ends_the_program_is_named(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/x")
    async def quits() -> None:
        async with trio.open_nursery():
            sys.exit(3)

    with pytest.raises(BaseException) as raised:
        await app.test_client().get("/x")
    assert isinstance(unwrap_group(raised.value), SystemExit)
    (line,) = lines(error_log(caplog))
    assert re.fullmatch(
        rf"GET '/x': SystemExit\(3\) in test_a_handler.*\.quits\(\) \({re.escape(__file__)}:\d+\) ends the program",
        line,
    )
