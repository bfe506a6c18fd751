"""The neural stage: train `CausalNet` on the screen's candidates and ask held-out blocks what each link is worth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from rcgnn.candidates import Candidates
from rcgnn.config import Config
from rcgnn.data.windows import FLOAT32_SAFE, Windows, long_enough
from rcgnn.health import HealthRecord, Progress
from rcgnn.model.network import CausalNet
from rcgnn.numerics import generator, repeatable, rounded
from rcgnn.prepared import Prepared
from rcgnn.refined import Refined
from rcgnn.select.gain import held_out_gain
from rcgnn.series import BoolArray
from rcgnn.store import Store
from rcgnn.train.checkpoint import States, got_to_links
from rcgnn.train.own import Own, own_histories
from rcgnn.train.shared import Build
from rcgnn.train.trainer import parts, train
from rcgnn.train.training import pick_device

MOST_ROWS, MOST_CELLS, PIECE = 50_000, 1_000_000, 1000
"""Rows, and rows times sensors, that the network sees of a larger table, and how many rows lie together; `data.stride` has them all."""


def phase_one(prepared: Prepared, config: Config, *, progress: Progress, store: Store | None = None) -> Own | None:
    """Phase 1 of the training, before there are candidates; `refine` does it itself where it is not handed this.

    Args:
        prepared: see `refine`.
        config: see `refine`.
        progress: see `refine`.
        store: see `refine`.

    Returns:
        None where a training has got to its links, whatever its settings: it goes on without.
    """
    if got_to_links(store):
        return None
    scaled = prepared.scaled
    fitted, valid, _ = _windows(prepared, config)
    none = torch.zeros(config.data.lags + 1, *[scaled.shape[1]] * 2, dtype=torch.bool)
    network, device = _network(Build(scaled.shape[1], config.model, none, None, len(scaled.regime_names)), config)
    with repeatable(device, config.train.precision), rounded(device, config.train.precision):
        data, blocks = parts(fitted, valid, config, device)
        states = States.of(store, config, "without candidates")
        return own_histories(network, data, blocks, config, names=scaled.names, progress=progress, states=states)


def refine(  # noqa: PLR0913 - what it works on, then how it reports
    prepared: Prepared,
    candidates: Candidates,
    config: Config,
    *,
    progress: Progress,
    on_record: Callable[[HealthRecord], None] | None,
    over: Callable[[], bool] = lambda: False,
    store: Store | None = None,
    own: Own | None = None,
) -> Refined:
    """Train the network and evaluate its links.

    Args:
        prepared: the table, cleaned and scaled, with its held-out rows.
        candidates: the network's links.
        config: all settings.
        progress: told of every epoch.
        on_record: called with every health record.
        over: see `train`.
        store: where states of training are kept, and found again; None: nowhere.
        own: what `phase_one` gave.
    """
    scaled = prepared.scaled
    fitted, valid, used = _windows(prepared, config)
    links, order = torch.from_numpy(candidates.links), torch.from_numpy(candidates.order)
    network, device = _network(Build(scaled.shape[1], config.model, links, order, len(scaled.regime_names)), config)
    facts = known(prepared, candidates)
    states = States.of(store, config)
    with repeatable(device, config.train.precision), rounded(device, config.train.precision):
        done = train(
            network,
            fitted,
            valid,
            config,
            names=scaled.names,
            progress=progress,
            on_record=on_record,
            facts=facts,
            over=over,
            states=states,
            own=own,
        )
    gain, stderr = held_out_gain(network, valid)
    state = {name: np.ascontiguousarray(tensor.detach().cpu().numpy()) for name, tensor in network.state_dict().items()}
    thinned = None if used.all() else (int(used.sum()), len(used))
    return Refined(done.records, gain, stderr, candidates.links, done.weights, state, done.failed, done.stopped, thinned)


def _windows(prepared: Prepared, config: Config) -> tuple[Windows, Windows, BoolArray]:
    """Windows to train on, held-out ones, and [T] the rows that either may reach over."""
    scaled, held, max_lag = prepared.scaled, prepared.held, config.data.lags
    used = spread_rows(held, scaled.shape[1], thin=config.data.stride is None)
    if not long_enough(scaled, held, used, max_lag):
        used = np.ones_like(used)  # the pieces miss the few runs that are long enough
    length = max(config.data.window, max_lag + 2)
    stride = config.data.stride
    fitted, valid = (Windows.of(scaled, length=length, stride=stride, max_lag=max_lag, rows=rows) for rows in (~held & used, held & used))
    return fitted, valid, used


def _network(build: Build, config: Config) -> tuple[CausalNet, torch.device]:
    """Its first weights hang on the seed; those of own histories not on the candidates."""
    device = pick_device(config.device)
    return build.network(generator(config.seed, "network")).to(device), device


def spread_rows(held: BoolArray, sensors: int, *, thin: bool) -> BoolArray:
    """[T] rows that the network sees: all, or of a table above `MOST_ROWS` or `MOST_CELLS` about so many, in pieces spread over it.

    Held-out rows [T] and the others are thinned each by themselves, so that neither side is ever empty.

    Example:
        >>> held = np.arange(200_000) >= 160_000
        >>> used = spread_rows(held, 13, thin=True)
        >>> int(used[held].sum()), int(used[~held].sum()), bool(spread_rows(held, 13, thin=False).all())
        (10000, 40000, True)
    """
    used = np.ones(len(held), bool)
    most = min(MOST_ROWS, MOST_CELLS // sensors)
    if len(held) > most and thin:
        for side in (held, ~held):
            used[side] = np.arange(int(side.sum())) % (PIECE * len(held) / most) < PIECE
    return used


def known(prepared: Prepared, candidates: Candidates) -> dict[str, float]:
    """What table and screen say, for `data` of the health record: pairs, sensors, share of the observed readings."""
    scaled, far = prepared.scaled, 0
    for column, seen in scaled.by_sensor():
        far += int((np.abs(column[seen]) > FLOAT32_SAFE).sum())
    report = prepared.report
    return {
        "screened": float(candidates.screened),
        "clipped_share": far / max(int(scaled.mask.sum()), 1),
        "left_out": float(len(report.quarantined)),
        "aliases": float(len(report.aliases)),
    }
