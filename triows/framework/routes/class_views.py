"""Views that are classes: an instance of the class answers each request."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator
from types import FunctionType, MethodType
from typing import Any, ClassVar

from werkzeug.routing import Rule

from ...tasks.functions import call, describe, forgotten_await
from ...web.globals import request

http_method_funcs: frozenset[str] = frozenset(("delete", "get", "head", "options", "patch", "post", "put", "trace"))
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
        :raises TypeError: if ``__init__`` does not take them, or takes more; or if one of the methods, or of the
            decorators, is none.
        """
        if not isinstance(name, str):
            raise TypeError(f"{cls.__name__}.as_view() takes the endpoint's name first, not {name!r:.100}")
        _check_init(cls, name, class_args, class_kwargs)
        _check_methods(cls)
        _check_decorators(cls)
        if cls.init_every_request:

            async def view(**kwargs: Any) -> Any:
                instance = view.view_class(*class_args, **class_kwargs)  # type: ignore[attr-defined]
                return await call(instance.dispatch_request, **kwargs)

        else:
            instance = cls(*class_args, **class_kwargs)

            async def view(**kwargs: Any) -> Any:
                return await call(instance.dispatch_request, **kwargs)

        view.__name__, view.__module__ = name, cls.__module__
        view.__qualname__ = cls.__qualname__
        view.view_class = cls  # type: ignore[attr-defined]  # for messages, which name what decorators wrap
        for decorator in cls.decorators:
            view = decorator(view)
            if not callable(view):
                raise TypeError(
                    f"the decorator {describe(decorator)} of {cls.__qualname__} returned"
                    f" {type(view).__name__} {view!r:.100}; it must return a function"
                    + (" ('def', not 'async def')" if forgotten_await(view) else "")
                )
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
        function = _method_for(self, request.method)
        if function is None:
            raise TypeError(f"{type(self).__name__} has no method {request.method.lower()}() for this request")
        return await call(function, **kwargs)


def _method_for(owner: object, method: str) -> Any:
    """Return the method of a :class:`MethodView`, or of its class, for an HTTP method; None if there is none."""
    function = getattr(owner, method.lower(), None)
    return getattr(owner, "get", None) if function is None and method == "HEAD" else function


def class_of(function: object) -> type[View] | None:
    """Return the class whose :meth:`View.as_view` made the view function, which may be decorated; None if none did."""
    found = getattr(function, "view_class", None)
    return found if isinstance(found, type) and issubclass(found, View) else None


def undecorated_class_of(function: object) -> type[View] | None:
    """Return the class of a view function that no decorator is around, which might change the arguments; else None."""
    found = class_of(function)
    return found if found is not None and not found.decorators and not hasattr(function, "__wrapped__") else None


def has_own_dispatch(class_: type[View]) -> bool:
    """Whether the class defines ``dispatch_request()``, so that no other method need be there."""
    return class_.dispatch_request not in (View.dispatch_request, MethodView.dispatch_request)


def answering(class_: type[View], method: str) -> Any:
    """Return the method of the class that answers requests of an HTTP method, None if there is none."""
    found = _method_for(class_, method) if issubclass(class_, MethodView) else None
    return class_.dispatch_request if found is None and has_own_dispatch(class_) else found


def methods_of(class_: type[View], rule: Rule) -> Iterator[Callable[..., Any]]:
    """Yield the methods of a class that answer the requests to a rule, as an object of the class has them.

    :raises TypeError: if there is none for one of the rule's HTTP methods.
    """
    automatic = "OPTIONS" if getattr(rule, "provide_automatic_options", False) else None
    wanted = sorted({*(rule.methods or ())} - {automatic})
    names = {method: method.lower() for method in wanted}
    if not issubclass(class_, MethodView) or has_own_dispatch(class_):
        names = {"requests": "dispatch_request"}
    for method, name in names.items():
        if method == "HEAD" and not hasattr(class_, name):
            continue  # get() answers it
        function = inspect.getattr_static(class_, name, None)
        if isinstance(function, FunctionType) and function is not View.dispatch_request:
            _check_self(class_, name, function, rule)
            yield MethodType(function, class_)  # bound to what is there: it is not called
        elif isinstance(function, (classmethod, staticmethod)):
            yield getattr(class_, name)
        elif function in (None, View.dispatch_request) and not hasattr(class_, "__getattr__"):
            raise TypeError(
                f"{class_.__qualname__} has no method {name}() for {method} to the rule {rule.rule!r}; write it"
                + ("" if name == "dispatch_request" else f", or take {method} out of the rule's methods")
            )


def _check_self(class_: type[View], name: str, function: FunctionType, rule: Rule) -> None:
    """Raise TypeError if a variable of the rule stands where ``self`` has to."""
    first = next(iter(inspect.signature(function, follow_wrapped=False).parameters), "self")
    if first != "self" and first in rule.arguments:
        raise TypeError(
            f"the first parameter of {class_.__qualname__}.{name}() is {first!r}, which the rule {rule.rule!r} gives;"
            f" write 'self' before it"
        )


def _check_methods(class_: type[View]) -> None:
    """Raise TypeError for a method that is none, or that an object cannot call for want of ``self``."""
    names = {"dispatch_request", *(http_method_funcs if issubclass(class_, MethodView) else ())}
    for name in sorted(names):
        function = inspect.getattr_static(class_, name, None)
        if function is None or (name != "dispatch_request" and has_own_dispatch(class_) and not callable(function)):
            continue
        if not callable(function) and not hasattr(function, "__get__"):
            raise TypeError(
                f"{class_.__qualname__}.{name} is {function!r:.100}, which is no method; write"
                f" 'async def {name}(self)'" + ("" if name == "dispatch_request" else ", or give it another name")
            )
        own = "cls" if isinstance(function, classmethod) else "self"
        plain = function.__func__ if isinstance(function, classmethod) else function
        if isinstance(plain, FunctionType) and not hasattr(plain, "__signature__") and not _takes_owner(plain):
            raise TypeError(f"{describe(plain)} has no parameter {own!r}; write {own!r} first: it is a method")


def _takes_owner(function: FunctionType) -> bool:
    """Whether a function has a positional parameter, for the object or the class that it is a method of."""
    code = function.__code__
    return bool(code.co_argcount or code.co_flags & inspect.CO_VARARGS)


def _check_decorators(class_: type[View]) -> None:
    decorators: Any = class_.decorators
    if isinstance(decorators, str) or not isinstance(decorators, Iterable):
        raise TypeError(f"{class_.__qualname__}.decorators is {_named(decorators)}; it must be a list of functions")
    for decorator in decorators:
        if not callable(decorator):
            raise TypeError(f"{class_.__qualname__}.decorators has {decorator!r:.100}, which is no function")


def _named(value: Any) -> str:
    return describe(value) if callable(value) else f"{value!r:.100}"


def check_no_class(function: object, decorator: str) -> None:
    """Raise TypeError for a class view in place of a function that is no view.

    :param decorator: how it is written, like ``@app.before_request``.
    """
    if isinstance(function, type) and _is_meant_as_view(function):
        raise TypeError(f"{decorator} stands before a function, not the class {_advice(function)}")


def check_view_function(function: object) -> None:
    """Raise TypeError for what is no view function: a class, or what has been made of one, in place of its view."""
    if isinstance(function, View):
        raise TypeError(f"a view is a function, not an object of {_advice(type(function))}")
    if isinstance(function, type) and _is_meant_as_view(function):
        raise TypeError(f"a view is a function, not the class {_advice(function)}")
    if isinstance(function, MethodType) and function.__func__ is View.as_view.__func__:  # type: ignore[attr-defined]
        raise TypeError(f"a view is a function, not a method that makes one of the class {_advice(function.__self__)}")
    if not callable(function):
        raise TypeError(f"a view is a function, not {type(function).__name__} {function!r:.100}")


def _is_meant_as_view(class_: type) -> bool:
    """Whether a class has a method of a class view: calling other classes may well give what a view returns."""
    return hasattr(class_, "dispatch_request") or any(
        inspect.iscoroutinefunction(getattr(class_, name, None)) for name in http_method_funcs
    )


def _advice(class_: Any) -> str:
    name = class_.__qualname__
    advice = f"{name}: give add_url_rule() view_func={name}.as_view('{class_.__name__.lower()}')"
    return advice if issubclass(class_, View) else f"{advice}, and let the class inherit from triows.View or MethodView"


def _check_init(class_: type[View], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise TypeError if no instance can be made with these arguments. Nothing is said of what cannot be read."""
    init: Any = class_.__init__
    if class_.__new__ is not object.__new__ or type(class_).__call__ is not type.__call__:
        return
    if init is object.__init__:
        signature, taker = inspect.Signature(), f"{class_.__qualname__}, which has no __init__() of its own"
    elif isinstance(init, FunctionType) and not hasattr(init, "__signature__"):
        # A wrapper's own signature: it may call the function inside with other arguments.
        signature, taker = inspect.signature(MethodType(init, class_), follow_wrapped=False), describe(init)
    else:
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(
            f"{class_.__qualname__}.as_view({name!r}) gives what stands behind the name to {taker}: {error}"
        ) from None
