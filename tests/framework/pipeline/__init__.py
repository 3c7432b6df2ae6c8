"""From a connection to the handler and back: checks, hooks, errors and cancellation."""
