"""What a run says about itself: one `HealthRecord` an epoch (`health.jsonl`) and `Finding`s with a remedy.

Absent is null, never a sentinel number. Every field carries its unit and healthy range in docs/health-log.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rcgnn.formats import VERSION

SCHEMA_VERSION = VERSION
OPEN = 1e-2
"""Size (sd of the target per sd of the source) from which a pair of the network counts as a link; below it is the optimiser's breathing."""
NOT_LEARNING = "NOT_LEARNING"
"""Why a training stopped whose links were closed, since they cost held-out loss."""

Severity = Literal["info", "warn", "act", "stop"]


Progress = Callable[[str, Mapping[str, Any]], None]
"""How a long job reports: `progress(stage, info)`, the stage one of `STAGES`.
`info` may hold: done, total (steps of the stage), epoch, epochs, loss, links, clip_share, lr, message, left (seconds of a budget)."""

STAGES = ("read", "inspect", "clean", "reach", "smooth", "screen", "decide", "measure", "train", "write")
"""The stages of a fit in their order; not every fit has all of them."""


def silent(_stage: str, _info: Mapping[str, Any]) -> None:
    """The default `Progress`: says nothing."""


class Part(BaseModel):
    """A group of fields; numbers that are not finite are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Finding(Part):
    """One thing worth knowing, with its evidence and what to do.

    Example:
        >>> Finding(code="INPUT", severity="warn", message="pump_3 never changes.", remedy="Left out.").code
        'INPUT'
    """

    code: str
    severity: Severity
    message: str
    remedy: str = ""
    evidence: dict[str, Any] = Field(default_factory=dict)
    sensor: str | None = None
    applied: bool = False


class LossHealth(Part):
    """Losses of one epoch; `components` by term, before weighting. `train` is null when no step was accepted.

    `scale`: `log` for mean log errors (recipe auto), `raw` for squared errors (origin) or whatever somebody else's log holds.
    """

    scale: Literal["log", "raw"] = "log"
    train: float | None = None
    components: dict[str, float] = Field(default_factory=dict)
    val: float | None = None
    val_stderr: float | None = None
    self_baseline: float | None = None
    per_sensor: dict[str, float] = Field(default_factory=dict)


class AuxHealth(Part):
    """One auxiliary term beside the data term; `value` and `cos_data` are null where a log does not hold them."""

    value: float | None = None
    grad_norm: float
    cos_data: float | None = None
    share: float


class GradHealth(Part):
    """Gradient norms of one epoch, before clipping; `data_norm` and `sensor_share` at its first step."""

    raw_median: float | None = None
    raw_max: float | None = None
    clip_level: float | None = None
    clip_share: float = 0.0
    certificate: float | None = None
    nonfinite: int = 0
    first_bad: str | None = None
    data_norm: float | None = None
    sensor_share: dict[str, float] = Field(default_factory=dict)


class GuardHealth(Part):
    """What the guard did in one epoch."""

    accepted: int = 0
    skipped_spike: int = 0
    skipped_nonfinite: int = 0
    undone: int = 0
    readmitted: int = 0
    rollbacks: int = 0


class GraphHealth(Part):
    """The graph as the network sees it after one epoch."""

    edges: int
    density: float
    jaccard: float | None = None
    threshold: float | None = None
    strength_quantiles: list[float] = Field(default_factory=list)
    spectral_radius: float | None = None
    undecided: int | None = None


class Numeric(Part):
    """The fields of `numeric` that somebody reads; there may be others."""

    model_config = ConfigDict(extra="allow")

    accepted_max: float | None = None
    forecast_share: float | None = None
    group_grad: dict[str, float] = Field(default_factory=dict)
    norms: list[float] = Field(default_factory=list)
    step_loss: tuple[float, float] | None = None
    feed_shift: dict[str, float] = Field(default_factory=dict)
    feed_still: list[str] = Field(default_factory=list)


class HealthRecord(Part):
    """One line of `health.jsonl`.

    Example:
        >>> r = HealthRecord(epoch=1, step=827, lr=5e-4, seed=1337, loss=LossHealth(train=1.05))
        >>> HealthRecord.from_line(r.to_line()) == r
        True
    """

    schema_version: int = Field(SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    attempt: int = 1
    epoch: int
    step: int
    lr: float | None
    seed: int | None
    wall_s: float = 0.0
    loss: LossHealth
    gain_over_self: float | None = None
    ablation_gap: float | None = None
    aux: dict[str, AuxHealth] = Field(default_factory=dict)
    grad: GradHealth = GradHealth()
    update_ratio: dict[str, list[float]] = Field(default_factory=dict)
    guard: GuardHealth = GuardHealth()
    graph: GraphHealth | None = None
    data: dict[str, float] = Field(default_factory=dict)
    numeric: dict[str, Any] = Field(default_factory=dict)
    resource: dict[str, float] = Field(default_factory=dict)
    diagnoses: list[Finding] = Field(default_factory=list)

    @field_validator("numeric")
    @classmethod
    def _readable(cls, given: dict[str, Any]) -> dict[str, Any]:
        Numeric.model_validate(given)
        return given

    def to_line(self) -> str:
        """One line of JSON, no line break inside."""
        return json.dumps(self.model_dump(), ensure_ascii=False, allow_nan=False)

    def news(self, epochs: int) -> dict[str, Any]:
        """What a `Progress` is told of the epoch; the loss is the held-out one where there is one.

        Args:
            epochs: how many there are at most.

        Example:
            >>> HealthRecord(epoch=1, step=9, lr=None, seed=1, loss=LossHealth(train=1.5, val=2.0)).news(60)["loss"]
            2.0
        """
        return {
            "epoch": self.epoch,
            "epochs": epochs,
            "loss": self.loss.train if self.loss.val is None else self.loss.val,
            "links": None if self.graph is None else self.graph.edges,
            "clip_share": self.grad.clip_share,
            "lr": self.lr,
        }

    @classmethod
    def from_line(cls, line: str) -> HealthRecord:
        """Inverse of `to_line`."""
        return cls.model_validate_json(line)
