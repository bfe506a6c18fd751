"""The `rcgnn` command: one file a command. The only room that prints."""

from rcgnn.cli.app import main

__all__ = ["main"]
