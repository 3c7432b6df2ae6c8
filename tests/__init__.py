"""The tests; docs/development.rst says how they are run, and what lies where."""
