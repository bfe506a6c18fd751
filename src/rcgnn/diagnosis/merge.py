"""The lines of one epoch of a foreign log as one health record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median_low
from typing import Any

from rcgnn.diagnosis.lines import MAY_BE_BAD, Line, mapping, scalar
from rcgnn.health import AuxHealth, GradHealth, HealthRecord, LossHealth

DATA_NAMES = ("recon", "data")
"""Names of the data term among `term_grad_norms`; where there is none it is the first."""
SMALLEST_DATA = 1e-12
"""A data gradient below this counts as this much in shares."""
LARGEST = 1e300
"""Largest ratio that is told apart."""


def finite(value: Any) -> float | None:
    """The number, or None where it is null, NaN or infinite.

    Example:
        >>> finite(1), finite(float("nan")), finite(None)
        (1.0, None, None)
    """
    number = None if value is None else float(value)
    return number if number is not None and math.isfinite(number) else None


def merged(epoch: int, lines: Sequence[Line], steps: int, where: str) -> HealthRecord:
    """One epoch: mean of losses and clip shares, all norms, the last held-out loss and learning rate.

    Args:
        epoch: its number.
        lines: at least one.
        steps: lines before this epoch; stands for `step` where the log has none.
        where: name of the file, for messages.

    Raises:
        InputError: a cell is no number or outside its bounds.
    """
    columns = {name: _column(lines, name, where) for name in ("step", "loss", "val_loss", "grad_norm", "clip_share", "lr")}
    columns |= {name: _column(lines, name, where) for name in ("input_min", "input_max")}
    norms, bad = columns["grad_norm"], _bad(lines, where)
    data, aux = _terms(lines, where)
    sensors = _means(lines, "sensors", where)
    total = sum(sensors.values())
    return HealthRecord(
        epoch=epoch,
        step=int(columns["step"][-1]) if columns["step"] else steps + len(lines),
        lr=columns["lr"][-1] if columns["lr"] else None,
        seed=None,
        loss=LossHealth(
            scale="raw",
            train=_mean(columns["loss"]),
            components=_means(lines, "terms", where),
            val=columns["val_loss"][-1] if columns["val_loss"] else None,
            per_sensor=sensors,
        ),
        aux=aux,
        grad=GradHealth(
            raw_median=median_low(norms) if norms else None,
            raw_max=max(norms, default=None),
            clip_share=_mean(columns["clip_share"]) or 0.0,
            nonfinite=len(bad),
            first_bad=bad[0] if bad else None,
            data_norm=data,
            sensor_share={name: value / total for name, value in sensors.items()} if 0 < total < math.inf else {},
        ),
        data={
            name: pick(columns[column])
            for name, column, pick in (("input_low", "input_min", min), ("input_high", "input_max", max))
            if columns[column]
        },
        numeric={"norms": norms},
    )


def _column(lines: Sequence[Line], name: str, where: str) -> list[float]:
    """The finite numbers of one field."""
    values = [scalar(line, name, where) for line in lines]
    return [value for value in values if value is not None and math.isfinite(value)]


def _bad(lines: Sequence[Line], where: str) -> list[str]:
    """`field, line n` of every line in which a number is not finite."""
    found = []
    for line in lines:
        values = {name: scalar(line, name, where) for name in MAY_BE_BAD}
        name = next((name for name, value in values.items() if value is not None and not math.isfinite(value)), None)
        found += [] if name is None else [f"{name}, line {line.number}"]
    return found


def _terms(lines: Sequence[Line], where: str) -> tuple[float | None, dict[str, AuxHealth]]:
    """Norm of the data term's gradient, and the other terms beside it."""
    norms, values, cosines = (_means(lines, name, where) for name in ("term_grad_norms", "terms", "term_cosines"))
    norms = {name: abs(norm) for name, norm in norms.items()}
    if not norms:
        return None, {}
    leading = next((name for name in DATA_NAMES if name in norms), next(iter(norms)))
    data = norms.pop(leading)
    return data, {name: _beside(norm, data, values.get(name), cosines.get(name)) for name, norm in norms.items()}


def _beside(norm: float, data: float, value: float | None, cosine: float | None) -> AuxHealth:
    share = min(norm / max(data, SMALLEST_DATA), LARGEST)
    return AuxHealth(value=value, grad_norm=norm, cos_data=None if cosine is None else max(-1.0, min(1.0, cosine)), share=share)


def _means(lines: Sequence[Line], name: str, where: str) -> dict[str, float]:
    """Mean of every entry of a mapping over the lines that have it."""
    found: dict[str, list[float]] = {}
    for line in lines:
        for key, value in mapping(line, name, where).items():
            found.setdefault(key, []).append(value)
    return {key: mean for key, values in found.items() if (mean := _mean(values)) is not None}


def _mean(values: Sequence[float]) -> float | None:
    """Mean that cannot overflow; None of nothing."""
    return sum(value / len(values) for value in values) if values else None
