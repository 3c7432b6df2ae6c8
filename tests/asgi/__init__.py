"""Tests of triows/asgi: the same connections, by the events of an ASGI server."""
