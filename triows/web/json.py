"""JSON in responses: one provider per app, which may be replaced as ``app.json``."""

from __future__ import annotations

from typing import IO, Any, Protocol

from ..tasks.context import current
from .json_codec import JSONCodec, encode
from .response import Response


class JSONApp(Protocol):
    """The app of a provider: its mode and its class of responses decide how JSON responses are made."""

    @property
    def debug(self) -> bool: ...
    @property
    def response_class(self) -> type[Response]: ...


class JSONProvider(JSONCodec):
    """Reads and writes JSON with the standard library. Subclass it to use another one, and set ``app.json``.

    Only :meth:`dumps` and :meth:`loads` need replacing.

    :param app: the app, for its ``response_class`` and its debug mode; or the class of the responses itself.
    """

    mimetype = "application/json"

    compact: bool | None = None
    """Whether responses have no spaces and line breaks; None: they have them in debug mode."""

    def __init__(self, app: JSONApp | type[Response] | None = None) -> None:
        self._app = app

    @property
    def response_class(self) -> type[Response]:
        """The class of the responses: the given one, the given app's, or that of the current context's app."""
        if isinstance(self._app, type):
            return self._app
        app = self._current_app()
        return Response if app is None else app.response_class

    def _current_app(self) -> JSONApp | None:
        if self._app is not None and not isinstance(self._app, type):
            return self._app
        context = current.get(None)
        return None if context is None else context.app

    def dump(self, obj: Any, fp: IO[str], **kwargs: Any) -> None:
        """Write ``obj`` as JSON text to an open file, by :meth:`dumps`."""
        fp.write(self.dumps(obj, **kwargs))

    def load(self, fp: IO[str] | IO[bytes], **kwargs: Any) -> Any:
        """Return the value of the JSON in an open file, by :meth:`loads`."""
        return self.loads(fp.read(), **kwargs)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a JSON response: of one value, of several as a list, or of keyword arguments as an object.

        :raises TypeError: if both positional and keyword arguments are given, or a value has no JSON form.
        """
        if args and kwargs:
            raise TypeError("jsonify() takes values or keyword arguments, not both; put them into one dict")
        value: Any = kwargs if kwargs else args[0] if len(args) == 1 else list(args) if args else None
        app = self._current_app()
        compact = self.compact if self.compact is not None else app is None or not app.debug
        text = encode(self, value, separators=(",", ":")) if compact else encode(self, value, indent=2)
        # As pieces, since the dumps() of some providers returns bytes.
        return self.response_class([text, "\n"], mimetype=self.mimetype)
