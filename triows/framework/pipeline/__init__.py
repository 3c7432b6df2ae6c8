"""The way of one connection through the app: checks, match, hooks, handler, response; one pipeline for both kinds."""
