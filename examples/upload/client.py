"""Upload a file to the example in one message, and print what the server says of it.

While the app runs (see app.py)::

    python examples/upload/client.py README.md
"""

from __future__ import annotations

import argparse
import json
from hashlib import sha256

import trio
from trio_websocket import open_websocket_url


async def main(url: str, path: str) -> None:
    data = await trio.Path(path).read_bytes()  # trio-websocket sends whole messages only
    async with open_websocket_url(url) as ws:
        await ws.send_message(data)
        answer = json.loads(await ws.get_message())
    print(answer["size"], answer["sha256"])
    if answer != {"size": len(data), "sha256": sha256(data).hexdigest()}:
        raise SystemExit("The server has got something else.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Upload a file to the example and print what the server says of it.")
    parser.add_argument("--url", default="ws://127.0.0.1:8000/ws")
    parser.add_argument("file")
    arguments = parser.parse_args()
    trio.run(main, arguments.url, arguments.file)
