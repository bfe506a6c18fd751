"""The health record in the logs of other tools: names of the figures (`names`), one writer a tool (`writers`)."""

from rcgnn.tracking.writers import TRACKERS, Writer, check, open_writer

__all__ = ["TRACKERS", "Writer", "check", "open_writer"]
