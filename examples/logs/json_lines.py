"""A log of one's own with one JSON object a line, by the standard library alone.

``triows run examples/logs/json_lines.py``, and http://127.0.0.1:8000/ or /broken.
"""

import json
import logging

from triows import Triows

FIELDS = ("client", "method", "path", "query", "status", "size", "duration", "kind", "code", "reason")


class JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {"time": record.created, "level": record.levelname, "logger": record.name}
        entry["message"] = record.getMessage()
        entry |= {name: getattr(record, name) for name in FIELDS if getattr(record, name, None) is not None}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


handler = logging.StreamHandler()
handler.setFormatter(JSONFormatter())
logging.basicConfig(level=logging.INFO, handlers=[handler])

app = Triows(__name__)


@app.get("/")
async def index() -> str:
    app.logger.info("somebody is here")
    return "hello"


@app.get("/broken")
async def broken() -> str:
    raise LookupError("out of ideas")
