"""The app as an ASGI application: it carries connections by the events of an ASGI server, and never routes."""
