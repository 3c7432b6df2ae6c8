"""The embedded server: sockets, HTTP/1.1 and the upgrade to websockets, below the app and knowing nothing of it."""
