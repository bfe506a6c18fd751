"""The origin's run, rebuilt: same numbers as a plain loop, same figures as its table, and a truth that steers nothing."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

from rcgnn.config import Config
from rcgnn.errors import ConfigError, FitFailedError, InputError
from rcgnn.origin import EpochReport, fit_origin
from rcgnn.origin.anatomy import dissect
from rcgnn.origin.network import TERMS, OriginNet, cut
from rcgnn.origin.optimizer import Adam, Plateau, schedule
from rcgnn.origin.record import THRESHOLD
from rcgnn.origin.trainer import held_out_loss
from rcgnn.origin.windows import prepare, shuffled_rows
from rcgnn.series import Series, concatenate

ROOT = Path(__file__).parents[2]
UCI = ROOT.parent / "shared" / "data" / "air_quality_uci" / "data.csv"
EPOCH_FIELDS = {
    "epoch", "train_loss", "train_loss_components", "val_f1", "val_shd", "edge_count", "grad_clip_ratio", "learning_rate",
    "best_threshold", "epoch_time",
}  # fmt: skip
SUMMARY_FIELDS = {
    "total_time", "epochs", "best_shd", "best_f1", "best_threshold", "final_edge_count", "true_edge_count", "avg_grad_clip_ratio",
    "final_learning_rate",
}  # fmt: skip


def _plain():
    spec = importlib.util.spec_from_file_location("origin_tables", ROOT / "benchmarks" / "origin_tables.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


plain = _plain()


def table(rows: int = 90, sensors: int = 4, missing: float = 0.1) -> Series:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(rows, sensors)).cumsum(axis=0) + 5 * np.arange(sensors)
    values[rng.random(values.shape) < missing] = np.nan
    return Series.of(values)


def config(recipe: str = "origin-after", **sections) -> Config:
    return Config.parse({"recipe": recipe, "train": {"epochs": 3}} | sections)


def autograd(net: OriginNet, reference, x, mask, settings: Config):
    """Loss of the plain network with the weights of `net`, and its gradient by name of `net`."""
    with torch.no_grad():
        for e, encoder in enumerate(reference.encoders):
            for layer, name in ((encoder[0], "in"), (encoder[2], "out")):
                layer.weight.copy_(net.weight[f"encoder.{name}.weight"][e].T)
                layer.bias.copy_(net.weight[f"encoder.{name}.bias"][e, 0])
        for layer, name in ((reference.decoder[0], "in"), (reference.decoder[2], "out")):
            layer.weight.copy_(net.weight[f"decoder.{name}.weight"].T)
            layer.bias.copy_(net.weight[f"decoder.{name}.bias"])
        reference.graph.copy_(net.weight["graph"])
    reference.double()
    loss = plain.plain_loss(reference, x.double(), mask.double(), settings)
    loss.backward()
    gradient = {"graph": reference.graph.grad}
    for name, k in (("in", 0), ("out", 2)):
        gradient[f"encoder.{name}.weight"] = torch.stack([e[k].weight.grad.T for e in reference.encoders])
        gradient[f"encoder.{name}.bias"] = torch.stack([e[k].bias.grad[None] for e in reference.encoders])
        gradient[f"decoder.{name}.weight"] = reference.decoder[k].weight.grad.T
        gradient[f"decoder.{name}.bias"] = reference.decoder[k].bias.grad
    return loss, gradient


@pytest.mark.parametrize("only", [*TERMS, "all"])
def test_written_gradient_is_autograds(only):
    weights = {term: float(only in (term, "all")) for term in TERMS}
    settings = config(losses=weights)
    net = OriginNet(5, torch.Generator().manual_seed(0))
    net.weight["graph"].fill_diagonal_(1.0)  # cycles, so that acyclicity has something to say
    x, mask = torch.randn(48, 5, generator=torch.Generator().manual_seed(1)), torch.ones(48, 5)
    mask[::3, 1] = 0
    terms = net.backward(x, mask, tuple(weights.values()))
    loss, gradient = autograd(net, plain.PlainNet(5), x, mask, settings)
    assert float(terms @ torch.tensor(list(weights.values()))) == pytest.approx(loss.item(), rel=1e-5)
    for name, view in net.gradient.items():
        torch.testing.assert_close(view, gradient[name].float(), rtol=1e-3, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}")


def test_a_step_taken_apart_is_its_terms_and_changes_nothing():
    weights, rest = (2.0, 0.3, 0.5, 0.1), torch.Generator().manual_seed(1)
    net = OriginNet(5, torch.Generator().manual_seed(0))
    net.weight["graph"].fill_diagonal_(1.0)
    x, mask = torch.randn(48, 5, generator=rest), torch.ones(48, 5)
    mask[::3, 1] = 0
    net.backward(x, mask, weights)
    whole, flat, state = net.slope.clone(), net.flat.clone(), torch.get_rng_state()
    parts = dissect(net, x, mask, weights)
    assert torch.equal(net.flat, flat)
    assert torch.equal(torch.get_rng_state(), state)
    alone = {}
    for number, term in enumerate(TERMS):
        net.backward(x, mask, tuple(w if number == other else 0.0 for other, w in enumerate(weights)))
        alone[term] = net.slope.double().clone()
    torch.testing.assert_close(sum(alone.values()).float(), whole)
    assert parts.data_norm == pytest.approx(float(alone["recon"].norm()))
    assert set(parts.aux) == {"sparse", "acyclic", "disen"}
    for term, health in parts.aux.items():
        cosine = float(torch.nn.functional.cosine_similarity(alone[term], alone["recon"], dim=0))
        assert (health.grad_norm, health.cos_data) == (pytest.approx(float(alone[term].norm())), pytest.approx(cosine, abs=1e-9))
        assert health.share == pytest.approx(health.grad_norm / parts.data_norm)
    assert sum(parts.residuals) / 5 == pytest.approx(float(net.backward(x, mask, (1.0, 0.0, 0.0, 0.0))[0]), rel=1e-5)
    net.backward(x, mask, weights)
    assert torch.equal(net.slope, whole)


def test_records_say_where_the_gradient_comes_from():
    series = table()
    for record in fit_origin(series, config("origin-before")).records:
        assert set(record.aux) == {"sparse", "acyclic", "disen"}
        assert record.grad.data_norm > 0
        assert set(record.loss.per_sensor) == set(record.grad.sensor_share) == set(series.names)
        assert sum(record.grad.sensor_share.values()) == pytest.approx(1.0)
        assert record.loss.scale == "raw"
        assert (record.data["input_low"], record.data["input_high"]) == prepare(series, config("origin-before").data).raw_range


def test_start_is_that_of_ordinary_modules():
    net = OriginNet(4, torch.Generator().manual_seed(1337))
    with torch.random.fork_rng():
        torch.manual_seed(1337)
        reference = plain.PlainNet(4)
    assert torch.equal(net.weight["graph"], reference.graph)
    assert torch.equal(net.weight["encoder.out.weight"][2], reference.encoders[2][2].weight.T)
    assert torch.equal(net.weight["decoder.out.bias"], reference.decoder[2].bias)


def test_order_is_that_of_a_dataloader():
    data = prepare(table(), config().data)
    draw = torch.Generator().manual_seed(5)
    ours = [shuffled_rows(data, draw)[:: data.window] for _ in range(2)]
    with torch.random.fork_rng():
        torch.manual_seed(5)
        loader = DataLoader(TensorDataset(data.starts), batch_size=8, shuffle=True)
        theirs = [torch.cat([batch[0] for batch in loader]) for _ in range(2)]
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])
    assert not torch.equal(ours[0], ours[1])


@pytest.mark.parametrize("recipe", ["origin-before", "origin-after"])
def test_fit_equals_the_plain_loop(recipe):
    series, settings = table(), config(recipe)
    fast = fit_origin(series, settings).records
    slow = list(plain.plain_run(prepare(series, settings.data), settings))
    assert [r.loss.train for r in fast] == pytest.approx([e.loss for e in slow], rel=1e-4)
    assert [r.grad.clip_share for r in fast] == [e.clip_share for e in slow]


@pytest.mark.skipif(not UCI.is_file(), reason="the UCI Air Quality table is not here")
class TestTables:
    @pytest.fixture(scope="class")
    @staticmethod
    def uci() -> Series:
        values = np.genfromtxt(UCI, delimiter=",", skip_header=1)
        return Series.of(np.vstack([values, np.full((plain.BLANK_ROWS, 13), np.nan)]))

    def test_windows_and_ranges(self, uci):
        data = prepare(uci, config().data)
        assert len(data.starts) == 6613
        assert data.raw_range == (0.0, 2775.0)
        assert data.range == pytest.approx((-4.128, 10.820), abs=5e-4)

    def test_after(self, uci):
        settings = config(train={"epochs": 4})
        losses = [1.0496, 0.0628, 0.0181, 0.0105]
        shares = [0.964, 0.388, 0.040, 0.007]
        ours = plain.our_run(uci, settings)
        assert [e.loss for e in ours] == pytest.approx(losses, abs=1e-4)
        assert [e.clip_share for e in ours] == pytest.approx(shares, abs=2e-3)
        assert [ours[0].norms[k] for k in (275, 550, 825)] == pytest.approx([2.5731, 1.8228, 1.364], rel=1e-3)

    def test_before(self, uci):
        first = plain.our_run(uci, config("origin-before", train={"epochs": 1}))[0]
        assert first.loss == pytest.approx(21444, rel=1e-3)
        assert first.norms[275] == pytest.approx(27971, rel=1e-3)
        assert first.clip_share > 0.9


def test_scaling_is_over_the_cells_of_all_training_windows():
    series = table(40, 3)
    data = prepare(series, config().data)
    filled = np.where(series.mask, series.values, 0.0)
    cells = np.concatenate([filled[s : s + 24] for s in data.starts.tolist()])
    expected = (filled - cells.mean(0)) / (cells.std(0, ddof=1) + 1e-8)
    np.testing.assert_allclose(data.x.numpy(), expected, atol=1e-5)


def test_windows_stay_within_a_recording_and_held_out_rows_are_unseen():
    series = concatenate([table(60), table(45)])
    data = prepare(series, config().data)
    assert {int(series.recording[s]) for s in data.starts} == {int(series.recording[s + 23]) for s in data.starts}
    assert all(series.recording[s] == series.recording[s + 23] for s in data.starts.tolist())
    seen = {row for s in data.starts.tolist() for row in range(s, s + 24)}
    assert data.held_out.numel()
    assert not seen & set(data.held_out.tolist())


def test_truth_is_shown_and_steers_nothing():
    series, settings = table(160), config(train={"epochs": 6, "patience": 2})
    truth = np.triu(np.ones((4, 4), bool), 1)
    runs = [fit_origin(series, settings, truth=t) for t in (None, truth, ~truth)]
    for other in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0].state.values(), other.state.values(), strict=True))
        assert runs[0].graph.to_json() == other.graph.to_json()
        assert [r.lr for r in runs[0].records] == [r.lr for r in other.records]
        assert [r.loss for r in runs[0].records] == [r.loss for r in other.records]
    assert [e["val_f1"] for e in runs[0].log["epochs"]] == [None] * 6
    assert all(0 <= e["val_f1"] <= 1 and e["val_shd"] >= 0 for e in runs[1].log["epochs"])
    assert runs[1].summary["true_edge_count"] == 6
    assert runs[1].log["epochs"][-1]["val_shd"] != runs[2].log["epochs"][-1]["val_shd"]


def test_same_seed_same_run_and_nothing_else_is_touched():
    series, settings = table(), config()
    state, values = torch.get_rng_state(), series.values.copy()
    first, second = fit_origin(series, settings), fit_origin(series, settings)
    other = fit_origin(series, config(seed=1))
    assert [r.loss for r in first.records] == [r.loss for r in second.records]
    assert first.records[0].loss != other.records[0].loss
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(series.values, values)


def test_schema_and_nulls_without_truth():
    result = fit_origin(table(), config())
    assert set(result.log) == {"config", "epochs"}
    assert {frozenset(entry) for entry in result.log["epochs"]} == {frozenset(EPOCH_FIELDS)}
    assert set(result.log["epochs"][0]["train_loss_components"]) == set(TERMS)
    assert set(result.summary) == SUMMARY_FIELDS
    assert [result.summary[k] for k in ("best_f1", "best_shd", "true_edge_count")] == [None] * 3
    assert result.summary["best_threshold"] == THRESHOLD


def test_graph_is_the_kept_entries_at_lag_one_and_says_what_it_is_worth():
    result = fit_origin(table(), config(train={"epochs": 1}))
    kept = cut(result.state["graph"]).numpy() > 0.5
    np.fill_diagonal(kept, val=False)
    np.testing.assert_array_equal(result.graph.adjacency[1], kept)
    assert not result.graph.adjacency[0].any()
    assert "chance" in result.graph.conclusion
    assert [finding.code for finding in result.records[-1].diagnoses] == ["BYPASS"]


def test_decoder_never_reads_the_graph():
    net = OriginNet(3, torch.Generator().manual_seed(0))
    x, mask = torch.ones(24, 3), torch.ones(24, 3)
    before = net.reconstruct(x)
    net.backward(x, mask, (10.0, 0.0, 0.0, 0.0))
    assert not net.gradient["graph"].any()
    net.weight["graph"].add_(100.0)
    assert torch.equal(net.reconstruct(x), before)


def test_missing_cells_do_not_enter_the_error_but_count_in_its_mean():
    net = OriginNet(2, torch.Generator().manual_seed(0))
    x, mask = torch.ones(24, 2), torch.ones(24, 2)
    full = net.backward(x, mask, (1.0, 0.0, 0.0, 0.0))[0]
    mask[12:] = 0
    assert float(net.backward(x, mask, (1.0, 0.0, 0.0, 0.0))[0]) == pytest.approx(float(full) / 2, rel=1e-5)


def test_held_out_loss_is_over_observed_cells():
    data = prepare(table(), config().data)
    net = OriginNet(4, torch.Generator().manual_seed(0))
    x, mask = data.x[data.held_out], data.mask[data.held_out]
    expected = ((net.reconstruct(x) - x) ** 2 * mask).sum() / mask.sum()
    assert held_out_loss(net, data) == pytest.approx(float(expected), rel=1e-5)


def test_no_held_out_reading_keeps_training_to_the_end():
    values = table(90, missing=0).values.copy()
    values[60:] = np.nan
    result = fit_origin(Series.of(values), config(train={"epochs": 5, "patience": 1, "eval_every": 1}))
    assert result.summary["epochs"] == 5
    assert result.records[-1].loss.val is None


def test_patience_counts_evaluations_and_best_state_is_returned():
    reports: list[EpochReport] = []
    settings = config(train={"epochs": 60, "patience": 2, "eval_every": 2, "lr": 0.5})
    result = fit_origin(table(), settings, on_epoch=reports.append)
    assert len(reports) < 60
    assert reports[-1].stale == 2
    values = [r.record.loss.val for r in reports if r.evaluated]
    data, net = prepare(table(), settings.data), OriginNet(4, torch.Generator().manual_seed(0))
    for name, weight in result.state.items():
        net.weight[name].copy_(weight)
    assert held_out_loss(net, data) == pytest.approx(min(values), rel=1e-6)


def test_adam_is_torchs():
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(50, generator=draw)
    reference = torch.nn.Parameter(start.clone())
    torchs = torch.optim.Adam([reference], lr=0.01, weight_decay=0.1)
    ours = Adam(start, 0.01, 0.1)
    for _ in range(30):
        reference.grad = torch.randn(50, generator=draw) * 10
        torchs.step()
        ours.step(reference.grad)
    torch.testing.assert_close(start, reference.detach())


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=60))
def test_plateau_is_torchs(losses):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs, ours = ReduceLROnPlateau(optimizer, factor=0.5, patience=3, cooldown=1, eps=0.0), Plateau(1.0)
    for loss in losses:
        torchs.step(loss)
        assert ours(loss) == optimizer.param_groups[0]["lr"]
    assert ours(None) == optimizer.param_groups[0]["lr"]


def test_other_schedules():
    constant, cosine = (schedule(config(train={"epochs": 12, "schedule": name, "lr": 1.0}).train) for name in ("constant", "cosine"))
    assert [constant(1.0) for _ in range(3)] == [1.0] * 3
    rates = [cosine(1.0) for _ in range(6)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[2], rates[5]) == pytest.approx((0.5, 0.0))


def test_steps_that_are_not_finite_are_skipped_and_counted():
    values = table(90, missing=0).values.copy()
    values[3] = 1e30
    settings = config("origin-before", train={"epochs": 1, "batch": 4})
    record = fit_origin(Series.of(values), settings).records[0]
    assert 0 < record.grad.nonfinite == record.guard.skipped_nonfinite
    assert record.diagnoses[0].code == "NONFINITE"
    assert math.isfinite(record.loss.train)
    with pytest.raises(FitFailedError, match="Scale the inputs"):
        fit_origin(Series.of(np.full((60, 2), 1e30)), settings)


def test_weights_that_run_away_end_in_one_clear_error():
    with pytest.raises(FitFailedError, match="training diverged"):
        fit_origin(table(), config(train={"epochs": 3, "lr": 1e37}))


@pytest.mark.parametrize("recipe", ["origin-before", "origin-after"])
@pytest.mark.parametrize("scale", [1e-300, 1e-6, 1e6, 1e38, 1e300])
def test_any_scale_ends_in_a_result_or_a_clear_error(recipe, scale):
    rows = np.random.default_rng(0).normal(size=(60, 3)) * scale
    try:
        result = fit_origin(Series.of(rows), config(recipe, train={"epochs": 1}))
    except FitFailedError:
        assert scale >= 1e38
    else:
        assert all(bool(torch.isfinite(weight).all()) for weight in result.state.values())


def test_refusals():
    with pytest.raises(ConfigError, match="origin-after"):
        fit_origin(table(), Config())
    with pytest.raises(InputError, match="two windows of 24 rows"):
        fit_origin(table(24), config())
    with pytest.raises(InputError, match=r"expected 4 x 4 .* got shape \(3, 3\)"):
        fit_origin(table(), config(), truth=np.zeros((3, 3), bool))


@pytest.mark.parametrize("constant", [0.0, 7.0, 1e6])
def test_constant_sensor_and_single_sensor_are_survived(constant):
    values = table(60).values.copy()
    values[:, 1] = constant
    assert fit_origin(Series.of(values), config()).summary["epochs"] == 3
    assert fit_origin(table(60, 1), config()).graph.links() == []
