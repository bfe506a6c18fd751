import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.config import Config
from rcgnn.errors import ConfigError
from rcgnn.train.balance import BALANCERS, combine, flat_gradient, make_balancer

WORST = 1 / math.sqrt(1 + 0.3**2)


def cosine(a, b):
    return float(a.double() @ b.double() / (a.double().norm() * b.double().norm()))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 50), st.floats(-12, 12), st.floats(-1, 1))
def test_no_adversary_turns_the_step_by_more_than_the_bound(seed, count, size, exponent, against):
    rng = torch.Generator().manual_seed(seed)
    data = torch.randn(size, generator=rng)
    common = torch.randn(size, generator=rng)
    auxiliaries = 10.0**exponent * (common + 0.1 * torch.randn(count, size, generator=rng) + 5 * against * data)
    combined = combine(data, auxiliaries)
    assert cosine(combined, data) >= WORST - 1e-6
    assert round(WORST, 3) == 0.958


def test_the_bound_is_reached():
    data, across = torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 1e9]]).repeat(5, 1)
    assert cosine(combine(data, across), data) == pytest.approx(WORST, abs=1e-6)


def test_small_agreeing_auxiliary_is_untouched():
    data, agreeing = torch.tensor([1.0, 0.0]), torch.tensor([[0.05, 0.05]])
    assert torch.allclose(combine(data, agreeing), torch.tensor([1.05, 0.05]))


def test_opposed_auxiliary_vanishes():
    data = torch.tensor([3.0, 4.0])
    assert torch.allclose(combine(data, -1000 * data[None]), data)


def test_extreme_sizes_stay_finite():
    data = torch.full((4,), 1e-20)
    assert torch.isfinite(combine(data, torch.full((2, 4), 3e38))).all()
    assert torch.equal(combine(torch.zeros(4), torch.ones(2, 4)), torch.zeros(4))


def terms_of(x):
    return {"recon": (x**2).sum(), "sparse": x.abs().sum(), "disen": 100 * x[0], "acyclic": torch.zeros(()), "invariance": -(x**2).sum()}


def test_fixed_is_the_weighted_sum():
    config = Config.parse({"losses": {"recon": 10, "sparse": 0.5, "disen": 0.01, "acyclic": 1, "invariance": 0, "balance": "fixed"}})
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    balancer = make_balancer(config)
    assert torch.allclose(balancer.gradient(terms_of(x), [x]), torch.tensor([20.0 + 0.5 + 1.0, -40.0 - 0.5]))
    assert float(balancer.total(terms_of(x)).detach()) == pytest.approx(50 + 1.5 + 1)
    assert not balancer.proximal


def test_hierarchy_leaves_sparsity_to_the_prox_and_obeys_zero_weights():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    quiet = make_balancer(Config.parse({"losses": {"disen": 0, "invariance": 0, "acyclic": 0, "sparse": 100}}))
    assert torch.equal(quiet.gradient(terms_of(x), [x]), 2 * x.detach())
    loud = make_balancer(Config())
    assert cosine(loud.gradient(terms_of(x), [x]), 2 * x.detach()) >= WORST - 1e-6
    assert loud.proximal


@pytest.mark.parametrize("name", ["MGDA", "PCGrad", "AlignedMTL", "Mean", "Sum"])
def test_peers_are_weighed_up_by_the_named_aggregator(name):
    aggregation = pytest.importorskip("torchjd.aggregation")
    weights = {"recon": 10.0, "sparse": 0.5, "disen": 0.01, "acyclic": 1.0}
    balancer = make_balancer(Config.parse({"losses": {**weights, "invariance": 0, "balance": f"torchjd:{name}"}}))
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    rows = torch.tensor([[20.0, -40.0], [0.5, -0.5], [1.0, 0.0]])  # acyclic does not depend on x
    torch.manual_seed(0)
    found = balancer.gradient(terms_of(x), [x])
    torch.manual_seed(0)
    assert torch.allclose(found, getattr(aggregation, name)()(rows), atol=1e-4)
    assert not balancer.proximal
    if name in ("MGDA", "PCGrad"):
        assert min(float(row @ found) for row in rows) >= -1e-3, "no term gets worse"


def test_an_aggregator_that_cannot_be_had_is_named(monkeypatch):
    pytest.importorskip("torchjd")
    with pytest.raises(ConfigError, match=r"torchjd has no aggregator 'UPGrat'. Did you mean 'UPGrad'\?"):
        make_balancer(Config.parse({"losses": {"balance": "torchjd:UPGrat"}}))
    with pytest.raises(ConfigError, match="torchjd's Krum cannot be made without arguments"):
        make_balancer(Config.parse({"losses": {"balance": "torchjd:Krum"}}))
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(ConfigError, match=r"needs torchjd; pip install 'rcgnn\[balance\]'"):
        make_balancer(Config.parse({"losses": {"balance": "torchjd:UPGrad"}}))
    with pytest.raises(ConfigError, match=r"losses\.balance"):
        Config.parse({"losses": {"balance": "vote"}})


@pytest.mark.parametrize("name", BALANCERS)
def test_report_gives_raw_sizes_and_signs(name):
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    report = make_balancer(Config.parse({"losses": {"disen": 1, "invariance": 1, "balance": name}})).report(terms_of(x), [x])
    assert report["invariance"].cos_data == pytest.approx(-1)
    assert report["invariance"].share == pytest.approx(1)
    assert report["disen"].grad_norm == pytest.approx(100)
    assert "acyclic" not in report or report["acyclic"].grad_norm == 0
    assert ("sparse" in report) == (name == "fixed")


@pytest.mark.parametrize("name", BALANCERS)
def test_resume(name):
    config = Config.parse({"losses": {"balance": name}})
    first, second = make_balancer(config), make_balancer(config)
    first.threshold = torch.tensor([[0.25, 0.0], [1e-3, 0.0]], dtype=torch.float64)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.threshold, first.threshold)


def test_flat_gradient_of_unused_and_constant():
    x, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    assert torch.equal(flat_gradient((2 * x).sum(), [x, unused]), torch.tensor([2.0, 2, 0, 0, 0]))
    assert torch.equal(flat_gradient(torch.zeros(()), [x]), torch.zeros(2))


def test_one_auxiliary_weighs_a_tenth_of_the_data_and_three_tenths_together():
    data, across = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([[0.0, 50.0, 0.0]])
    assert torch.allclose(combine(data, across), torch.tensor([2.0, 0.2, 0.0]))
    assert torch.allclose(combine(data, across.repeat(2, 1)), torch.tensor([2.0, 0.4, 0.0]))
    assert torch.allclose(combine(data, across.repeat(9, 1)), torch.tensor([2.0, 0.6, 0.0]))


def test_only_the_opposed_part_of_an_auxiliary_is_taken_away():
    data, slanted = torch.tensor([100.0, 0.0]), torch.tensor([[-3.0, 4.0]])
    assert torch.allclose(combine(data, slanted), torch.tensor([100.0, 4.0]))


def test_auxiliaries_are_asked_for_at_every_eighth_step_and_used_in_between():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    balancer = make_balancer(Config.parse({"losses": {"disen": 1, "invariance": 0, "acyclic": 0}}))
    asked, seen = [], []
    for _ in range(9):
        asked.append(balancer.wants_all())
        terms = terms_of(x) if asked[-1] else {"recon": terms_of(x)["recon"]}
        seen.append(balancer.gradient(terms, [x]))
    assert asked == [True, *[False] * 7, True]
    assert all(torch.equal(one, seen[0]) for one in seen)
    assert not torch.equal(seen[1], 2 * x.detach()), "the auxiliary of the first step still counts"
    moved = torch.tensor([3.0, 4.0], requires_grad=True)
    step = balancer.gradient({"recon": terms_of(moved)["recon"]}, [moved])
    assert torch.allclose(step, torch.tensor([6.0 + 1.0, 8.0])), "capped against the data gradient of the step at hand"
    balancer.begin_epoch()
    assert balancer.wants_all()


def test_the_data_gradient_at_the_forecast_is_kept_beside_that_of_the_weights():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    forecast = 3 * x.outer(torch.ones(3))
    balancer = make_balancer(Config.parse({"losses": {"disen": 0, "invariance": 0, "acyclic": 0}}))
    combined = balancer.gradient({"recon": (forecast**2).sum()}, [x], forecast)
    assert torch.allclose(combined, 54 * x.detach())
    assert torch.equal(balancer.at_forecast, 2 * forecast.detach())
    balancer.gradient({"recon": (x**2).sum()}, [x])
    assert balancer.at_forecast is None


@pytest.mark.parametrize("name", BALANCERS)
def test_report_tells_direction_and_share_of_the_data(name):
    x = torch.tensor([3.0, 4.0], requires_grad=True)
    terms = {"recon": (x**2).sum() / 2, "disen": 2 * x[0], "invariance": 10 * (x**2).sum()}
    balancer = make_balancer(Config.parse({"losses": {"recon": 1, "disen": 1, "invariance": 1, "balance": name}}))
    report = balancer.report(terms, [x])
    assert balancer.data_norm == pytest.approx(5.0)
    assert (report["disen"].value, report["disen"].grad_norm) == (pytest.approx(6.0), pytest.approx(2.0))
    assert (report["disen"].cos_data, report["disen"].share) == (pytest.approx(0.6), pytest.approx(0.4))
    assert (report["invariance"].cos_data, report["invariance"].share) == (pytest.approx(1.0), pytest.approx(20.0))


def test_a_cosine_is_never_beyond_one_by_rounding():
    balancer = make_balancer(Config.parse({"losses": {"invariance": 1}}))
    for seed in range(40):
        x = torch.randn(7, generator=torch.Generator().manual_seed(seed)).requires_grad_()
        for sign in (1, -1):
            balancer.begin_epoch()
            terms = {"recon": (x**2).sum() / 2, "invariance": sign * 3 * (x**2).sum()}
            balancer.gradient(terms, [x])
            assert -1.0 <= balancer.report(terms, [x])["invariance"].cos_data <= 1.0


def test_shares_of_no_data_gradient_are_finite():
    x = torch.zeros(2, requires_grad=True)
    terms = {"recon": (x**2).sum(), "disen": x.sum()}
    report = make_balancer(Config.parse({"losses": {"disen": 1}})).report(terms, [x])
    assert report["disen"].share == pytest.approx(math.sqrt(2) * 1e12)
    assert report["disen"].cos_data == 0


def test_peers_leave_a_gradient_that_is_not_finite_to_the_guard():
    pytest.importorskip("torchjd")
    x = torch.tensor([1.0, 0.0], requires_grad=True)
    balancer = make_balancer(Config.parse({"losses": {"recon": 1, "disen": 1, "balance": "torchjd:MGDA"}}))
    assert not torch.isfinite(balancer.gradient({"recon": (x**2).sum(), "disen": torch.sqrt(x[1])}, [x])).all()
    nothing = balancer.gradient({"recon": 0 * x.sum(), "disen": 0 * x.sum()}, [x])
    assert torch.equal(nothing, torch.zeros(2))


def test_a_weight_of_zero_switches_a_term_off_for_every_balancer():
    pytest.importorskip("torchjd")
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    for name in (*BALANCERS, "torchjd:Sum"):
        quiet = {"recon": 1, "sparse": 0, "disen": 0, "acyclic": 0, "invariance": 0, "balance": name}
        balancer = make_balancer(Config.parse({"losses": quiet}))
        assert torch.equal(balancer.gradient(terms_of(x), [x]), 2 * x.detach()), name
        assert balancer.weighted(terms_of(x)) == {}, name
        assert float(balancer.total(terms_of(x)).detach()) == 5.0, name
