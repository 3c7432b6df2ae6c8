"""Tests of triows/protocol: what the RFCs say, as bytes and values."""
