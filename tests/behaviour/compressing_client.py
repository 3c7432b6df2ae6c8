"""Another library's client that compresses: compressing_client.py LIBRARY URL."""

from __future__ import annotations

import asyncio
import json
import sys

MESSAGES = ["x" * 10_000, json.dumps(list(range(5000))), b"\x00" * 200_000, "short", "", "€" * 1000]


async def use_websockets(url: str) -> None:
    from websockets.asyncio.client import connect

    async with connect(url, compression="deflate") as ws:
        assert any(extension.name == "permessage-deflate" for extension in ws.protocol.extensions)
        for message in MESSAGES * 3:
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(iter(["frag", "ments " * 1000]))
        assert await ws.recv() == "frag" + "ments " * 1000


async def use_aiohttp(url: str) -> None:
    from aiohttp import ClientSession

    async with ClientSession() as session, session.ws_connect(url, compress=15) as ws:
        assert ws.compress
        for message in MESSAGES * 3:
            if isinstance(message, str):
                await ws.send_str(message)
            else:
                await ws.send_bytes(message)
            assert (await ws.receive()).data == message


asyncio.run({"websockets": use_websockets, "aiohttp": use_aiohttp}[sys.argv[1]](sys.argv[2]))
print("understood")
