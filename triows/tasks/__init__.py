"""What a task waits with, inherits, calls and is watched by; it knows Trio, and nothing of HTTP, WebSocket or apps."""
