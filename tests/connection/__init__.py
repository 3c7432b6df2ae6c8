"""Tests of triows/connection: one request or websocket, whatever carries it."""
