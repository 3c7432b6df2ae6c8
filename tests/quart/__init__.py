"""The names of Quart's modules."""
