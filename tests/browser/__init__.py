"""The examples and large messages in Chromium; run by ``pytest tests/browser -m browser`` alone."""
