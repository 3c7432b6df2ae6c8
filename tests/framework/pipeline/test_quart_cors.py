"""Where Quart-CORS checks a websocket's origin, the same-origin check does not: here by functions like its own.

tests/extensions/test_cors.py asks the real ones.
"""

from __future__ import annotations

from functools import partial, wraps
from types import FunctionType, ModuleType
from typing import Any

import pytest

from triows import Blueprint, Triows, websocket
from triows.testing import WebsocketResponseError

PAGE = {"Origin": "https://other.example"}
SOURCE = """
from functools import wraps
from triows import abort, websocket

def websocket_cors(*, allow_origin):
    def decorator(func):
        @wraps(func)
        async def wrapper(*args, **kwargs):
            if websocket.origin != allow_origin:
                abort(400)
            return await func(*args, **kwargs)
        return wrapper
    return decorator

async def _before_websocket(*, allow_origin):
    if websocket.origin != allow_origin:
        abort(400)

async def another():
    pass
"""


@pytest.fixture
def module() -> Any:
    module = ModuleType("quart_cors")
    exec(SOURCE, vars(module))
    return module


async def hello() -> None:
    await websocket.send("hello")


async def answer(app: Triows, origin: str = PAGE["Origin"]) -> str | bytes | int:
    try:
        async with app.test_client().websocket("/", headers={"Origin": origin}) as ws:
            return await ws.receive()
    except WebsocketResponseError as error:
        return error.response.status_code


async def test_a_route_may_leave_the_origin_to_quart_cors(app: Triows, module: Any) -> None:
    checked = module.websocket_cors(allow_origin=PAGE["Origin"])(hello)

    @app.websocket("/")
    @wraps(checked)
    async def outer() -> None:
        await checked()

    assert await answer(app) == "hello"
    assert await answer(app, "https://third.example") == 400
    assert await answer(app, "http://localhost") == 400  # nor does the same origin pass by


async def test_an_app_may_leave_the_origin_to_quart_cors(app: Triows, module: Any) -> None:
    app.before_websocket(partial(module._before_websocket, allow_origin=PAGE["Origin"]))
    app.websocket("/")(hello)
    assert await answer(app) == "hello"
    assert await answer(app, "https://third.example") == 400


async def test_a_blueprint_leaves_the_origin_to_quart_cors_for_its_own_routes_alone(app: Triows, module: Any) -> None:
    blueprint = Blueprint("blueprint", __name__)
    blueprint.before_websocket(partial(module._before_websocket, allow_origin=PAGE["Origin"]))
    app.register_blueprint(blueprint)
    app.websocket("/")(hello)
    assert await answer(app) == 403


async def test_an_exempt_route_keeps_the_same_origin_check(app: Triows, module: Any) -> None:
    async def exempt() -> None:
        await hello()

    exempt._quart_cors_exempt = True
    app.before_websocket(partial(module._before_websocket, allow_origin=PAGE["Origin"]))
    app.websocket("/")(exempt)
    assert await answer(app) == 403


async def test_given_origins_hold_as_well(app: Triows, module: Any) -> None:
    app.websocket("/", origins="https://third.example")(module.websocket_cors(allow_origin=PAGE["Origin"])(hello))
    assert await answer(app) == 403
    assert await answer(app, "https://third.example") == 400


@pytest.mark.parametrize("name", ["another", "_before_websocket"])
async def test_other_functions_are_not_trusted(app: Triows, module: Any, name: str) -> None:
    function: FunctionType = getattr(module, name)
    if name == "_before_websocket":  # of another module
        function = FunctionType(function.__code__, {**vars(module), "__name__": "quart_cors_2"}, name)
        function.__kwdefaults__ = {"allow_origin": PAGE["Origin"]}
    app.before_websocket(function)
    app.websocket("/")(hello)
    assert await answer(app) == 403


@pytest.mark.parametrize("name", ["full_dispatch_websocket", "preprocess_websocket", "dispatch_websocket"])
async def test_an_app_whose_own_method_may_leave_the_check_out_keeps_the_same_origin_check(
    name: str, module: Any
) -> None:
    async def override(self: Triows, *args: Any) -> Any:
        await websocket.send("nobody has checked")

    app = type("App", (Triows,), {name: override})(__name__)
    app.add_websocket("/", view_func=hello)
    app.before_websocket(partial(module._before_websocket, allow_origin="https://third.example"))
    assert await answer(app) == 403
