"""triows' benchmarks: the engine's parts in process, and whole servers beside their peers, on loopback.

``python -m tests.benchmarks`` runs them; ``--help`` lists the options. The layout:

- ``works``: what is measured, as data;
- ``engine``: parts in process; ``serve`` and ``peers``: the servers, each in a process of its own; ``load`` and
  ``talks``: the load generator, in another; ``proc``: what the kernel says of a process;
- ``fleet``: starts and ends processes; ``measure``: interleaved rounds, and the figures made of them;
- ``report`` and ``chart``: tables, results.json and the chart;
- ``decisions``: the design beside what was decided against, for docs/decisions; a command of its own.
"""
