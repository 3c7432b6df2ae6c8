"""Views that are classes."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from functools import partialmethod, wraps
from typing import Any, ClassVar
from unittest import mock

import pytest

from triows import (
    Blueprint,
    CancelledSwallowedError,
    MethodView,
    Response,
    Triows,
    View,
    WebsocketResponseError,
    request,
    websocket,
)

from ...support.records import complaints


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


async def test_a_method_that_is_gone_at_the_request_names_the_class() -> None:
    class Waning(MethodView):
        async def get(self) -> str: ...

    app = Triows(__name__)
    app.add_url_rule("/", view_func=Waning.as_view("waning"))
    del Waning.get
    with pytest.raises(TypeError, match=r"Waning has no method get\(\)"):
        await answer(app, "GET")


@pytest.mark.parametrize(("setting", "status"), [(True, 200), (False, 405), (None, 200)])
async def test_a_class_may_leave_options_out(setting: bool | None, status: int) -> None:
    class Page(View):
        provide_automatic_options = setting

        async def dispatch_request(self) -> str:
            return "page"

    app = Triows(__name__)
    app.add_url_rule("/", view_func=Page.as_view("page"))
    assert (await answer(app, "OPTIONS"))[0] == status


async def test_a_dispatch_request_that_is_gone_at_the_request_says_so() -> None:
    class Waning(View):
        async def dispatch_request(self) -> str: ...

    app = Triows(__name__)
    app.add_url_rule("/", view_func=Waning.as_view("waning"))
    del Waning.dispatch_request
    with pytest.raises(NotImplementedError, match=r"Waning has no dispatch_request\(\)"):
        await answer(app, "GET")


def test_a_view_needs_a_name() -> None:
    with pytest.raises(TypeError, match="takes the endpoint's name first, not 3"):
        Items.as_view(3)  # type: ignore[arg-type]


# Mistakes that are found at registration


class Page(View):
    async def dispatch_request(self, number: int) -> str:
        return f"page {number}"


class Empty(View):
    pass


class Own(MethodView):
    async def dispatch_request(self, **kwargs: Any) -> Any:
        return await super().dispatch_request(**kwargs)

    async def get(self) -> str:
        return "own"


class Static(MethodView):
    @staticmethod
    async def get() -> str:
        return "static"

    @classmethod
    async def post(cls, item: int) -> str:
        return f"{cls.__name__} {item}"


class WithoutSelf(MethodView):
    async def get(x) -> str:  # type: ignore[misc]
        return ""


def by_blueprint(rule: str, function: Any, **options: Any) -> Triows:
    app, part = Triows(__name__), Blueprint("part", __name__)
    part.add_url_rule(rule, view_func=function, **options)
    app.register_blueprint(part)
    return app


def by_app(rule: str, function: Any, **options: Any) -> Triows:
    app = Triows(__name__)
    app.add_url_rule(rule, view_func=function, **options)
    return app


def by_route(rule: str, function: Any, **options: Any) -> Triows:
    app = Triows(__name__)
    app.route(rule, **options)(function)
    return app


def by_endpoint(rule: str, function: Any, **options: Any) -> Triows:
    app = Triows(__name__)
    app.add_url_rule(rule, "named", **{"methods": getattr(function, "methods", None), **options})
    app.endpoint("named")(function)
    return app


registers = pytest.mark.parametrize("register", [by_app, by_route, by_blueprint, by_endpoint])


@registers
@pytest.mark.parametrize(
    ("class_", "rule", "options", "words"),
    [
        (
            Page,
            "/",
            {},
            r"Page\.dispatch_request\(\) \(.*test_class_views\.py:\d+\) takes 'number', which the rule '/'",
        ),
        (Page, "/<int:id>", {}, r"dispatch_request\(\) .* takes 'number', and the rule '/<int:id>' gives 'id'"),
        (
            Items,
            "/",
            {},
            r"Items\.get\(\) \(.*test_class_views\.py:\d+\) takes 'item', which the rule '/' does not give",
        ),
        (Items, "/", {"methods": ["POST"]}, r"Items\.post\(\) .* takes 'item', which the rule '/' does not give"),
        (More, "/", {"methods": ["DELETE"]}, r"More\.delete\(\) .* takes 'item'"),
        (Items, "/<int:item>/<name>", {}, r"gives 'name', which Items\.get\(\) .* does not take"),
        (Items, "/<int:item>", {"methods": ["GET", "PUT"]}, r"Items has no method put\(\) for PUT to the rule"),
        (Items, "/<int:item>", {"methods": ["OPTIONS"]}, r"Items has no method options\(\) for OPTIONS"),
        (MethodView, "/", {}, r"MethodView has no method get\(\) for GET to the rule '/'"),
        (Empty, "/", {}, r"Empty has no method dispatch_request\(\) for requests to the rule '/'"),
        (Static, "/<x>", {"methods": ["GET"]}, r"the rule '/<x>' gives 'x', which Static\.get\(\) .* does not take"),
        (Static, "/", {"methods": ["POST"]}, r"Static\.post\(\) .* takes 'item', which the rule '/' does not give"),
        (WithoutSelf, "/<x>", {}, r"the first parameter of WithoutSelf\.get\(\) is 'x', .*; write 'self' before it"),
    ],
)
def test_the_methods_take_the_variables_of_the_rule(
    register: Callable[..., Triows], class_: type[View], rule: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        register(rule, class_.as_view("name"), **options)


@registers
@pytest.mark.parametrize(
    ("class_", "rule", "options"),
    [
        (Items, "/", {"methods": ["GET"], "defaults": {"item": 0}}),
        (Own, "/<int:item>", {}),
        (Static, "/", {"methods": ["GET"]}),
        (Static, "/<int:item>", {"methods": ["POST"]}),
    ],
)
def test_what_the_variables_suit_is_registered(
    register: Callable[..., Triows], class_: type[View], rule: str, options: dict[str, Any]
) -> None:
    register(rule, class_.as_view("name"), **options)


async def without_self() -> str: ...


def shaped(base: type[View] = MethodView, **attributes: Any) -> type[View]:
    return type("Shaped", (base,), attributes)


def loses_the_function(function: Any) -> None: ...


async def is_async(function: Any) -> Any:
    return function


@pytest.mark.parametrize(
    ("class_", "words"),
    [
        (shaped(get=without_self), r"without_self\(\) .* has no parameter 'self'; write 'self' first"),
        (shaped(get=classmethod(without_self)), r"without_self\(\) .* has no parameter 'cls'; write 'cls' first"),
        (shaped(View, dispatch_request=without_self), r"without_self\(\) .* has no parameter 'self'"),
        (shaped(get=without_self, decorators=[lambda function: function]), "has no parameter 'self'"),
        (shaped(get="x"), r"Shaped\.get is 'x', which is no method; write 'async def get\(self\)', or give it another"),
        (
            shaped(View, dispatch_request=3),
            r"Shaped\.dispatch_request is 3, .*write 'async def dispatch_request\(self\)'",
        ),
        (shaped(decorators="login"), r"Shaped\.decorators is 'login'; it must be a list of functions"),
        (shaped(decorators=loses_the_function), r"Shaped\.decorators is loses_the_function\(\).*must be a list"),
        (shaped(decorators=["login"]), r"Shaped\.decorators has 'login', which is no function"),
        (
            shaped(decorators=[loses_the_function]),
            r"loses_the_function\(\) .* of Shaped returned NoneType None; it must",
        ),
        (shaped(decorators=[is_async]), r"is_async\(\) .* of Shaped returned coroutine .*\('def', not 'async def'\)"),
    ],
)
def test_as_view_refuses_methods_and_decorators_that_are_none(class_: type[View], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        class_.as_view("name")


@pytest.mark.parametrize(
    "class_",
    [
        shaped(get=lambda *args, **kwargs: ""),
        shaped(get=mock.AsyncMock()),
        shaped(get=partialmethod(lambda self, word: "", "word")),
        shaped(get=staticmethod(without_self)),
        shaped(get=lambda self: "", put=None),
        shaped(Own, trace=True),
        shaped(View, dispatch_request=lambda self: "", get="x"),
    ],
)
def test_as_view_takes_what_can_be_called(class_: type[View]) -> None:
    by_app("/", class_.as_view("name"), methods=["GET"])


@registers
@pytest.mark.parametrize("methods", ["GET", 5, [b"GET"]])
def test_the_methods_of_a_class_are_a_list_of_strings(register: Callable[..., Triows], methods: Any) -> None:
    class_ = shaped(View, dispatch_request=lambda self: "", methods=methods)
    with pytest.raises(
        TypeError, match=r"(the methods of Shaped are|methods is) .*; it must be a list of strings, like"
    ):
        register("/", class_.as_view("name"))


@pytest.mark.parametrize("class_", [Page, Items])
@pytest.mark.parametrize("make", [lambda: Triows("app"), lambda: Blueprint("part", __name__)])
def test_a_class_view_is_no_hook(make: Callable[[], Any], class_: type[View]) -> None:
    owner = make()
    for register in (owner.before_request, owner.after_request, owner.teardown_request, owner.errorhandler(404)):
        with pytest.raises(TypeError, match=rf"not the class {class_.__name__}: give add_url_rule\(\) view_func="):
            register(class_)


async def test_one_class_view_may_have_rules_with_other_variables_for_other_methods() -> None:
    class Users(MethodView):
        async def get(self, id: int | None) -> str:
            return f"get {id}"

        async def post(self) -> str:
            return "post"

        async def delete(self, id: int) -> str:
            return f"delete {id}"

    app, view = Triows(__name__), Users.as_view("users")
    app.add_url_rule("/", defaults={"id": None}, view_func=view, methods=["GET"])
    app.add_url_rule("/", view_func=view, methods=["POST"])
    app.add_url_rule("/<int:id>", view_func=view, methods=["GET", "DELETE"])
    assert [(await answer(app, *which))[1] for which in [("GET",), ("POST",), ("DELETE", "/3")]] == [
        "get None",
        "post",
        "delete 3",
    ]


def test_a_method_that_a_class_makes_up_is_let_through() -> None:
    class Any_(MethodView):
        def __getattr__(self, name: str) -> Any:
            return lambda **kwargs: name

    by_app("/<x>", Any_.as_view("any"), methods=["PUT"])


def test_a_decorated_class_view_is_let_through_as_a_decorated_function_is() -> None:
    def giving(function: Any) -> Any:
        @wraps(function)
        async def wrapper(**kwargs: Any) -> Any:
            return await function(number=3, **kwargs)

        return wrapper

    class Decorated(Page):
        decorators: ClassVar[list[Callable[..., Any]]] = [giving]

    by_app("/", Decorated.as_view("inside"))
    by_app("/", giving(Page.as_view("outside")))


def test_a_methods_parameter_for_a_global_names_no_annotation_that_methods_have_not() -> None:
    class Asking(MethodView):
        async def get(self, request: Any) -> str: ...

    with pytest.raises(TypeError, match=r"import 'request' from triows in place of a parameter$"):
        by_app("/", Asking.as_view("asking"))


class Plain:
    def dispatch_request(self) -> str: ...


class Methods:
    async def post(self) -> str: ...


@registers
@pytest.mark.parametrize("class_", [Page, Items])
def test_a_class_is_no_view_without_as_view(register: Callable[..., Triows], class_: type[View]) -> None:
    name = class_.__name__
    for given in (class_, class_.as_view):
        with pytest.raises(TypeError, match=rf"class {name}: .*view_func={name}\.as_view\('{name.lower()}'\)$"):
            register("/<name>", given)
    with pytest.raises(TypeError, match=rf"not an object of {name}: .*view_func={name}\.as_view\("):
        register("/", class_())


@pytest.mark.parametrize("class_", [Plain, Methods])
def test_a_class_with_the_methods_of_a_view_is_to_inherit_from_one(app: Triows, class_: Any) -> None:
    name = class_.__name__
    with pytest.raises(TypeError, match=rf"the class {name}: .*{name}\.as_view.* inherit from triows\.View or Meth"):
        app.get("/")(class_)


@pytest.mark.parametrize("make", [lambda: Triows(__name__), lambda: Blueprint("part", __name__)])
def test_a_class_is_refused_where_it_stands(make: Callable[[], Any]) -> None:
    owner = make()
    for register in (owner.get("/"), owner.post("/"), owner.websocket("/"), owner.endpoint("x")):
        with pytest.raises(TypeError, match=r"Page\.as_view\('page'\)"):
            register(Page)


async def test_a_class_of_responses_is_a_view_as_other_functions_are(app: Triows) -> None:
    app.add_url_rule("/", view_func=Response, endpoint="empty")
    assert await answer(app, "GET") == (200, "")


class Greeting(View):
    def __init__(self, word: str, *, end: str = "!") -> None:
        self.word = word

    async def dispatch_request(self) -> str:
        return self.word


class Shared(Greeting):
    init_every_request = False


@pytest.mark.parametrize("class_", [Greeting, Shared])
@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, r"Greeting\.__init__\(\) \(.*test_class_views\.py:\d+\): missing a required argument: 'word'"),
        (("a", "b"), {}, "too many positional arguments"),
        (("a",), {"start": "b"}, "got an unexpected keyword argument 'start'"),
    ],
)
def test_as_view_gives_what_init_takes(
    class_: type[View], args: tuple[str, ...], kwargs: dict[str, str], words: str
) -> None:
    with pytest.raises(TypeError, match=rf"{class_.__name__}\.as_view\('hello'\) gives .*{words}"):
        class_.as_view("hello", *args, **kwargs)


def test_as_view_gives_nothing_to_a_class_without_init() -> None:
    with pytest.raises(TypeError, match=r"Page, which has no __init__\(\) of its own: too many positional"):
        Page.as_view("page", 3)


def test_an_init_that_cannot_be_read_may_take_anything() -> None:
    class Made(Page):
        def __new__(cls, *args: Any) -> Made:
            return super().__new__(cls)

    class Mocked(Page):
        __init__ = mock.Mock(return_value=None)  # type: ignore[assignment]

    assert Made.as_view("made", 1)
    assert Mocked.as_view("mocked", 1)


# Websockets


async def test_a_class_view_may_be_a_websockets_handler(app: Triows) -> None:
    class Echo(View):
        async def dispatch_request(self, room: str) -> None:
            await websocket.send(f"{room}: {await websocket.receive()}")

    app.add_websocket("/<room>", view_func=Echo.as_view("echo"))
    async with app.test_client().websocket("/den") as client:
        await client.send("hello")
        assert await client.receive() == "den: hello"


class Threaded(View):
    def dispatch_request(self) -> None: ...


class Yielding(View):
    async def dispatch_request(self) -> AsyncIterator[str]:  # type: ignore[override]
        yield ""


@pytest.mark.parametrize(
    ("class_", "words"),
    [
        (Items, "Items is a MethodView, whose methods answer HTTP requests; for a websocket write a triows.View"),
        (Threaded, r"Threaded\.dispatch_request\(\) .* is not async"),
        (Yielding, r"Yielding\.dispatch_request\(\) .* yields"),
        (Page, r"Page\.dispatch_request\(\) .* takes 'number', which the rule '/' does not give.*websocket\.args \("),
    ],
)
def test_a_class_that_cannot_be_a_websockets_handler(app: Triows, class_: type[View], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        app.add_websocket("/", view_func=class_.as_view("name"))


# How messages name a class view


class Faulty(MethodView):
    async def get(self) -> Any:
        return faulty()

    async def post(self) -> Any: ...

    def put(self) -> Any:
        return "", 200, {}, 3


class FaultyPage(View):
    async def dispatch_request(self) -> Any: ...


async def faulty() -> str: ...


def passed_on(function: Any) -> Any:
    @wraps(function)
    async def wrapper(**kwargs: Any) -> Any:
        return await function(**kwargs)

    return wrapper


class FaultyInside(FaultyPage):
    decorators: ClassVar[list[Callable[..., Any]]] = [passed_on]


@pytest.mark.parametrize(
    ("class_", "method", "words"),
    [
        (Faulty, "GET", r"Faulty\.get\(\) \(.*test_class_views\.py:\d+\) returned a coroutine"),
        (Faulty, "HEAD", r"Faulty\.get\(\) \(.*test_class_views\.py:\d+\) returned a coroutine"),
        (Faulty, "POST", r"Faulty\.post\(\) \(.*test_class_views\.py:\d+\) returned None"),
        (Faulty, "PUT", r"Faulty\.put\(\) \(.*test_class_views\.py:\d+\) returned a tuple of 4"),
        (FaultyPage, "GET", r"FaultyPage\.dispatch_request\(\) \(.*\.py:\d+\) returned None"),
        (FaultyInside, "GET", r"FaultyPage\.dispatch_request\(\) \(.*\.py:\d+\) returned None"),
    ],
)
async def test_messages_name_the_method(class_: type[View], method: str, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        await answer(by_app("/", class_.as_view("name")), method)


async def test_a_websockets_messages_name_the_method(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    app.add_websocket("/", view_func=FaultyPage.as_view("name"))
    with pytest.raises(WebsocketResponseError):
        async with app.test_client().websocket("/"):
            pass
    (record,) = complaints(caplog)
    assert "FaultyPage.dispatch_request() (" in record.getMessage()


async def test_a_handler_that_swallows_is_named_by_its_method(app: Triows) -> None:
    class Deaf(View):
        async def dispatch_request(self) -> None:
            try:
                await websocket.receive()
            except BaseException:
                pass

    app.add_websocket("/", view_func=Deaf.as_view("deaf"))
    with pytest.raises(CancelledSwallowedError, match=r"Deaf\.dispatch_request\(\) \(.*test_class_views\.py:\d+\)"):
        async with app.test_client().websocket("/") as client:
            await client.disconnect()


async def test_the_view_function_itself_shows_the_class() -> None:
    view = Faulty.as_view("name")
    assert repr(view).startswith("<function Faulty at ")
    coroutine = view()
    assert coroutine.__qualname__ == "Faulty"
    coroutine.close()


async def test_where_no_method_is_called_the_class_is_named(app: Triows, caplog: pytest.LogCaptureFixture) -> None:
    app.add_url_rule("/", view_func=Faulty.as_view("name"))
    with pytest.raises(WebsocketResponseError):
        async with app.test_client().websocket("/"):
            pass
    (record,) = complaints(caplog)
    assert "since the route of Faulty is HTTP's alone" in record.getMessage()
