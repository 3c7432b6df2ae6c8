"""Video: a file that a browser plays, and seeks in without loading it all.

Run it::

    triows run examples/video/app.py:app

and try it: open http://127.0.0.1:8000/ in a browser and move through the video; or ask for a part in a terminal::

    curl -s -D - -o part -r 1000-1999 http://127.0.0.1:8000/video
"""

from __future__ import annotations

from pathlib import Path

from triows import Response, Triows, send_file

HERE = Path(__file__).parent
VIDEO = HERE / "static" / "clock.webm"

app = Triows(__name__)


@app.get("/")
async def index() -> Response:
    return await send_file(HERE / "index.html")


@app.get("/video")
async def video() -> Response:
    return await send_file(VIDEO, conditional=True)  # so that ranges are answered: that is what seeking needs


@app.get("/download")
async def download() -> Response:
    return await send_file(VIDEO, as_attachment=True, attachment_filename="clock.webm", conditional=True)


if __name__ == "__main__":
    app.run()
