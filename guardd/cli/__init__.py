"""The command line: one file a command group. Results go to stdout, talk to stderr."""

from guardd.cli.app import main

__all__ = ["main"]
