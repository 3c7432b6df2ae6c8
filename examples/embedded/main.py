"""Embedded: a web server as one part of a larger Trio program.

The program measures a temperature, a simulated one, and keeps an eye on it. Whoever opens the page, or connects to
``/ws``, sees each measurement as it is made. The sensor knows nothing of the web.

Run it::

    python examples/embedded/main.py

and try it: open http://127.0.0.1:8000/ in a browser. On Ctrl-C the server goes first, with a proper goodbye to every
client, then the rest of the program.
"""

from __future__ import annotations

import argparse
import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import trio

from triows import Triows, websocket

PAGE = Path(__file__).with_name("index.html")
TOO_WARM = 24.0


class Sensor:
    """Measures the temperature again and again, and tells everybody who watches."""

    def __init__(self, interval: float = 0.5) -> None:
        self.interval = interval
        self._watchers: set[trio.MemorySendChannel[float]] = set()

    @contextmanager
    def watch(self) -> Iterator[trio.MemoryReceiveChannel[float]]:
        """The measurements, as long as the block runs; those that nobody fetched in time are left out."""
        send, receive = trio.open_memory_channel[float](1)
        self._watchers.add(send)
        with send, receive:
            try:
                yield receive
            finally:
                self._watchers.remove(send)

    async def run(self) -> None:
        for step in count():
            temperature = round(21 + 4 * math.sin(step / 10), 2)
            for watcher in self._watchers:
                try:
                    watcher.send_nowait(temperature)
                except trio.WouldBlock:
                    pass  # a slow watcher holds up neither the sensor nor the others
            await trio.sleep(self.interval)


async def keep_an_eye_on(sensor: Sensor) -> None:
    """The rest of the program: it has no idea that there are websockets."""
    was_warm = False
    with sensor.watch() as measurements:
        async for temperature in measurements:
            is_warm = temperature > TOO_WARM
            if is_warm != was_warm:
                print(f"{temperature:.2f} °C:", "too warm" if is_warm else "better", flush=True)
            was_warm = is_warm


def create_app(sensor: Sensor) -> Triows:
    app = Triows(__name__)

    @app.get("/")
    def index() -> str:
        return PAGE.read_text("utf-8")

    @app.websocket("/ws")
    async def ws() -> None:
        with sensor.watch() as measurements:
            async for temperature in measurements:
                await websocket.send_json(temperature=temperature)

    return app


async def main(port: int = 8000, interval: float = 0.5) -> None:
    sensor = Sensor(interval)
    app = create_app(sensor)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as program:
            program.start_soon(sensor.run)
            program.start_soon(keep_an_eye_on, sensor)
            async with trio.open_nursery() as serving:
                server = await serving.start(partial(app.serve, "127.0.0.1", port, access_log=False))
                print(f"Running on http://127.0.0.1:{server.port} (CTRL + C to quit)", flush=True)
                await anext(signals)
                server.shutdown()
            # Here the clients have been told, and their handlers have ended: nobody else looks at the sensor.
            print("The server has closed.", flush=True)
            program.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A web server as one part of a larger Trio program.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--interval", type=float, default=0.5, help="seconds between two measurements")
    arguments = parser.parse_args()
    trio.run(main, arguments.port, arguments.interval)
