"""An app that was written for Quart overrides its methods with Quart's signatures."""

from __future__ import annotations

from typing import Any, assert_type

from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from triows.quart import Blueprint, Quart, Request, Response, ResponseReturnValue, Websocket
from triows.quart.blueprints import BlueprintSetupState
from triows.quart.config import ConfigAttribute
from triows.quart.ctx import RequestContext, WebsocketContext
from triows.quart.json.tag import JSONTag
from triows.quart.sessions import SecureCookieSession, SessionInterface, SessionMixin


class App(Quart):
    greeting = ConfigAttribute[str]("GREETING")

    def create_url_adapter(self, request: Request | Websocket | Any | None) -> MapAdapter | None:
        return super().create_url_adapter(request)

    async def full_dispatch_request(self, request_context: RequestContext | None = None) -> Response:
        return await super().full_dispatch_request(request_context)

    async def full_dispatch_websocket(self, websocket_context: WebsocketContext | None = None) -> Response | None:
        return await super().full_dispatch_websocket(websocket_context)

    async def preprocess_request(self, request_context: RequestContext | None = None) -> ResponseReturnValue | None:
        answer: ResponseReturnValue | None = await super().preprocess_request(request_context)
        return answer

    async def preprocess_websocket(
        self, websocket_context: WebsocketContext | None = None
    ) -> ResponseReturnValue | None:
        answer: ResponseReturnValue | None = await super().preprocess_websocket(websocket_context)
        return answer

    async def dispatch_request(self, request_context: RequestContext | None = None) -> ResponseReturnValue:
        answer: ResponseReturnValue = await super().dispatch_request(request_context)
        return answer

    async def dispatch_websocket(self, websocket_context: WebsocketContext | None = None) -> ResponseReturnValue | None:
        answer: ResponseReturnValue | None = await super().dispatch_websocket(websocket_context)
        return answer

    async def finalize_request(
        self,
        result: ResponseReturnValue | HTTPException,
        request_context: RequestContext | None = None,
        from_error_handler: bool = False,
    ) -> Response:
        return await super().finalize_request(result, request_context, from_error_handler)

    async def finalize_websocket(
        self,
        result: ResponseReturnValue | HTTPException,
        websocket_context: WebsocketContext | None = None,
        from_error_handler: bool = False,
    ) -> Response | None:
        return await super().finalize_websocket(result, websocket_context, from_error_handler)

    async def process_response(self, response: Response, request_context: RequestContext | None = None) -> Response:
        return await super().process_response(response, request_context)

    async def postprocess_websocket(
        self, response: Response | None, websocket_context: WebsocketContext | None = None
    ) -> Response | None:
        return await super().postprocess_websocket(response, websocket_context)

    async def do_teardown_request(
        self, exc: BaseException | None, request_context: RequestContext | None = None
    ) -> None:
        await super().do_teardown_request(exc, request_context)

    async def do_teardown_websocket(
        self, exc: BaseException | None, websocket_context: WebsocketContext | None = None
    ) -> None:
        await super().do_teardown_websocket(exc, websocket_context)

    async def do_teardown_appcontext(self, exc: BaseException | None) -> None:
        await super().do_teardown_appcontext(exc)

    async def make_response(self, result: ResponseReturnValue | HTTPException) -> Response:
        return await super().make_response(result)

    async def make_default_options_response(self) -> Response:
        return await super().make_default_options_response()

    async def handle_user_exception(self, error: Exception) -> HTTPException | ResponseReturnValue:
        answer: ResponseReturnValue = await super().handle_user_exception(error)
        return answer

    async def handle_http_exception(self, error: HTTPException) -> HTTPException | ResponseReturnValue:
        answer: ResponseReturnValue = await super().handle_http_exception(error)
        return answer

    async def handle_exception(self, error: Exception) -> Response:
        return await super().handle_exception(error)

    async def handle_websocket_exception(self, error: Exception) -> Response | None:
        return await super().handle_websocket_exception(error)

    def trap_http_exception(self, e: Exception) -> bool:
        return super().trap_http_exception(e)

    async def send_static_file(self, filename: str) -> Response:
        return await super().send_static_file(filename)

    def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None:
        super().inject_url_defaults(endpoint, values)


app = App(__name__)
assert_type(app.greeting, str)
app.before_request(f=lambda: None)
app.before_serving(func=lambda: None)
app.register_error_handler(code_or_exception=404, f=lambda error: "")


class Store(SessionInterface):
    async def open_session(self, app: Quart, request: Any) -> SessionMixin | None:
        return None

    async def save_session(self, app: Quart, session: SessionMixin, response: Response | None) -> None: ...

    async def make_null_session(self, app: Quart) -> SessionMixin:
        return await super().make_null_session(app)

    def is_null_session(self, instance: object) -> bool:
        return super().is_null_session(instance)


class ServerSession(dict[str, Any], SessionMixin):
    pass


def sessions(one: ServerSession, other: SecureCookieSession) -> list[SessionMixin]:
    assert_type(one.permanent, bool)
    return [one, other]


class TagSet(JSONTag):
    key = " s"

    def check(self, value: Any) -> bool:
        return isinstance(value, set)

    def to_json(self, value: Any) -> Any:
        return [self.serializer.tag(item) for item in value]

    def to_python(self, value: Any) -> Any:
        return set(value)


def setup(state: BlueprintSetupState) -> None:
    assert_type(state.app, Quart)
    assert_type(state.first_registration, bool)
    assert_type(state.blueprint, Blueprint)
    assert_type(state.url_prefix, str | None)
    state.add_url_rule("/path", view_func=lambda: "")


part = Blueprint("part", __name__)
part.record(setup)
part.record_once(func=setup)
