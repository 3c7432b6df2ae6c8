"""Why a connection ended, as a value.

Three words that are easily confused:

- A *Close* (:class:`~triows.protocol.websocket.close_codes.Close`) is what one Close frame says: code and reason.
- A *Disconnect* is why the client is gone, or was disconnected. It comes from a Close that arrived, or from the end of
  the stream, a fault, a timeout, ``app.disconnect()`` or a shutdown. A websocket that its handler closes has none,
  unless the handler lives on until a shutdown.
- An *Ending* (:class:`~triows.connection.stats.Ending`) is what logs and metrics say of every websocket: the Close that
  this side sent if that came first, else its Disconnect. At a shutdown the code is that of the Close that was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .text import visible
from .websocket.close_codes import CLOSE_CODE_NAMES

DisconnectKind = Literal["closed", "lost", "protocol_error", "timeout", "shutdown", "server"]


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Why a connection ended.

    :ivar code: the close code (RFC 6455, section 7.4); 1006 when there was none because the transport was lost.
    :ivar reason: the reason in the client's Close frame, or what the client did wrong; may be empty.
    :ivar kind: ``closed`` (the client sent Close), ``lost`` (end of file or reset without one), ``protocol_error``,
        ``timeout`` (keepalive, or no progress on sending), ``shutdown``, or ``server`` (``app.disconnect()``).
    """

    code: int
    reason: str
    kind: DisconnectKind

    def describe(self) -> str:
        """The code, its registered name, and the client's words, for people: ``1001 going away: bye``.

        Control characters are escaped, so that it may stand in a log.
        """
        name = CLOSE_CODE_NAMES.get(self.code)
        text = f"{self.code} {name}" if name else str(self.code)
        return f"{text}: {visible(self.reason)}" if self.reason else text
