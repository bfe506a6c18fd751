"""Where the gradient comes from: its norm by loss term and by sensor, as the records hold it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_low

from rcgnn.diagnosis.records import Records

DATA = "data term"
"""What the leading term is called in tables."""


@dataclass(frozen=True)
class TermShare:
    """One loss term's part of the gradient.

    Attributes:
        name: of the term; `DATA` for the leading one.
        data: it is the leading one.
        norm: weight x norm of its gradient; None where not known.
        ratio: that over the data term's; 1 for the data term itself.
        share: its part of the sum of all norms, 0 to 1.
        cosine: with the data term's gradient.
    """

    name: str
    data: bool
    norm: float | None
    ratio: float | None
    share: float | None
    cosine: float | None


def term_shares(records: Records) -> list[TermShare]:
    """Every term of the run, the data term first, medians over the epochs; empty where the log holds no gradients of terms.

    Example:
        >>> term_shares([])
        []
    """
    names = list(dict.fromkeys(name for record in records for name in record.aux))
    ratios = {name: _middle(r.aux[name].share for r in records if name in r.aux) or 0.0 for name in names}
    total = 1.0 + sum(ratios.values())
    data = _middle(r.grad.data_norm for r in records)
    if not names and data is None:
        return []
    return [TermShare(DATA, data=True, norm=data, ratio=1.0, share=1.0 / total, cosine=1.0)] + [
        TermShare(
            name,
            data=False,
            norm=_middle(r.aux[name].grad_norm for r in records if name in r.aux),
            ratio=ratios[name],
            share=ratios[name] / total,
            cosine=_middle(r.aux[name].cos_data for r in records if name in r.aux),
        )
        for name in names
    ]


def sensor_shares(records: Records) -> dict[str, float]:
    """Each sensor's part of the squared norm of the data term's gradient at its output, summed over the epochs; the largest first.

    Formula:
        sum_e g_e^2 s_e / sum_e g_e^2 over the epochs e that hold both; g the data term's gradient norm, s the sensor's share in it.
        Where no epoch holds g, all count alike.

    Example:
        >>> sensor_shares([])
        {}
    """
    largest = max((r.grad.data_norm or 0.0 for r in records), default=0.0)
    weighted = [(r.grad.sensor_share, ((r.grad.data_norm or 0.0) / largest) ** 2 if largest else 1.0) for r in records]
    total = sum(weight for share, weight in weighted if share)
    if not total:
        return {}
    names = dict.fromkeys(name for share, _ in weighted for name in share)
    shares = {name: sum(weight * share.get(name, 0.0) for share, weight in weighted) / total for name in names}
    return dict(sorted(shares.items(), key=lambda entry: -entry[1]))


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median_low(known) if known else None
