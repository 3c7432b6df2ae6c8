"""Quart's ``quart.debug``. Its page for the browser is not there; tracebacks go to the log."""
