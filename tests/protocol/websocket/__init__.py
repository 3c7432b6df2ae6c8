"""Handshakes, frames and messages of websockets as bytes (RFC 6455 and RFC 7692)."""
