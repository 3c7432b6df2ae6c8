"""Tests of triows/framework: an app, its settings and its life."""
