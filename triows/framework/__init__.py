"""An app that nothing serves yet: its routes, settings and life, and the pipeline from a connection to a handler."""
