"""What the RFCs say of HTTP and WebSocket, as bytes and values: no I/O, no clock, no Trio, no app."""
