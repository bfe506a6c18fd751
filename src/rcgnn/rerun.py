"""Training again where the network lost every link: `losses.sparse` and `losses.acyclic` divided by ten, within a budget.

A loop around a call, whatever it trains: nothing here knows a network, and nothing can see a true graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from rcgnn.config import Config
from rcgnn.health import Finding, HealthRecord, Progress, silent

T = TypeVar("T")
Train = Callable[[Config, Callable[[HealthRecord], None]], T]
"""One training: its settings, and who is given every health record as it is made."""

DIVISOR = 10.0
LAMBDAS = ("sparse", "acyclic")
"""The weights in `losses` that are divided."""


@dataclass(frozen=True, eq=False)
class Repeated(Generic[T]):
    """What came of a training and its re-runs.

    Attributes:
        last: the result of the last attempt.
        records: health records of all attempts; `attempt` says which.
        config: the settings of the last attempt.
        findings: COLLAPSE where there was a re-run, else empty.
    """

    last: T
    records: list[HealthRecord]
    config: Config
    findings: list[Finding]


def until_links(
    train: Train[T],
    links: Callable[[T], int | None],
    config: Config,
    *,
    progress: Progress = silent,
    on_record: Callable[[HealthRecord], None] | None = None,
) -> Repeated[T]:
    """Train; while no link is left, at most `train.reruns` times, divide both lambdas by ten and train again.

    Every attempt begins anew, with the same seed. Two lambdas of 0 cannot be divided: then there is no re-run.

    Args:
        train: one training.
        links: links that the network has after it; None where a re-run would not be about links.
        config: the settings of the first attempt.
        progress: told of every re-run.
        on_record: given the health records of all attempts.
    """
    records: list[HealthRecord] = []
    now, attempt = config, 1

    def keep(record: HealthRecord) -> None:
        records.append(record.model_copy(update={"attempt": attempt}))
        if on_record is not None:
            on_record(records[-1])

    last = train(now, keep)
    while links(last) == 0 and attempt <= config.train.reruns and any(lambdas(now).values()):
        now, attempt = gentler(now), attempt + 1
        told = ", ".join(f"losses.{name} {value:.3g}" for name, value in lambdas(now).items())
        progress("train", {"message": f"no link was left; again with {told}"})
        last = train(now, keep)
    return Repeated(last, records, now, [_finding(config, now, attempt - 1, links(last))] if attempt > 1 else [])


def lambdas(config: Config) -> dict[str, float]:
    """The weights that are divided, by name."""
    return {name: getattr(config.losses, name) for name in LAMBDAS}


def gentler(config: Config) -> Config:
    """The same settings with both lambdas divided by ten.

    Example:
        >>> lambdas(gentler(Config().override(["losses.sparse=1", "losses.acyclic=0"])))
        {'sparse': 0.1, 'acyclic': 0.0}
    """
    divided = {name: float(f"{value / DIVISOR:.12g}") for name, value in lambdas(config).items()}  # 1e-7, not 1.0000000000000002e-07
    return config.model_copy(update={"losses": config.losses.model_copy(update=divided)})


def _finding(before: Config, after: Config, reruns: int, links: int | None) -> Finding:
    end = f"{links} link{'' if links == 1 else 's'} left in the network" if links else "still no link"
    return Finding(
        code="COLLAPSE",
        severity="act",
        message=f"the network lost every link; trained again {reruns} x with losses.sparse and losses.acyclic divided by ten: {end}.",
        remedy=f"Start with losses.sparse={after.losses.sparse:.3g} and losses.acyclic={after.losses.acyclic:.3g}."
        if links
        else "Sparsity is not what closes the links; raise train.reruns only where the screen found links.",
        evidence={"before": lambdas(before), "after": lambdas(after), "reruns": reruns, "links": links},
        applied=True,
    )
