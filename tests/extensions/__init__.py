"""Quart's extensions, used as their documentation does, after ``triows.install_as_quart()``."""
