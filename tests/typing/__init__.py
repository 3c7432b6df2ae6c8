"""What type checkers make of the public API: checked by mypy and pyright, and never run.

``assert_type()`` says which type an expression has. A line that must not type-check says so twice, once for each
checker: both report an ignore that nothing needs, so a mistake that is accepted fails here.
"""
