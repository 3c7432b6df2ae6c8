"""A log of one's own by ``dictConfig()``: the access log in a file, all else to stderr.

``triows run examples/logs/dict_config.py``, and http://127.0.0.1:8000/ or /broken. The file is ``access.log``.
"""

from logging.config import dictConfig

from triows import Triows

dictConfig(
    {
        "version": 1,
        "formatters": {
            "plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
            "bare": {"format": "%(asctime)s %(message)s"},
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "plain"},
            "access": {"class": "logging.handlers.WatchedFileHandler", "filename": "access.log", "formatter": "bare"},
        },
        "root": {"level": "INFO", "handlers": ["stderr"]},
        "loggers": {
            "triows.access": {"handlers": ["access"], "propagate": False},  # into its file, and nowhere else
            "chat": {"level": "DEBUG"},  # the app's, by its name
        },
    }
)

app = Triows("chat")


@app.get("/")
async def index() -> str:
    app.logger.debug("somebody is here")
    return "hello"


@app.get("/broken")
async def broken() -> str:
    raise LookupError("out of ideas")
