"""The command: it finds an app, and runs, shows and explores it."""
