"""What docs/decisions says was measured: the design beside what was decided against, in one interleaved run.

``python -m tests.benchmarks.decisions`` measures all of it, in about three minutes, and prints tables; with names of
decisions only these. One module each:

- ``http1``: what h11 reads that the server refuses, and the time of a head;
- ``carrying``: the reactor beside tasks for each connection; a task that reads beside none;
- ``watching``: what driving a handler costs, and what is found by it and by other ways;
- ``loading``: what an import of triows loads, and what each dependency takes.
"""
