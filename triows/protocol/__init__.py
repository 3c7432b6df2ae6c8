"""The WebSocket protocol (RFC 6455) without input or output: bytes and messages in, bytes and messages out.

Nothing here imports Trio, waits, or knows of sockets.
"""
