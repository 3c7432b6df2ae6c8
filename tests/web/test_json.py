"""JSON: jsonify(), and an app's own provider.

Tests triows/web/json_codec.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from triows import JSONProvider, Request, Response, Triows, WebSocket, jsonify, request, websocket


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), '"Tue, 02 Jan 2024 03:04:05 GMT"'),
        (date(2024, 1, 2), '"Tue, 02 Jan 2024 00:00:00 GMT"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Decimal("1.50"), '"1.50"'),
        (Point(3), '{"x": 3}'),
        ({"b": 1, "a": "é"}, '{"a": "\\u00e9", "b": 1}'),
    ],
)
def test_more_types_than_json_knows(value: Any, text: str) -> None:
    assert JSONProvider().dumps(value) == text


@pytest.mark.parametrize("kind", [Request, Response, WebSocket])
def test_without_an_app_json_is_written_as_an_app_writes_it(kind: type[Request | Response | WebSocket]) -> None:
    value = {"when": date(2024, 1, 2), "price": Decimal("1.50")}
    assert kind.json_provider.dumps(value) == Triows(__name__).json.dumps(value)


def test_a_type_without_a_json_form_is_named() -> None:
    with pytest.raises(TypeError, match="object"):
        JSONProvider().dumps(object())


async def test_responses_are_compact() -> None:
    response = JSONProvider().response(value="json")
    assert await response.get_data() == b'{"value":"json"}\n'
    assert response.mimetype == "application/json"


async def test_jsonify_takes_one_value_several_or_an_object() -> None:
    app = Triows(__name__)
    async with app.app_context():
        assert await jsonify(1).get_json() == 1
        assert await jsonify(1, 2).get_json() == [1, 2]
        assert await jsonify(a=1).get_json() == {"a": 1}
        assert await jsonify().get_json() is None
        with pytest.raises(TypeError, match="not both"):
            jsonify(1, a=1)


async def test_the_provider_can_be_replaced() -> None:
    class Shouting(JSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return super().dumps(obj, **kwargs).upper()

    app = Triows(__name__)
    app.json = Shouting()
    assert await (await app.make_response({"a": "b"})).get_data() == b'{"A":"B"}\n'


class Shouting(JSONProvider):
    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return super().dumps(obj, **kwargs).upper()


async def test_a_provider_is_made_with_its_app() -> None:
    class MyResponse(Response):
        pass

    app = Triows(__name__)
    app.json = Shouting(app)
    app.response_class = MyResponse
    response = await app.make_response({"a": "b"})
    assert isinstance(response, MyResponse)
    assert await response.get_data() == b'{"A":"B"}\n'
    assert JSONProvider(MyResponse).response_class is MyResponse


async def test_a_provider_without_an_app_takes_that_of_the_request() -> None:
    class MyResponse(Response):
        pass

    app = Triows(__name__)
    app.json = JSONProvider()
    app.response_class = MyResponse
    async with app.app_context():
        assert isinstance(jsonify(1), MyResponse)


async def test_a_subclass_may_say_which_provider_it_wants() -> None:
    class App(Triows):
        json_provider_class = Shouting

    assert await (await App(__name__).make_response({"a": "b"})).get_data() == b'{"A":"B"}\n'


async def test_a_provider_that_is_set_late_is_used_by_the_next_request() -> None:
    app = Triows(__name__)
    app.get("/", endpoint="view")(lambda: {"a": "b"})
    client = app.test_client()
    assert await (await client.get("/")).get_data() == b'{"a":"b"}\n'
    app.json = Shouting(app)
    assert await (await client.get("/")).get_data() == b'{"A":"B"}\n'


@pytest.mark.parametrize(
    ("compact", "debug", "text"),
    [
        (None, False, b'{"a":1}\n'),
        (None, True, b'{\n  "a": 1\n}\n'),
        (True, True, b'{"a":1}\n'),
        (False, False, b'{\n  "a": 1\n}\n'),
    ],
)
async def test_responses_are_indented_in_debug_mode_or_where_it_is_asked_for(
    compact: bool | None, debug: bool, text: bytes
) -> None:
    app = Triows(__name__)
    app.debug = debug
    app.json.compact = compact
    assert await (await app.make_response({"a": 1})).get_data() == text


# Providers as Quart's and Flask's users write them


class Sorting(JSONProvider):
    compact = False
    sort_keys = False
    ensure_ascii = False
    mimetype = "application/vnd.api+json"

    def default(self, value: Any) -> Any:  # type: ignore[override]
        return sorted(value) if isinstance(value, set) else JSONProvider.default(value)


def sorting_of_flask() -> Any:
    provider = pytest.importorskip("flask.json.provider").DefaultJSONProvider

    class SortingOfFlask(provider):  # type: ignore[misc]
        compact = False
        sort_keys = False
        ensure_ascii = False
        mimetype = "application/vnd.api+json"

        def default(self, value: Any) -> Any:
            return sorted(value) if isinstance(value, set) else super().default(value)

    return SortingOfFlask


class InBytes(JSONProvider):
    """The dumps() of a C library, which returns bytes."""

    def dumps(self, obj: Any, **kwargs: Any) -> Any:
        return json.dumps(obj, default=sorted, indent=kwargs.get("indent")).encode()


@pytest.mark.parametrize("by_class", [True, False])
@pytest.mark.parametrize("make", [lambda: Sorting, sorting_of_flask])
async def test_a_provider_may_change_types_order_characters_layout_and_mimetype(make: Any, by_class: bool) -> None:
    provider = make()
    if by_class:
        app: Triows = type("App", (Triows,), {"json_provider_class": provider})(__name__)
    else:
        app = Triows(__name__)
        app.json = provider(app)

    @app.post("/")
    async def view() -> dict[str, Any]:
        return {"b": {2, 1}, "a": "\xe9", "when": date(2024, 1, 2), "sent": await request.get_json()}

    @app.websocket("/")
    async def ws() -> None:
        await websocket.send_json({"b": {1}, "got": await websocket.receive_json()})

    value = {"b": [1, 2], "a": "\xe9", "when": "Tue, 02 Jan 2024 00:00:00 GMT", "sent": {"x": [3]}}
    response = await app.test_client().post("/", json={"x": {3}})
    assert response.mimetype == "application/vnd.api+json"
    assert await response.get_data(as_text=True) == json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    assert await response.get_json() == value
    async with app.test_client().websocket("/") as client:
        await client.send_json({"q": "\xe9"})
        assert await client.receive() == '{"b": [1], "got": {"q": "\xe9"}}'
    async with app.app_context():
        assert await jsonify([{2}]).get_json() == [[2]]


async def test_a_provider_whose_text_is_bytes_makes_responses() -> None:
    app = Triows(__name__)
    app.json = InBytes(app)
    assert await (await app.make_response({"a": {1}})).get_data() == b'{"a": [1]}\n'


async def test_the_json_of_a_response_is_read_by_the_apps_provider() -> None:
    class Wrapping(JSONProvider):
        def loads(self, text: str | bytes, **kwargs: Any) -> Any:
            return {"loaded": super().loads(text, **kwargs)}

    app, seen = Triows(__name__), list[Any]()
    app.json = Wrapping(app)

    @app.after_request
    async def look(response: Response) -> Response:
        seen.append(await response.get_json())
        return response

    app.get("/", endpoint="view")(lambda: [1])
    response = await app.test_client().get("/")
    assert [await response.get_json(), *seen] == [{"loaded": [1]}] * 2
