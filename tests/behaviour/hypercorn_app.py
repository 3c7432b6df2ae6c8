"""The app as hypercorn loads it."""

from __future__ import annotations

import logging

from .app import make_app

app = make_app()
logging.getLogger("triows").addHandler(app.extensions["log"])
