"""One JSON object a line, for everything that the program logs.

``triows run examples/logs/json_lines.py``, and http://127.0.0.1:8000/ or /broken.
"""

import logging

from triows import JSONFormatter, Triows

handler = logging.StreamHandler()
handler.setFormatter(JSONFormatter())
logging.basicConfig(level=logging.INFO, handlers=[handler])

app = Triows(__name__)
app.request_ids()


@app.get("/")
async def index() -> str:
    app.logger.info("somebody is here", extra={"room": "lobby"})
    return "hello"


@app.get("/broken")
async def broken() -> str:
    raise LookupError("out of ideas")
