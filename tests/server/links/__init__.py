"""Tests of the links: bytes in and out of a socket or stream, with TLS or without."""
