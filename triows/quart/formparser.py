"""Quart's ``quart.formparser``. Its parsers are not there: triows parses forms as they arrive."""
