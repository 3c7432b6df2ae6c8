"""Say something to the echo and print what comes back.

While the echo runs (see app.py)::

    python examples/echo/client.py hello world
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import trio
from trio_websocket import open_websocket_url


async def main(url: str, messages: Sequence[str]) -> None:
    async with open_websocket_url(url) as ws:
        for message in messages:
            await ws.send_message(message)
            print(await ws.get_message())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Say something to the echo and print what comes back.")
    parser.add_argument("--url", default="ws://127.0.0.1:8000/ws")
    parser.add_argument("messages", nargs="+", metavar="MESSAGE")
    arguments = parser.parse_args()
    trio.run(main, arguments.url, arguments.messages)
