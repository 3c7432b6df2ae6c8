"""What goes wrong around a server: clients that vanish or stop, handlers that do not end, a system that fails."""
