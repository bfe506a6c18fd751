"""The trainer: first every sensor from its own past, then the links; one health record an epoch.

The loop reads top to bottom. What can go wrong inside a step is `train.step` and `train.guard`; what is judged over
epochs is `diagnosis`, and what is done about it `train.remedies`. Nothing here can see a true graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rcgnn.config import Config
from rcgnn.data.windows import Windows
from rcgnn.diagnosis import diagnose
from rcgnn.diagnosis.graph import bypass
from rcgnn.health import NOT_LEARNING, Finding, HealthRecord, Progress, silent
from rcgnn.model.network import CausalNet
from rcgnn.model.start import linear_start
from rcgnn.numerics import generator
from rcgnn.train.batches import HIDDEN_SHARE, Batches, hide
from rcgnn.train.certificate import parameter_certificate
from rcgnn.train.checkpoint import States
from rcgnn.train.feed import compared
from rcgnn.train.held_out import HeldOut
from rcgnn.train.judge import Judge, gain_of, hold_out, links_cost
from rcgnn.train.null_threshold import null_threshold
from rcgnn.train.own import Own, own_histories
from rcgnn.train.record import grad_health, graph_health, loss_health, resident_mb, typical, update_ratios
from rcgnn.train.remedies import treat
from rcgnn.train.stopping import Stopping
from rcgnn.train.training import Training, pick_device, snapshot

FloatArray = NDArray[np.float64]

CERTIFY_EVERY = 10
"""Epochs between two measurements of the certificate."""
CERTIFY_WINDOWS = 16
"""Windows it is measured on: with fewer the bound per cell grows as the norm of the Jacobian shrinks, so their product stays."""
START_WINDOWS = 512
"""Most windows that the linear start solves on."""


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What training leaves behind; the network itself is in its best state.

    Attributes:
        records: one health record an epoch.
        weights: [R, K+1, N, N] float64 link weights of the best state, `[r, k, i, j]`.
        gain: [N] held-out loss that the links save each sensor (nats of its log error), against the better of the self
            baseline and this network with its links closed; 0 where nothing was held out.
        failed: None, or "refinement failed: <rule>": the caller answers with the screen's graph.
        stopped: `patience`, `epochs`, `time`, `failed`, or the code of the finding that ended it. `NOT_LEARNING`: the links cost more
            than one standard error of held-out loss, so the network went back to own histories and its links are closed.
        best_epoch: epoch of the best state; 0 when no epoch could be judged.
        state: network weights of the best state by name.
    """

    records: list[HealthRecord]
    weights: FloatArray
    gain: FloatArray
    failed: str | None
    stopped: str
    best_epoch: int
    state: dict[str, Tensor] = field(repr=False)


def train(  # noqa: PLR0913 - what a run needs, then how it reports
    network: CausalNet,
    train: Windows,
    valid: Windows,
    config: Config,
    *,
    names: Sequence[str],
    progress: Progress = silent,
    on_record: Callable[[HealthRecord], None] | None = None,
    facts: Mapping[str, float] = MappingProxyType({}),
    over: Callable[[], bool] = lambda: False,
    states: States | None = None,
    own: Own | None = None,
) -> TrainResult:
    """Train the network on `train`, judge it on the held-out blocks of `valid`.

    1. Every sensor from its own past, links closed: the self baseline, and residuals for the sparsity threshold.
    2. All parameters, links open, sparsity by a proximal step, until held-out loss and graph stand still.

    Args:
        network: changed in place, left in its best state on the CPU.
        train: training windows, in the order of time.
        valid: held-out windows; neighbouring ones form a block. May be empty: then nothing stops early.
        config: the run's settings; the same seed gives the same records (times aside) and weights.
        names: N sensor names.
        progress: told about every epoch.
        on_record: given every health record as soon as it is complete.
        facts: what is known of table and screen; beside the trainer's own under `data` of every record.
        over: asked after every epoch; True ends training with it, as where time is short.
        states: where the state after an epoch is kept, and found again: then the records so far are handed out again, and
            training goes on to the same end.
        own: what came of step 1, where it was done before; None: it is done now.

    Returns:
        Always an answer: a run that cannot be saved says so in `failed` and leaves the last good weights.
    """
    device, states = pick_device(config.device), States() if states is None else states
    network.to(device)
    data, blocks = parts(train, valid, config, device)
    judge, records, saved = Judge(blocks, None, Stopping(config.train.patience)), list[HealthRecord](), states.load("links")
    useless = None
    if saved is None:
        own = own or own_histories(network, data, blocks, config, names=names, progress=progress, over=over, states=states)
        useless = _begin(network, own, judge, data)
    training = Training(network, data, config, names, "links", config.train.epochs)  # its first good state is the linear start
    if useless is not None:
        training.fail(useless)
        return _result(training, judge, records)
    if saved is not None:
        records += judge.go_on(training, saved, on_record)
    elif training.controls.balancer.proximal:
        null = null_threshold(network, data.readable(), generator(config.seed, "null-threshold"))
        training.controls.balancer.threshold = config.losses.sparse * null
    for epoch in range(len(records) + 1, config.train.epochs + 1):
        began = time.perf_counter()
        if epoch % CERTIFY_EVERY == 1:
            certify(training, epoch)
            progress("train", {"message": _promise(training)})
        training.epoch(epoch)
        if over():
            training.stop("time")
        last = epoch == config.train.epochs or training.stopped is not None
        held_out = hold_out(training, judge, epoch) if epoch % config.train.eval_every == 0 or last else None
        record = make_record(training, judge, held_out, epoch, names)
        known = {"data": {**record.data, **facts}}
        record = record.model_copy(update=known | _timing(record, time.perf_counter() - began))
        record = record.model_copy(update={"diagnoses": _findings(training, records, record)})
        records.append(record)
        if on_record is not None:
            on_record(record)
        progress("train", record.news(config.train.epochs))
        if training.stopped is not None:
            break
        states.save("links", partial(judge.everything, training, records))
    return _result(training, judge, records)


def parts(train: Windows, valid: Windows, config: Config, device: torch.device) -> tuple[Batches, list[Batches]]:
    """Windows to train on, and held-out blocks, on the device."""
    return Batches.of(train, device), Batches.of(valid, device).readable().blocks(config.data.valid_blocks)


def _begin(network: CausalNet, own: Own, judge: Judge, data: Batches) -> str | None:
    """Where phase 2 starts; why it cannot, where phase 1 left nothing to go on from."""
    judge.baseline, judge.alone = own.baseline, own.given_to(network)
    if own.useless is None:
        _start_linear(network, data.readable())
    return own.useless


def _start_linear(network: CausalNet, data: Batches) -> None:
    """Own past and links start at the network's linear part, solved in closed form on windows spread over the table."""
    if len(data):
        spread = torch.linspace(0, len(data) - 1, min(len(data), START_WINDOWS)).long().to(data.values.device)
        network.load_linear(*linear_start(network, data.take(spread)))


def certify(training: Training, epoch: int) -> None:
    """Measure the certificate on one batch and hand it to the guard; only a hierarchy has one."""
    if not training.controls.balancer.proximal or len(training.data) == 0:
        return
    seed, data = training.config.seed, training.data.readable()
    drawn = torch.randperm(len(data), generator=generator(seed, "certificate-batch", epoch))[: min(training.batch, CERTIFY_WINDOWS)]
    index = drawn.to(data.values.device)
    batch = data.take(index, hide(data.mask[index], HIDDEN_SHARE, generator(seed, "certificate-hidden", epoch)))
    bound = parameter_certificate(training.network, batch, training.stepper.parameters, generator(seed, "certificate", epoch))
    training.controls.guard.certificate = bound if np.isfinite(bound) and bound > 0 else None


def make_record(training: Training, judge: Judge, held_out: HeldOut | None, epoch: int, names: Sequence[str]) -> HealthRecord:
    """Everything one epoch says about itself; see docs/health-log.md."""
    controls, log = training.controls, training.stepper.take_log()
    loss = loss_health(log, held_out, judge.baseline, names)
    structure = training.network.structure
    threshold = typical(controls.balancer.threshold) if controls.balancer.proximal else None
    gap = None if held_out is None else float(held_out.closed_blocks.mean() - held_out.blocks.mean())
    return HealthRecord(
        epoch=epoch,
        step=training.steps,
        lr=controls.schedule.lr,
        seed=training.config.seed,
        loss=loss,
        gain_over_self=None if loss.val is None or loss.self_baseline is None else loss.self_baseline - loss.val,
        ablation_gap=gap,
        aux=log.aux,
        grad=grad_health(log, controls.guard.certificate),
        update_ratio=update_ratios(log, list(training.stepper.groups)),
        guard=controls.guard.take_counts(),
        graph=graph_health(structure, threshold, None if held_out is None else judge.stopping),
        data={
            "observed_share": training.data.observed_share,
            "hidden_share": HIDDEN_SHARE,
            "windows": float(len(training.data)),
            "quarantined": float(training.quarantine.count(epoch)),
            "candidates": float(structure.pairs.sum()),
            **training.data.input_range,
        },
        numeric={
            "dtype": str(structure.base.dtype).removeprefix("torch."),
            "param_absmax": max(float(p.detach().abs().max()) for p in training.stepper.parameters if p.numel()),
            "group_grad": log.group_grad,
            "accepted_max": log.accepted_max,
            "forecast_share": log.forecast_share,
            "step_loss": [median(log.losses), max(log.losses)] if log.losses else None,
            **compared(log.feed, training.usual, names),
        },
    )


def _timing(record: HealthRecord, seconds: float) -> dict[str, object]:
    taken = record.guard.accepted + record.guard.skipped_spike + record.guard.skipped_nonfinite + record.guard.undone
    resource = {"steps_per_s": taken / max(seconds, 1e-9)}
    peak = resident_mb()
    return {"wall_s": seconds, "resource": resource if peak is None else {**resource, "rss_mb": peak}}


def _findings(training: Training, records: list[HealthRecord], record: HealthRecord) -> list[Finding]:
    """What is new in this epoch, each with what was done about it."""
    known = [finding for earlier in records for finding in earlier.diagnoses]
    found = [finding for finding in diagnose([*records, record], training.config) if finding not in known]
    return [treat(training, finding) for finding in found]


def _result(training: Training, judge: Judge, records: list[HealthRecord]) -> TrainResult:
    network = training.network
    if training.failed is None and training.taken == 0:
        training.fail(training.controls.guard.last_rule)
    if judge.best is not None:
        network.load_state_dict(judge.best)
    best = judge.stopping.best_epoch or (len(records) if not judge.blocks else 0)
    if training.failed is None and bypass(records[:best], training.config) is not None:
        training.fail("BYPASS")
    given_back = training.failed is None and judge.alone is not None and links_cost(judge)
    if given_back and judge.alone is not None:
        network.load_state_dict(judge.alone)
        network.structure.close()
    network.to("cpu")
    sensors = network.structure.base.shape[-1]
    return TrainResult(
        records=records,
        weights=network.structure.weights().detach().double().numpy(),
        gain=np.zeros(sensors) if judge.best_held_out is None or given_back else gain_of(judge.best_held_out, judge.baseline),
        failed=training.failed,
        stopped=NOT_LEARNING if given_back else training.stopped or "epochs",
        best_epoch=best,
        state=snapshot(network),
    )


def _promise(training: Training) -> str:
    bound = training.controls.guard.certificate
    return "no gradient certificate for a fixed sum of losses" if bound is None else f"no gradient norm above {bound:.3g} (certificate)"
