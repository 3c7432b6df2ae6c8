"""What an app offers to whoever runs it."""

import logging
from typing import assert_type

from triows import JSONFormatter, Triows, WebSocket, request, websocket

app = Triows(__name__)


async def check() -> bool:
    return True


async def check_by_raising() -> None: ...


def sync_check() -> bool:
    return True


app.health()
app.health("/live", None, checks={"database": check, "cache": check_by_raising}, timeout=1)
app.health(checks={"database": sync_check})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]

app.request_ids()
app.request_ids("X-Correlation-ID", echo=True)
app.security_headers(hsts=3600, csp="default-src 'self'", frame_options=None)
app.security_headers(csp=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.csrf_protect(trusted_origins=["https://example.com"], exempt=("webhook",))
app.csrf_protect(exempt=[check])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
assert_type(request.id, str)
assert_type(websocket.id, str)


formatter: logging.Formatter = JSONFormatter()
JSONFormatter("%(message)s")


def is_ann(websocket: WebSocket) -> bool:
    return websocket.path == "/ann"


assert_type(app.disconnect(is_ann), int)
assert_type(app.disconnect(lambda websocket: websocket.path == "/ann", 4003, "banned"), int)
app.disconnect("ann")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
