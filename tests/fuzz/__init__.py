"""Coverage-guided fuzzing: ``python -m tests.fuzz TARGET --seconds 60``.

A target is a function of bytes that raises if a promise is broken: see :mod:`.targets`. What it is given first is in
``seeds/TARGET/``; every finding is added there under a name that says what it was, and ``test_fuzz.py`` runs all
seeds through the same functions.
"""
