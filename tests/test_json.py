from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from triows import JSONProvider, Triows, jsonify


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
