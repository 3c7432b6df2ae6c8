"""Quart-Schema: validation of what comes and goes, OpenAPI, its pages, and tests with models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

import pytest
from msgspec import Struct
from pydantic import BaseModel
from quart import Blueprint, Quart, websocket
from quart.datastructures import FileStorage
from quart.views import MethodView
from quart_schema import (
    DataSource,
    Info,
    QuartSchema,
    RequestSchemaValidationError,
    ResponseSchemaValidationError,
    SchemaValidationError,
    deprecate,
    hide,
    operation_id,
    security_scheme,
    tag,
    tag_blueprint,
    validate_headers,
    validate_querystring,
    validate_request,
    validate_response,
)
from quart_schema.pydantic import File

pytestmark = pytest.mark.extensions


@dataclass
class Todo:
    task: str
    due: datetime | None


DUE = "2020-12-08T11:19:35.818445"


@pytest.fixture
def app() -> Quart:
    """The app of the quickstart."""
    app = Quart(__name__)
    QuartSchema(app, info=Info(title="My Great API", version="0.1.0"))

    @app.post("/")
    @validate_request(Todo)
    @validate_response(Todo, 201)
    async def create_todo(data: Todo) -> tuple[Todo, int]:
        """Create a Todo"""
        return data, 201

    @app.websocket("/ws")
    async def ws() -> None:
        while True:
            data = await websocket.receive_as(Todo)
            await websocket.send_as(data, Todo)

    return app


async def test_a_request_that_fits_is_given_to_the_view(app: Quart) -> None:
    response = await app.test_client().post("/", json={"task": "Build an example", "due": DUE})
    assert response.status_code == 201
    assert await response.get_json() == {"task": "Build an example", "due": DUE}


async def test_a_request_that_does_not_fit_is_400_or_what_an_error_handler_says(app: Quart) -> None:
    assert (await app.test_client().post("/", json={"due": DUE})).status_code == 400

    @app.errorhandler(RequestSchemaValidationError)
    async def handle_request_validation_error(error: RequestSchemaValidationError) -> Any:
        return {"errors": str(error.validation_error)}, 400

    response = await app.test_client().post("/", json={"due": DUE})
    assert "task" in (await response.get_json())["errors"]


@pytest.mark.parametrize("method", ["json", "form"])
@pytest.mark.parametrize("base", [BaseModel, Struct, object])
async def test_models_are_sent_by_the_test_client(method: str, base: type) -> None:
    app = Quart(__name__)
    QuartSchema(app)

    class Details(base):
        name: str
        age: int | None = None

    if base is object:
        Details = dataclass(Details)

    @app.route("/", methods=["POST"])
    @validate_request(Details, source=DataSource[method.upper()])
    async def index(data: Details) -> Details:
        return data

    options: dict[str, Any] = {method: Details(name="bob", age=2)}
    response = await app.test_client().post("/", **options)
    assert await response.get_json() == {"name": "bob", "age": 2}


async def test_a_query_is_validated_and_sent_as_a_model() -> None:
    app = Quart(__name__)
    QuartSchema(app)

    @dataclass
    class Query:
        count_le: int | None = None
        count_gt: int | None = None

    @app.route("/")
    @validate_querystring(Query)
    async def index(query_args: Query) -> dict[str, Any]:
        return {"le": query_args.count_le, "gt": query_args.count_gt}

    client = app.test_client()
    assert await (await client.get("/?count_le=2")).get_json() == {"le": 2, "gt": None}
    assert await (await client.get("/", query_string=Query(count_gt=3))).get_json() == {"le": None, "gt": 3}
    assert (await client.get("/?count_le=a")).status_code == 400


async def test_headers_are_validated_of_requests_and_responses() -> None:
    app = Quart(__name__)
    QuartSchema(app)
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @dataclass
    class Headers:
        x_required: str
        x_optional: int | None = None

    @app.route("/")
    @validate_headers(Headers)
    @validate_response(dict, 200, Headers)
    async def index(headers: Headers) -> Any:
        sent = {"X-Required": headers.x_required} if headers.x_optional is None else {}
        return {"optional": headers.x_optional}, 200, sent

    client = app.test_client()
    response = await client.get("/", headers={"X-Required": "a"})
    assert (response.status_code, response.headers["X-Required"]) == (200, "a")
    assert (await client.get("/")).status_code == 400
    assert (await client.get("/", headers={"X-Required": "a", "X-Optional": "2"})).status_code == 500


async def test_a_response_that_does_not_fit_is_an_error() -> None:
    app = Quart(__name__)
    QuartSchema(app)

    @app.route("/")
    @validate_response(Todo)
    async def index() -> Any:
        return {"task": 1}

    @app.errorhandler(ResponseSchemaValidationError)
    async def handle_response_validation_error(error: ResponseSchemaValidationError) -> Any:
        return {"error": "VALIDATION"}, 500

    response = await app.test_client().get("/")
    assert (response.status_code, await response.get_json()) == (500, {"error": "VALIDATION"})


async def test_a_file_is_validated() -> None:
    app = Quart(__name__)
    QuartSchema(app)

    class Upload(BaseModel):
        file: File

    @app.route("/", methods=["POST"])
    @validate_request(Upload, source=DataSource.FORM_MULTIPART)
    async def index(data: Upload) -> Any:
        return data.file.read()

    client = app.test_client()
    response = await client.post("/", files={"file": FileStorage(BytesIO(b"content"), "a.txt")})
    assert await response.get_data() == b"content"
    assert (await client.post("/", files={"other": FileStorage(BytesIO(b""), "a.txt")})).status_code == 400


async def test_casing_is_converted() -> None:
    app = Quart(__name__)
    QuartSchema(app, convert_casing=True)

    @dataclass
    class Names:
        snake_case: str

    @app.route("/", methods=["POST"])
    @validate_request(Names)
    @validate_response(Names)
    async def index(data: Names) -> Names:
        return data

    client = app.test_client()
    assert await (await client.post("/", json=Names("a"))).get_json() == {"snakeCase": "a"}
    assert await (await client.post("/", json={"snakeCase": "b"})).get_json() == {"snakeCase": "b"}


async def test_messages_of_websockets_are_validated(app: Quart) -> None:
    async with app.test_client().websocket("/ws") as ws:
        await ws.send_json({"task": "Build an example", "due": DUE})
        assert await ws.receive_json() == {"task": "Build an example", "due": DUE}

    @app.websocket("/once")
    async def once() -> None:
        try:
            await websocket.receive_as(Todo)
        except SchemaValidationError:
            await websocket.send("no todo")

    async with app.test_client().websocket("/once") as ws:
        await ws.send_json({"due": DUE})
        assert await ws.receive() == "no todo"

    with pytest.raises(SchemaValidationError):
        async with app.test_client().websocket("/ws") as ws:
            await ws.send_json({"due": DUE})
            await ws.receive()


async def test_openapi_describes_the_routes(app: Quart) -> None:
    blueprint = Blueprint("blueprint", __name__, url_prefix="/v0")
    tag_blueprint(blueprint, ["v0"])

    @blueprint.get("/resource/")
    @deprecate
    @operation_id("make_resource")
    @security_scheme([])
    async def resource() -> str:
        return ""

    @app.get("/hidden")
    @hide
    async def hidden() -> str:
        return ""

    @app.get("/tagged/<int:id>")
    @tag(["tagged"])
    async def tagged(id: int) -> str:
        return ""

    class Method(MethodView):
        @validate_querystring(Todo)
        async def get(self, query_args: Todo) -> str:
            return ""

    app.register_blueprint(blueprint)
    app.add_url_rule("/method", view_func=Method.as_view("method"))
    schema = await (await app.test_client().get("/openapi.json")).get_json()
    assert schema["info"]["title"] == "My Great API"
    assert sorted(schema["paths"]) == ["/", "/method", "/tagged/{id}", "/v0/resource/"]
    todo = schema["paths"]["/"]["post"]
    assert (todo["summary"], sorted(todo["responses"])) == ("Create a Todo", ["201"])
    assert todo["requestBody"]["content"]["application/json"]["schema"]["properties"].keys() == {"task", "due"}
    described = schema["paths"]["/v0/resource/"]["get"]
    assert (described["tags"], described["deprecated"], described["operationId"]) == (["v0"], True, "get_make_resource")
    assert [item["name"] for item in schema["paths"]["/tagged/{id}"]["get"]["parameters"]] == ["id"]


@pytest.mark.parametrize(
    ("path", "part"), [("/docs", "swagger-ui"), ("/redocs", "<redoc"), ("/scalar", "api-reference")]
)
async def test_each_page_of_the_documentation_points_to_the_schema(app: Quart, path: str, part: str) -> None:
    page = await (await app.test_client().get(path)).get_data(as_text=True)
    assert part in page
    assert "/openapi.json" in page
    assert "My Great API" in page


def test_the_schema_is_written_by_a_command(app: Quart) -> None:
    result = app.test_cli_runner().invoke(args=["schema"])
    assert json.loads(result.output)["info"]["title"] == "My Great API"
