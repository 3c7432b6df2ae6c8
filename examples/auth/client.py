"""Knock at the example's door: as a stranger, with a password, or with a token.

While the app runs (see app.py)::

    python examples/auth/client.py
    python examples/auth/client.py --user ada --password lovelace
    python examples/auth/client.py --token let-me-in
"""

from __future__ import annotations

import argparse

import trio
from trio_websocket import ConnectionRejected, open_websocket_url
from werkzeug.datastructures import Authorization


async def main(url: str, authorization: Authorization | None = None) -> None:
    headers = [] if authorization is None else [(b"Authorization", authorization.to_header().encode())]
    try:
        async with open_websocket_url(url, extra_headers=headers) as ws:
            print(await ws.get_message())
            await ws.send_message("It is me.")
            print(await ws.get_message())
    except ConnectionRejected as rejection:
        print("refused:", rejection.status_code)
        for name, value in rejection.headers or ():
            if name.lower() == b"www-authenticate":
                print("wanted:", value.decode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Knock at the example's door.")
    parser.add_argument("--url", default="ws://127.0.0.1:8000/ws")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--token")
    arguments = parser.parse_args()
    credentials = None
    if arguments.token is not None:
        credentials = Authorization("bearer", token=arguments.token)
    elif arguments.user is not None:
        credentials = Authorization("basic", {"username": arguments.user, "password": arguments.password})
    trio.run(main, arguments.url, credentials)
