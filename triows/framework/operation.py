"""What an app offers to whoever runs it: each is one call, and costs nothing before it is called."""

from __future__ import annotations

from collections.abc import Callable

from ..connection.stats import Counters
from ..web.websocket import WebSocket
from .disconnecting import disconnect


class WithOperation:
    """The part of an app that is for its operation."""

    counters: Counters

    def disconnect(self, match: Callable[[WebSocket], object], code: int = 4001, reason: str = "") -> int:
        """End all websockets of this process for which ``match(websocket)`` is true, whichever server carries them.

        ``match`` is called at once, in the context of each websocket: ``session`` and ``g`` are that websocket's, as
        its handler has left them. Websockets of all routes are asked, also while their ``before_websocket`` hooks run;
        those that have ended, or are about to, are not. An error of ``match`` is raised here, and ends none.

        Each handler is cancelled, as by a client that leaves: messages that have arrived are delivered first, and
        ``websocket.disconnect`` has the kind ``server``, the code and the reason. The client gets Close with these when
        the handler has ended, or 403 if the handshake is not answered yet. The call waits for none of it. It may match
        the websocket of its own handler, which is cancelled at its next checkpoint.

        :param code: 1000-1003, 1007-1014 or 3000-4999 (RFC 6455, section 7.4).
        :param reason: at most 123 bytes of UTF-8.
        :return: how many are ended.
        :raises TypeError: if ``match`` is async.
        :raises ValueError: for a code or reason that may not be sent.
        """
        return disconnect(self.counters, match, code, reason)
