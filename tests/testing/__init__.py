"""Tests of triows/testing: the test client, and the app that it talks to."""
