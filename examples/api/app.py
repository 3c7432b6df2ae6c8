"""API: JSON in and JSON out, checked by hand, and every error as JSON.

Run it::

    triows run examples/api/app.py:app

and try it in a terminal::

    curl http://127.0.0.1:8000/echo --json '{"a": "b"}'
    curl http://127.0.0.1:8000/todos/ --json '{"task": "Sleep", "due": "2030-01-31"}'
    curl http://127.0.0.1:8000/todos/
    curl http://127.0.0.1:8000/todos/ --json '{"due": "tomorrow"}'

An app with many such types lets an extension check them, quart-schema for instance: see docs/from_quart.rst.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from datetime import date
from itertools import count
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException, NotFound

from triows import Triows, request, url_for

# Anybody may add todos, and they are kept in memory alone: beyond this number, the oldest one goes.
MAX_TODOS = 100

app = Triows(__name__, max_body_size=65536)

numbers = count(1)
todos: deque[Todo] = deque(maxlen=MAX_TODOS)


@dataclass
class TodoIn:
    task: str
    due: str | None  # YYYY-MM-DD

    @classmethod
    def check(cls, data: Any) -> TodoIn:
        """The todo that the client sent; what is none is answered with 400."""
        match data:
            case {"task": str(task), **rest} if task and not rest.keys() - {"due"}:
                return cls(task, check_date(rest.get("due")))
        raise BadRequest("a todo is an object with a task, which is a string, and perhaps a date due")


@dataclass
class Todo(TodoIn):
    id: int


def check_date(value: Any) -> str | None:
    try:
        return None if value is None else date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise BadRequest(f"due is a date like 2030-01-31 or null, and not {value!r:.40}") from None


@app.post("/echo")
async def echo() -> dict[str, Any]:
    return {"input": await request.get_json(), "extra": True}


@app.get("/todos/")
async def list_todos() -> list[Todo]:
    return list(todos)


@app.post("/todos/")
async def create_todo() -> Any:
    todo = Todo(**asdict(TodoIn.check(await request.get_json())), id=next(numbers))
    todos.append(todo)
    return asdict(todo), 201, {"Location": url_for("show_todo", number=todo.id)}


@app.get("/todos/<int:number>")
async def show_todo(number: int) -> dict[str, Any]:
    for todo in todos:
        if todo.id == number:
            return asdict(todo)
    raise NotFound(f"there is no todo {number}")


@app.errorhandler(HTTPException)
async def as_json(error: HTTPException) -> Any:
    return {"error": error.description}, error.code


if __name__ == "__main__":
    app.run()
