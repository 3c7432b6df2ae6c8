"""Tests of triows/server: HTTP/1.1 over sockets and streams, from listening to the shutdown."""
