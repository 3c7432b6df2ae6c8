"""Tests of triows/web: what a handler holds."""
