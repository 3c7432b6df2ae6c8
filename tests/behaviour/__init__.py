"""One behavioural suite over every transport: see conftest.py."""
