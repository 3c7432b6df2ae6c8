"""Views that are classes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

import pytest

from triows import MethodView, Triows, View, request


async def answer(app: Triows, method: str, path: str = "/") -> tuple[int, str]:
    response = await app.test_client().open(path, method=method)
    return response.status_code, await response.get_data(as_text=True)


async def test_a_class_is_a_view_with_its_methods_and_arguments() -> None:
    class Greeting(View):
        """Greets."""

        methods: ClassVar[list[str]] = ["GET", "POST"]

        def __init__(self, word: str, *, end: str) -> None:
            self.word, self.end = word, end

        async def dispatch_request(self, name: str) -> str:
            return f"{request.method} {self.word}, {name}{self.end}"

    app = Triows(__name__)
    view = Greeting.as_view("greet", "Hello", end="!")
    app.add_url_rule("/<name>", view_func=view)
    assert await answer(app, "POST", "/Ann") == (200, "POST Hello, Ann!")
    assert (await answer(app, "PUT", "/Ann"))[0] == 405
    assert (view.__name__, view.__doc__, view.__module__) == ("greet", "Greets.", __name__)
    assert vars(view)["view_class"] is Greeting


@pytest.mark.parametrize(("every", "counts"), [(True, ["1", "1"]), (False, ["1", "2"])])
async def test_requests_have_an_instance_each_or_share_one(every: bool, counts: list[str]) -> None:
    class Count(View):
        init_every_request = every

        def __init__(self) -> None:
            self.count = 0

        async def dispatch_request(self) -> str:
            self.count += 1
            return str(self.count)

    app = Triows(__name__)
    app.add_url_rule("/", view_func=Count.as_view("count"))
    assert [(await answer(app, "GET"))[1] for _ in range(2)] == counts


async def test_decorators_are_around_the_view_the_first_innermost() -> None:
    def says(word: str) -> Callable[[Any], Any]:
        def decorate(function: Any) -> Any:
            @wraps(function)
            async def wrapper(**kwargs: Any) -> str:
                return f"{word}({await function(**kwargs)})"

            return wrapper

        return decorate

    class Shown(View):
        decorators: ClassVar[list[Callable[..., Any]]] = [says("inner"), says("outer")]

        async def dispatch_request(self) -> str:
            return "view"

    app = Triows(__name__)
    app.add_url_rule("/", view_func=Shown.as_view("shown"))
    assert (await answer(app, "GET"))[1] == "outer(inner(view))"
    assert app.url_map._rules_by_endpoint["shown"]


async def test_a_synchronous_class_view_runs_in_a_thread() -> None:
    threads = []

    class Plain(View):
        def dispatch_request(self) -> str:
            threads.append(threading.current_thread())
            return "plain"

    app = Triows(__name__)
    app.add_url_rule("/", view_func=Plain.as_view("plain"))
    assert await answer(app, "GET") == (200, "plain")
    assert threads != [threading.current_thread()]


class Items(MethodView):
    async def get(self, item: int) -> str:
        return f"get {item}"

    def post(self, item: int) -> str:
        return f"post {item}"


class More(Items):
    async def delete(self, item: int) -> str:
        return f"delete {item}"


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("GET", (200, "get 3")),
        ("HEAD", (200, "")),
        ("POST", (200, "post 3")),
        ("DELETE", (200, "delete 3")),
        ("OPTIONS", (200, "")),
    ],
)
async def test_each_http_method_has_its_own(method: str, expected: tuple[int, str]) -> None:
    app = Triows(__name__)
    app.add_url_rule("/<int:item>", view_func=More.as_view("items"))
    assert await answer(app, method, "/3") == expected
    assert (await answer(app, "PUT", "/3"))[0] == 405
    assert (Items.methods, More.methods, MethodView.methods) == ({"GET", "POST"}, {"GET", "POST", "DELETE"}, None)


async def test_methods_without_a_function_name_the_class(caplog: pytest.LogCaptureFixture) -> None:
    app = Triows(__name__)
    app.add_url_rule("/<int:item>", view_func=Items.as_view("items"), methods=["PUT"])
    with pytest.raises(TypeError, match=r"Items has no method put\(\)"):
        await answer(app, "PUT", "/3")


@pytest.mark.parametrize(("setting", "status"), [(True, 200), (False, 405), (None, 200)])
async def test_a_class_may_leave_options_out(setting: bool | None, status: int) -> None:
    class Page(View):
        provide_automatic_options = setting

        async def dispatch_request(self) -> str:
            return "page"

    app = Triows(__name__)
    app.add_url_rule("/", view_func=Page.as_view("page"))
    assert (await answer(app, "OPTIONS"))[0] == status


async def test_a_class_without_dispatch_request_says_so() -> None:
    class Empty(View):
        pass

    app = Triows(__name__)
    app.add_url_rule("/", view_func=Empty.as_view("empty"))
    with pytest.raises(NotImplementedError, match=r"Empty has no dispatch_request\(\)"):
        await answer(app, "GET")


def test_a_view_needs_a_name() -> None:
    with pytest.raises(TypeError, match="takes the endpoint's name first, not 3"):
        Items.as_view(3)  # type: ignore[arg-type]
