"""`torchrun --nproc-per-node 2 -m rcgnn fit ...`: process 0 does all there is to see, the others help it to train."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def processes() -> int:
    """How many processes `torchrun`, or whatever sets its variables, has started for this command."""
    said = os.environ.get("WORLD_SIZE", "1")
    return int(said) if "RANK" in os.environ and "MASTER_ADDR" in os.environ and said.isdecimal() else 1


def helps() -> bool:
    """Whether this process is one of the others."""
    return processes() > 1 and os.environ["RANK"] != "0"


def help_out() -> None:
    """Compute what process 0 asks for until it sends this one home, or is gone: then there is nothing left to say here."""
    from rcgnn.errors import RcgnnError
    from rcgnn.train.shared import Helper
    from rcgnn.train.team import Team

    try:
        team = Team.join()
        try:
            Helper(team).serve()
        finally:
            team.leave()
    except (RcgnnError, RuntimeError, KeyboardInterrupt) as error:
        raise SystemExit(1) from error


@contextmanager
def together() -> Iterator[None]:
    """Process 0 inside the block leads the others, where there are others."""
    if processes() < 2:
        yield
        return
    from rcgnn.train.team import Team, leading

    with leading(Team.join()):
        yield
