"""INPUT during training: a sensor is no longer what the training windows say it is."""

from __future__ import annotations

import math

from rcgnn.config import Config
from rcgnn.diagnosis.records import Records
from rcgnn.health import Finding

UNIT_FACTOR = 30.0
"""Factor of size from which another unit is likelier than another mood of the plant."""


def changed_feed(records: Records, _config: Config) -> Finding | None:
    """INPUT: in the batches a sensor stood still (`numeric.feed_still`), or its size changed 30-fold (`numeric.feed_shift`)."""
    still = {name: r.epoch for r in reversed(records) for name in r.numeric.get("feed_still", ())}
    shifts = [(r.epoch, name, shift) for r in records for name, shift in r.numeric.get("feed_shift", {}).items()]
    sized = {name: (epoch, shift) for epoch, name, shift in reversed(shifts) if abs(shift) > math.log(UNIT_FACTOR)}
    if not still and not sized:
        return None
    said = [f"{name} stands still from epoch {epoch} on" for name, epoch in still.items()]
    said += [f"{name} is {math.exp(shift):.2g} times its size from epoch {epoch} on" for name, (epoch, shift) in sized.items()]
    return Finding(
        code="INPUT",
        severity="act",
        message=f"the batches differ from the training windows: {', '.join(said)}.",
        remedy="Look at what feeds the batches; the network's links of these sensors say nothing. The graph is the screen's.",
        evidence={
            "kind": "changed_feed",
            "still": still,
            "factor": {name: math.exp(min(shift, 700.0)) for name, (_, shift) in sized.items()},
        },
        sensor=next(iter([*still, *sized])),
    )
