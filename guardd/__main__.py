"""`python -m guardd`."""

from guardd.cli import main

main()
