"""A soak: ``python -m tests.soak --minutes 5``.

A server in a process of its own, and many clients at once that connect, talk, misbehave and leave at random. Every
message carries the number of its connection and its own; both sides keep a ledger, and at the end of each connection
the two are compared by the rules of the contract. What the server takes of memory, descriptors and tasks must stay
level, and its log must hold nothing but what the clients have provoked.

``--timed`` and ``--day`` are two other plans; docs/development.rst has them all.
"""
