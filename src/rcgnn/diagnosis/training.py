"""Rules about training: incidents, clipping, step sizes, the course of the losses, auxiliaries.

Source: SageMaker Debugger and AutoTrainer (Zhang et al., ICSE 2021).
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean, median, median_low

from rcgnn.config import Config
from rcgnn.diagnosis.norms import spikes
from rcgnn.diagnosis.records import TAIL, Records, evaluated_of, is_raw, log_errors, norms_of, since_remedy, training_error, warm
from rcgnn.health import Finding, HealthRecord

CLIPPED_WARN, CLIPPED_ACT = 0.2, 0.5
RATIO_HIGH, RATIO_LOW = 0.1, 1e-6
LOSS_SPIKE = 2.0  # log error: a step whose error is 7 times the ordinary one
STALLED_EVALUATIONS = 10
OSCILLATION_AMPLITUDE, OSCILLATION_SHARE, OSCILLATION_EVALUATIONS = 0.03, 0.2, 6
OVERFIT_EXCESS, OVERFIT_EVALUATIONS = 0.1, 5
AUX_SHARE, AUX_COSINE, AUX_RAW = 0.3, 0.9, 100.0
VANISHED, VANISHED_SHARE = 1e-7, 1e-3
ROUNDING = 1e-4  # single-precision slack of a bound that can be met with equality


def nonfinite(records: Records, _config: Config) -> Finding | None:
    """NONFINITE: a loss, a gradient or a parameter was NaN or infinite."""
    count = sum(max(r.grad.nonfinite, r.guard.skipped_nonfinite) for r in records)
    if not count:
        return None
    first = next(r for r in records if r.grad.nonfinite or r.guard.skipped_nonfinite)
    rollbacks, skipped = (sum(getattr(r.guard, name) for r in records) for name in ("rollbacks", "skipped_nonfinite"))
    where = next((r.grad.first_bad for r in records if r.grad.first_bad), None)
    return Finding(
        code="NONFINITE",
        severity="act" if rollbacks or not skipped else "warn",
        message=f"{count} step(s) were not finite, first in epoch {first.epoch} in {where or 'an unnamed tensor'}.",
        remedy="The steps were skipped and their windows set aside; look at that sensor for infinities or extreme readings.",
        evidence={"steps": count, "first_epoch": first.epoch, "first_bad": where, "rollbacks": rollbacks},
        applied=bool(skipped),
    )


def spike(records: Records, _config: Config) -> Finding | None:
    """SPIKE: log gradient norm more than 6 MAD above the median of the accepted steps, or above the certificate; or a loss 2 above."""
    skipped = sum(r.guard.skipped_spike for r in records)
    if not skipped:
        return _spike_unguarded(records) if is_raw(records) else _loss_spike(records)
    readmitted, rollbacks = sum(r.guard.readmitted for r in records), sum(r.guard.rollbacks for r in records)
    return Finding(
        code="SPIKE",
        severity="act" if readmitted or rollbacks else "info",
        message=f"{skipped} step(s) had a gradient far above the run's own level and were skipped.",
        remedy="Nothing to do for a few; when they recur, look for outliers in the table or lower train.lr.",
        evidence={"skipped": skipped, "readmitted": readmitted, "rollbacks": rollbacks},
        applied=True,
    )


def _spike_unguarded(records: Records) -> Finding | None:
    """The same from the norms themselves, where no guard watched the steps."""
    norms = norms_of(records)
    found = spikes([norm for _, norm in norms])
    if not found:
        return None
    epoch, norm = norms[found[0]]
    level = median_low([other for _, other in norms[: found[0]]])
    return Finding(
        code="SPIKE",
        severity="warn",
        message=f"{len(found)} gradient norm(s) far above the run's level, first in epoch {epoch}: {norm:.3g} where {level:.3g} is usual.",
        remedy="Look for outliers in the table or lower train.lr.",
        evidence={"spikes": len(found), "first_epoch": epoch, "norm": norm, "level": level},
    )


def _loss_spike(records: Records) -> Finding | None:
    """A step's loss more than 2 above the median of its epoch and the two before; the gradient of a log error is bounded all the same."""
    losses = [(r.epoch, *r.numeric["step_loss"]) for r in records if r.numeric.get("step_loss")]
    over = [(top - median(middle for _, middle, _ in losses[max(0, n - TAIL + 1) : n + 1]), e) for n, (e, _, top) in enumerate(losses)]
    excess, epoch = max(over, default=(0.0, 0))
    if excess <= LOSS_SPIKE:
        return None
    return Finding(
        code="SPIKE",
        severity="info",
        message=f"the loss of a step in epoch {epoch} was {excess:.1f} above the run's own level.",
        remedy="Nothing to do for a few; when they recur, look for outliers in the table.",
        evidence={"loss_excess": excess, "epoch": epoch},
    )


def certificate(records: Records, _config: Config) -> Finding | None:
    """CERTIFICATE: an accepted norm above its bound is a defect of the program, not of the data.

    `numeric.accepted_max` (else `grad.raw_max`) / `grad.certificate`, and `numeric.forecast_share`: the same at the forecast.
    """
    worst, ratio = None, 1.0
    for record in records:
        largest = record.numeric.get("accepted_max", record.grad.raw_max)
        over = largest / record.grad.certificate if largest is not None and record.grad.certificate else 0.0
        over = max(over, (record.numeric.get("forecast_share") or 0.0) / (1 + ROUNDING))
        worst, ratio = (record, over) if over > ratio else (worst, ratio)
    if worst is None:
        return None
    return Finding(
        code="CERTIFICATE",
        severity="stop",
        message=f"epoch {worst.epoch}: a gradient is {ratio:.3g} times as large as its certificate allows.",
        remedy="A defect of the program: the screen's graph is returned; please report it with health.jsonl.",
        evidence={"epoch": worst.epoch, "ratio": ratio, "raw_max": worst.grad.raw_max, "certificate": worst.grad.certificate},
    )


def clipped_often(records: Records, config: Config) -> Finding | None:
    """CLIPPED_OFTEN: share of clipped steps after warm-up above 20 % (warn) or 50 % (act)."""
    tail = warm(since_remedy(records, "CLIPPED_OFTEN"), config)[-TAIL:]
    if len(tail) < TAIL:
        return None
    share = fmean(r.grad.clip_share for r in tail)
    if share <= CLIPPED_WARN:
        return None
    return Finding(
        code="CLIPPED_OFTEN",
        severity="act" if share > CLIPPED_ACT else "warn",
        message=f"{share:.0%} of the last {TAIL} epochs' steps were clipped.",
        remedy="Learning rate halved (at most 3 times).",
        evidence={"share": share, "lr": records[-1].lr},
    )


def vanishing(records: Records, _config: Config) -> Finding | None:
    """VANISHING: mean absolute gradient of a parameter group below 1e-7, or 1e-3 of the median group, for 3 epochs.

    Where no groups are known: the norm over all parameters below 1e-7 for 3 epochs.
    """
    if not any(r.numeric.get("group_grad") for r in records):
        return _vanished_whole(records)
    tail = [r.numeric["group_grad"] for r in since_remedy(records, "VANISHING") if r.numeric.get("group_grad")][-TAIL:]
    if len(tail) < TAIL:
        return None
    low = set(tail[0])
    for groups in tail:
        middle = median(groups.values())
        low &= {name for name, value in groups.items() if value < VANISHED or value < VANISHED_SHARE * middle}
    if not low:
        return None
    return Finding(
        code="VANISHING",
        severity="act",
        message=f"the gradient of {', '.join(sorted(low))} has vanished for {TAIL} epochs.",
        remedy="Re-initialised from the screen.",
        evidence={"groups": sorted(low), "group_grad": tail[-1]},
    )


def _vanished_whole(records: Records) -> Finding | None:
    norms = [r.grad.raw_median for r in since_remedy(records, "VANISHING") if r.grad.raw_median is not None][-TAIL:]
    if len(norms) < TAIL or max(norms) >= VANISHED:
        return None
    return Finding(
        code="VANISHING",
        severity="act",
        message=f"the gradient has vanished for {TAIL} epochs (norm {norms[-1]:.3g}).",
        remedy="Re-initialised from the screen.",
        evidence={"norms": norms},
    )


def update_ratio(records: Records, config: Config) -> Finding | None:
    """UPDATE_RATIO: median norm(step) / norm(weight) of a group above .1 or below 1e-6 in each of 3 epochs after warm-up.

    Also any step that would have moved all weights together by more than their own size; it was undone.
    """
    if any(r.guard.undone for r in records):
        return _undone(records)
    tail = [r.update_ratio for r in warm(since_remedy(records, "UPDATE_RATIO"), config) if r.update_ratio][-TAIL:]
    if len(tail) < TAIL:
        return None
    medians = {name: [groups[name][1] for groups in tail if name in groups] for name in tail[-1]}
    high = sorted(name for name, values in medians.items() if min(values) > RATIO_HIGH)
    low = sorted(name for name, values in medians.items() if max(values) < RATIO_LOW)
    if not high and not (low and len(low) == len(medians)):
        return None
    return Finding(
        code="UPDATE_RATIO",
        severity="act",
        message=f"steps are too {'large' if high else 'small'} for the weights of {', '.join(high or low)}.",
        remedy=f"Learning rate x {0.5 if high else 2}.",
        evidence={"high": high, "low": low, "median": {name: values[-1] for name, values in medians.items()}},
    )


def _undone(records: Records) -> Finding:
    undone, rollbacks = sum(r.guard.undone for r in records), sum(r.guard.rollbacks for r in records)
    first = next(r.epoch for r in records if r.guard.undone)
    return Finding(
        code="UPDATE_RATIO",
        severity="act",
        message=f"{undone} step(s) would have moved the weights by more than their own size, first in epoch {first}.",
        remedy="The steps were undone; lower train.lr.",
        evidence={"undone": undone, "first_epoch": first, "rollbacks": rollbacks},
        applied=True,
    )


def not_learning(records: Records, _config: Config) -> Finding | None:
    """NOT_LEARNING: over 10 evaluations the held-out loss gained less than one s.e., and it does not beat own history."""
    evaluated = evaluated_of(records)
    if len(evaluated) < STALLED_EVALUATIONS:
        return None
    losses = [loss for _, loss in evaluated[-STALLED_EVALUATIONS:]]
    last = evaluated[-1][0]
    error = last.loss.val_stderr or 0.0
    gained = losses[0] - min(losses)
    if gained >= max(error, 1e-12) or last.gain_over_self is None or last.gain_over_self > error:
        return None
    return Finding(
        code="NOT_LEARNING",
        severity="warn",
        message="the other sensors' past does not improve the forecast of any sensor beyond its own past.",
        remedy="No links found, or too little data to tell: read the power statement of the report.",
        evidence={"gained": gained, "stderr": error, "gain_over_self": last.gain_over_self},
    )


def oscillation(records: Records, _config: Config) -> Finding | None:
    """OSCILLATION: the held-out loss turns up and down by more than .03 in over 20 % of the evaluations."""
    losses = log_errors(records, [loss for _, loss in evaluated_of(since_remedy(records, "OSCILLATION"))])
    if len(losses) < OSCILLATION_EVALUATIONS:
        return None
    moves = [b - a for a, b in pairwise(losses)]
    turns = [min(abs(a), abs(b)) > OSCILLATION_AMPLITUDE and a * b < 0 for a, b in pairwise(moves)]
    share = sum(turns) / len(turns)
    if share <= OSCILLATION_SHARE:
        return None
    return Finding(
        code="OSCILLATION",
        severity="act",
        message=f"the held-out loss swings in {share:.0%} of the evaluations.",
        remedy="Learning rate halved, batch doubled.",
        evidence={"share": share, "amplitude": max(abs(m) for m in moves)},
    )


def overfit(records: Records, _config: Config) -> Finding | None:
    """OVERFIT: held-out error > 10 % above training error for 5 evaluations, none of them the best one.

    The data term is a mean log error, so the relative excess is `exp(val - train) - 1`. A held-out block that is merely
    harder keeps a constant distance; the second condition asks that the loss has turned.
    """
    evaluated = evaluated_of(since_remedy(records, "OVERFIT"))
    if len(evaluated) <= OVERFIT_EVALUATIONS:
        return None
    tail = evaluated[-OVERFIT_EVALUATIONS:]
    excess = [_excess(r, loss) for r, loss in tail]
    best = min(loss for _, loss in evaluated)
    if min(excess) <= OVERFIT_EXCESS or min(loss for _, loss in tail) <= best or tail[-1][1] <= best + (tail[-1][0].loss.val_stderr or 0.0):
        return None
    return Finding(
        code="OVERFIT",
        severity="act",
        message=f"the held-out error is {excess[-1]:.0%} above the training error and rising.",
        remedy="Stopped, best state restored; use a stricter losses.sparse or more rows.",
        evidence={"excess": excess[-1], "best": best, "val": tail[-1][1]},
    )


def _excess(record: HealthRecord, held_out: float) -> float:
    """Relative excess of the held-out error over the training error; 0 where it cannot be told."""
    train = training_error(record)
    if train is None:
        return 0.0
    if record.loss.scale == "raw":
        return math.sqrt(min(held_out / train, 1e40)) - 1 if held_out > 0 and train > 0 else 0.0
    return math.expm1(min(held_out - train, 50.0))


def aux_dominates(records: Records, config: Config) -> Finding | None:
    """AUX_DOMINATES: before any cap the auxiliaries exceed .3 of the data gradient and turn it (cosine < .9).

    With balance `hierarchy` they are projected and capped, so it is worth a line only from a raw ratio of 100.
    The cosine takes the auxiliaries' parts across the data gradient as mutually orthogonal; where it is not known, the share decides.
    """
    last = next((r for r in reversed(records) if r.aux), None)
    if last is None:
        return None
    share, cosine = sum(a.share for a in last.aux.values()), _turned(last)
    capped = config.losses.balance == "hierarchy"
    if share <= (AUX_RAW if capped else AUX_SHARE) or (cosine is not None and cosine >= AUX_COSINE and not capped):
        return None
    top = max(last.aux, key=lambda name: last.aux[name].share)
    return Finding(
        code="AUX_DOMINATES",
        severity="info" if capped else "warn",
        message=f"the auxiliary {top} pulls {last.aux[top].share:.3g} times as hard as the data.",
        remedy="Projected and capped." if capped else "Use losses.balance=hierarchy, or lower losses." + top + ".",
        evidence={"share": share, "cosine": cosine, "term": top},
        applied=capped,
    )


def _turned(record: HealthRecord) -> float | None:
    """Cosine of the whole gradient with the data gradient; None where one of the terms' is not known."""
    known = [(a.share, a.cos_data) for a in record.aux.values() if a.cos_data is not None]
    if len(known) < len(record.aux):
        return None
    along = 1.0 + sum(share * cosine for share, cosine in known)
    across = math.hypot(*(share * math.sqrt(max(0.0, 1.0 - cosine**2)) for share, cosine in known))
    return along / max(math.hypot(along, across), 1e-30)
