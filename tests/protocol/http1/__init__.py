"""Requests and responses of HTTP/1.1 as bytes (RFC 9112)."""
