"""A log of one's own by ``basicConfig()``: all of it to stderr, in one format.

``triows run examples/logs/basic_config.py``, and http://127.0.0.1:8000/ or /broken.
"""

import logging

from triows import Triows

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-8s %(name)s: %(message)s")

app = Triows(__name__)


@app.get("/")
async def index() -> str:
    app.logger.info("somebody is here")
    return "hello"


@app.get("/broken")
async def broken() -> str:
    raise LookupError("out of ideas")
