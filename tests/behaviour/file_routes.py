"""Files to be sent, in a folder that each process makes once."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from io import BytesIO
from pathlib import Path

from triows import Response, Triows, send_file

LARGE = 64 * 1024 * 1024  # bytes of a sparse file, more than any buffers on the way hold
MEDIUM = bytes(range(256)) * 4096 + b"end"  # of several pieces


@cache
def make_files() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="triows-files-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    files = folder / "files"
    files.mkdir()
    (folder / "secret.txt").write_text("secret")
    (files / "small.txt").write_text("0123456789")
    (files / "empty.txt").touch()
    (files / "medium.bin").write_bytes(MEDIUM)
    (files / "link-out.txt").symlink_to("../secret.txt")
    (files / "inner").mkdir()
    os.mkfifo(files / "fifo")
    return files


def add_file_routes(app: Triows) -> None:
    files = make_files()
    app.static_folder = files  # its route is there already

    @app.get("/files-folder")
    async def files_folder() -> str:
        return str(files)

    @app.get("/from-memory")
    async def from_memory() -> Response:
        return await send_file(BytesIO(b"0123456789"), "text/plain", conditional=True)

    @app.websocket("/static-denial/<name>")
    async def denial(name: str) -> Response:
        return await send_file(files / name)
