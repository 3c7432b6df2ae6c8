"""Large messages and compression with a real browser: the upload example's page, and an echo of what it compresses."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]

ECHO = """
async ([url, text]) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    const next = () => new Promise((resolve, reject) => {
        socket.onmessage = ({data}) => resolve(data);
        socket.onclose = ({code}) => reject(new Error(`closed with ${code}`));
    });
    await new Promise((resolve) => { socket.onopen = resolve; });
    const echoes = [];
    for (const message of [text, "", "short", new TextEncoder().encode(text)]) {
        const echo = next();
        socket.send(message);
        const data = await echo;
        echoes.push(typeof data === "string" ? data : new TextDecoder().decode(data));
    }
    socket.onclose = null;
    socket.close();
    return [socket.extensions, echoes];
}
"""


@contextmanager
def running(app: str) -> Iterator[str]:
    """``triows run`` of this app; yields where it is: host and port."""
    command = [sys.executable, "-m", "triows", "run", app, "--port", "0", "--no-access-log"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_file_is_uploaded_in_one_message(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * (64 * 1024))  # 16 MiB
    with running("examples/upload/app.py:app") as address, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://{address}/")
        page.get_by_label("File").set_input_files(path)
        page.get_by_text(f"{path.stat().st_size} bytes, SHA-256 {sha256(path.read_bytes()).hexdigest()}").wait_for()


def test_compressed_messages_are_understood_both_ways(browser: Browser) -> None:
    text = "Grüße, € and \N{GRINNING FACE}! " * 10_000
    with running("tests/conformance/app.py:app") as address, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://{address}/")  # nothing is there, but it is the same origin
        extensions, echoes = page.evaluate(ECHO, [f"ws://{address}/", text])
    assert extensions.startswith("permessage-deflate")
    assert echoes == [text, "", "short", text]
