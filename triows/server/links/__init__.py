"""Links: bytes between one client and its connection, over sockets with a reactor, over TLS, or over any stream."""
