"""Tests of the process that serves: what systemd passes, and restarts."""
