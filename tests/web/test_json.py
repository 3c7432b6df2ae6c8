"""JSON: jsonify(), and an app's own provider.

Tests triows/web/json_codec.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from triows import JSONProvider, Request, Response, Triows, WebSocket, jsonify


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
