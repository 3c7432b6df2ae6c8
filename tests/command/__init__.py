"""The command: what it finds, serves, shows and says."""
