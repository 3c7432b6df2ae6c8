"""picows, on asyncio: it hands out frames, not messages, and joins no fragments."""

from __future__ import annotations

import asyncio
import socket
import ssl

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


def serve(sock: socket.socket, tls: ssl.SSLContext | None) -> None:
    async def main() -> None:
        server = await ws_create_server(lambda _request: Echo(), sock=sock, ssl=tls)
        await server.serve_forever()

    asyncio.run(main())
