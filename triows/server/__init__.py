"""The embedded server: it carries connections over sockets and streams, and never routes."""
