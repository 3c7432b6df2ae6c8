"""Tests of triows/tasks: what a task waits with, inherits, calls and is watched by."""
