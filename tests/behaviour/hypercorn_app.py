"""The app as hypercorn loads it."""

from __future__ import annotations

import logging

from .app import LOGGERS, make_app

app = make_app()
for name in LOGGERS:
    logging.getLogger(name).addHandler(app.extensions["log"])
