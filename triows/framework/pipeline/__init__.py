"""The stages of a connection in the app: checks, match, hooks, handler, response. HTTP and websockets share them."""
