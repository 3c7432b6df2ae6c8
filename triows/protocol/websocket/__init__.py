"""WebSocket (RFC 6455, RFC 7692): the handshake, frames, messages, compression and close codes."""
