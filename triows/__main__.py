"""``python -m triows`` is ``triows``."""

from .cli import main

main(prog_name="triows")
