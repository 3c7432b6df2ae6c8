"""``python -m triows`` is ``triows``."""

from .command.main import main

main(prog_name="triows")
