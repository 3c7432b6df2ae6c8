"""Routes that take what a client sends into everything that goes out."""

from __future__ import annotations

import decimal
import hashlib
from contextvars import ContextVar
from typing import Any

from werkzeug.exceptions import RequestEntityTooLarge

from triows import Response, Triows, abort, make_response, redirect, request, websocket

user: ContextVar[str] = ContextVar("user", default="nobody")


def answer(status: int, kind: str, told: str | None) -> Response:
    """Four bytes, given whole or streamed, with the Content-Length that the app tells."""
    return Response("text" if kind == "whole" else iter(["te", "xt"]), status, {"Content-Length": told} if told else {})


def add_routes(app: Triows) -> None:
    @app.before_request
    async def recognise() -> None:
        if "X-User" in request.headers:
            user.set(request.headers["X-User"])

    def who_is_there() -> str:
        return f"{user.get()} {decimal.Decimal(1) / 3}"

    @app.get("/who")
    async def who() -> str:
        return who_is_there()

    @app.get("/login")
    async def login() -> str:
        """Leaves its traces in its context: two variables, of which one is the standard library's."""
        user.set("alice")
        decimal.setcontext(decimal.Context(prec=3))
        return "in"

    @app.websocket("/who")
    async def who_on_a_websocket() -> None:
        await websocket.send(who_is_there())

    @app.post("/only-small", max_body_size=10)
    async def only_small() -> str:
        return str(len(await request.get_data()))

    @app.post("/only-small-unread", max_body_size=10)
    async def only_small_unread() -> str:
        raise AssertionError("called for a body that is too large")

    @app.post("/signed")
    async def signed() -> dict[str, Any]:
        """Reads the body in the order that the query gives."""
        seen: list[Any] = []
        for what in request.args["order"].split():
            if what == "data":
                seen.append(hashlib.sha256(await request.get_data()).hexdigest())
            elif what == "body":
                seen.append(hashlib.sha256(b"".join([piece async for piece in request.body])).hexdigest())
            else:
                files = {name: file.seek(0) or len(file.read()) for name, file in (await request.files).items()}
                seen.append([(await request.form).to_dict(), files])
        return {"seen": seen}

    @app.post("/over-and-over", max_body_size=10)
    async def over_and_over() -> list[int]:
        """Asks again for a body that is too large."""
        statuses = []
        for _ in range(3):
            for read in (request.get_data, request.body.read, lambda: anext(request.body)):
                try:
                    await read()
                except RequestEntityTooLarge as error:
                    statuses.append(error.code)
        return statuses

    @app.get("/name/<name>")
    async def name(name: str) -> dict[str, str]:
        return {"name": name}

    @app.get("/")
    @app.get("/host")
    async def host() -> str:
        return f"{request.host} {request.path}"

    @app.get("/number/<int:number>")
    async def number(number: int) -> str:
        return str(number)

    @app.get("/folder/")
    async def folders() -> str:
        return "folders"

    @app.get("/folder/<name>/")
    async def folder(name: str) -> str:
        return "folder"

    @app.get("/fields")
    async def fields() -> str:
        return request.args["missing"]

    @app.post("/form")
    async def form() -> str:
        return str(len(await request.form))

    @app.post("/headers")
    async def headers() -> dict[str, Any]:
        size = len(await request.get_data())
        found = {name: request.headers.getlist(f"X-{name}") for name in ("a", "b")}
        return {**found, "authorization": request.headers.getlist("Authorization"), "size": size}

    @app.get("/split/<how>")
    async def split(how: str) -> Any:
        text = request.args["text"]
        match how:
            case "header":
                return "body", 200, {"X-Text": text}
            case "redirect":
                return redirect(text)
            case "cookie":
                response = await make_response("body")
                response.set_cookie("text", text)
                return response
            case "status":
                return "body", f"200 {text}"
            case "type":
                return Response("body", mimetype=text)
            case "name":
                return "body", 200, {text: "value"}
            case "file":
                response = await make_response("body")
                response.headers.set("Content-Disposition", "attachment", filename=text)
                return response
            case _:
                return abort(404, text)

    @app.get("/length/<int:status>/<kind>")
    async def length(status: int, kind: str) -> Response:
        return answer(status, kind, request.args.get("told"))

    @app.websocket("/length/<int:status>/<kind>")
    async def length_of_a_denial(status: int, kind: str) -> Response:
        return answer(status, kind, websocket.args.get("told"))

    @app.get("/replaced", endpoint="replaced")
    async def replaced() -> str:
        raise AssertionError("called although another function has taken its place")

    async def replacing() -> str:
        return "the new one"

    app.view_functions["replaced"] = replacing

    @app.websocket("/replaced-ws", endpoint="replaced-ws")
    async def replaced_ws() -> None:
        raise AssertionError("called although another function has taken its place")

    async def replacing_ws() -> None:
        await websocket.send("the new one")

    app.view_functions["replaced-ws"] = replacing_ws
