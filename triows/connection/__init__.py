"""One request or one websocket, whatever carries it: its limits, its life, its end, and the record of it."""
