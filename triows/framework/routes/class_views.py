"""Views that are classes: an instance of the class answers each request."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, ClassVar

from ...tasks.functions import call
from ...web.globals import request

http_method_funcs = frozenset(("delete", "get", "head", "options", "patch", "post", "put", "trace"))
"""The methods of a :class:`MethodView` that answer requests; the name is Quart's."""


class View:
    """The base of a class whose :meth:`dispatch_request` is a view.

    :meth:`as_view` makes a view function of it::

        class Greeting(View):
            def __init__(self, word):
                self.word = word

            async def dispatch_request(self, name):
                return f"{self.word}, {name}!"

        app.add_url_rule("/hello/<name>", view_func=Greeting.as_view("hello", "Hello"))
    """

    decorators: ClassVar[list[Callable[..., Any]]] = []
    """Decorators for the view function, the innermost first."""
    methods: ClassVar[Collection[str] | None] = None
    """The HTTP methods of the view. None: those of a :class:`MethodView`, else GET."""
    provide_automatic_options: ClassVar[bool | None] = None
    """Whether the app answers OPTIONS for the view. None: as the app's configuration says."""
    init_every_request: ClassVar[bool] = True
    """Whether each request has an instance of its own. False: one instance, made by :meth:`as_view`, has them all."""

    def dispatch_request(self, **kwargs: Any) -> Any:
        """Answer a request; a subclass defines this. It may be async, and gets the URL's variables."""
        raise NotImplementedError(f"{type(self).__name__} has no dispatch_request()")

    @classmethod
    def as_view(cls, name: str, *class_args: Any, **class_kwargs: Any) -> Callable[..., Any]:
        """Return a view function.

        :param name: the endpoint's name, which the function gets.
        :param class_args: these and ``class_kwargs`` are given to the class when an instance is made.
        """
        if not isinstance(name, str):
            raise TypeError(f"{cls.__name__}.as_view() takes the endpoint's name first, not {name!r:.100}")
        if cls.init_every_request:

            async def view(**kwargs: Any) -> Any:
                instance = view.view_class(*class_args, **class_kwargs)  # type: ignore[attr-defined]
                return await call(instance.dispatch_request, **kwargs)

        else:
            instance = cls(*class_args, **class_kwargs)

            async def view(**kwargs: Any) -> Any:
                return await call(instance.dispatch_request, **kwargs)

        view.__name__, view.__module__ = name, cls.__module__
        for decorator in cls.decorators:
            view = decorator(view)
        made: Any = view
        made.view_class = cls
        made.__name__, made.__module__, made.__doc__ = name, cls.__module__, cls.__doc__
        made.methods, made.provide_automatic_options = cls.methods, cls.provide_automatic_options
        return view


class MethodView(View):
    """A class view with a method for each HTTP method: ``get``, ``post`` and so on. HEAD is answered by ``get``."""

    methods: ClassVar[Collection[str] | None]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "methods" not in cls.__dict__:
            inherited = {method for base in cls.__bases__ for method in getattr(base, "methods", None) or ()}
            cls.methods = inherited | {name.upper() for name in http_method_funcs if hasattr(cls, name)} or None

    async def dispatch_request(self, **kwargs: Any) -> Any:
        """Answer a request by the method of its name."""
        function = getattr(self, request.method.lower(), None)
        if function is None and request.method == "HEAD":
            function = getattr(self, "get", None)
        if function is None:
            raise TypeError(f"{type(self).__name__} has no method {request.method.lower()}() for this request")
        return await call(function, **kwargs)
