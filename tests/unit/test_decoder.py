from __future__ import annotations

import pytest
import torch

from rcgnn.config import ModelConfig
from rcgnn.model.decoder import CHANNELS, SPAN, Interaction, MessageFunction, MessagePassing, SelfHistory, lagged

CONFIG = ModelConfig()
EDGES = torch.tensor([[1, 2, 0, 1], [0, 0, 1, 2], [1, 2, 2, 1]])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shaken(module: torch.nn.Module, size: float = 0.5) -> torch.nn.Module:
    g = seeded(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=g))
    return module


ONE = torch.zeros(5, dtype=torch.long)
"""Five windows of one regime."""


def said(function: MessageFunction, source: torch.Tensor) -> torch.Tensor:
    """[E, M] messages of sources [E, M] at weight one."""
    links = len(source)
    given = torch.arange(links), torch.ones(1, links), torch.zeros(1, dtype=torch.long), EDGES
    return function(source[:, None], *given)[:, 0]


def test_lagged_says_k_rows_ago():
    x = torch.arange(10.0).view(1, 1, 10)
    table = lagged(x, 3)
    assert table.shape == (1, 1, 7, 4)
    assert table[0, 0, 0].tolist() == [3.0, 2.0, 1.0, 0.0]
    assert table[0, 0, -1].tolist() == [9.0, 8.0, 7.0, 6.0]


def test_a_message_starts_as_its_source():
    """Straight beyond the span too."""
    function = MessageFunction(3, EDGES, CONFIG, seeded())
    source = torch.linspace(-20, 20, 101).expand(EDGES.shape[1], -1)
    assert torch.allclose(said(function, source), source, rtol=1e-4, atol=1e-5)


def test_messages_stay_of_unit_size_whatever_the_parameters():
    function = shaken(MessageFunction(3, EDGES, CONFIG, seeded()), 2.0)
    source = torch.randn(EDGES.shape[1], 200_000, generator=seeded(1))
    with torch.no_grad():
        message = said(function, source)
    assert message.mean(1).abs().max() < 0.01
    assert (message.square().mean(1) - 1).abs().max() < 0.01


def test_size_does_not_change_with_the_network_behind_it():
    """Doubling what the message network says leaves the message: only the link's weight carries size."""
    function = shaken(MessageFunction(3, EDGES, CONFIG, seeded()))
    source = torch.randn(EDGES.shape[1], 50, generator=seeded(1))
    before = said(function, source)
    with torch.no_grad():
        function.height.mul_(2)
        function.straight.mul_(2)
    assert torch.allclose(said(function, source), before, atol=1e-5)


def test_table_is_drawn_through_its_knots_and_bent_between():
    function = shaken(MessageFunction(3, EDGES, CONFIG, seeded()))
    at_knots = said(function, function.knots.expand(EDGES.shape[1], -1).contiguous())
    assert torch.allclose(at_knots, function.table(EDGES), atol=1e-5)
    curve = torch.diff(function.table(EDGES), n=2)
    assert curve.abs().max() > 1e-3


def test_message_gradient_reaches_source_and_parameters():
    function = shaken(MessageFunction(3, EDGES, CONFIG, seeded()))
    source = torch.linspace(-2 * SPAN, 2 * SPAN, 33).repeat(EDGES.shape[1], 1).requires_grad_()
    said(function, source).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in function.parameters())
    assert source.grad.isfinite().all()


def passing(size: float = 0.5) -> MessagePassing:
    return shaken(MessagePassing(EDGES, (3, 2), CONFIG, seeded()), size)


def lags(seed: int = 1) -> torch.Tensor:
    return lagged(torch.randn(3, 5, 12, generator=seeded(seed)), 2)


def test_closed_links_give_exactly_zero():
    out = passing()(lags(), torch.zeros(1, EDGES.shape[1]), ONE)
    assert out.shape == (3, 5, 10)
    assert not out.any()


@pytest.mark.parametrize("edge", range(EDGES.shape[1]))
def test_one_open_link_speaks_to_its_target_only(edge):
    weights = torch.zeros(1, EDGES.shape[1])
    weights[:, edge] = 0.7
    out = passing()(lags(), weights, ONE)
    assert out.flatten(1).any(1).nonzero().flatten().tolist() == [int(EDGES[2, edge])]


def test_at_the_start_influence_is_linear_in_source_and_weight():
    module = MessagePassing(EDGES, (3, 2), CONFIG, seeded())
    weights = torch.zeros(1, EDGES.shape[1])
    weights[:, 1] = 0.7
    table = lags()
    assert torch.allclose(module(table, weights, ONE)[2], 0.7 * table[0, ..., 2], rtol=1e-4, atol=1e-5)


def test_every_window_has_the_weights_of_its_regime():
    weights = torch.zeros(2, EDGES.shape[1])
    weights[1, 0] = 1.0
    out = passing()(lags(), weights, torch.tensor([0, 0, 0, 1, 0]))
    assert out.abs().sum((0, 2)).nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize("regimes", [1, 3])
def test_products_and_link_by_link_say_the_same(regimes):
    module, weights = passing().double(), torch.randn(regimes, EDGES.shape[1], generator=seeded(4)).double().requires_grad_()
    table, regime = lags().double().requires_grad_(), torch.arange(5) % regimes
    found = []
    for module.entries in (0, 10**9):
        out = module(table, weights, regime)
        found.append([out, *torch.autograd.grad(out.square().sum(), [table, weights, *module.parameters()])])
    for dense, along in zip(*found, strict=True):
        assert dense.abs().sum() > 0
        assert torch.allclose(dense, along, rtol=1e-9, atol=1e-9)


def test_products_are_for_tables_that_are_not_wide():
    sensors = 200
    few = torch.stack([torch.ones(sensors, dtype=torch.long), torch.arange(sensors), (torch.arange(sensors) + 1) % sensors])
    taken = []
    for edges, count, regimes in ((EDGES, 3, 1), (few, sensors, 1), (EDGES, 3, 30)):
        module = MessagePassing(edges, (count, 2), CONFIG, seeded())
        module._through_products = lambda *given, module=module: taken.append(len(given[1])) or module._along_links(*given)
        x = lagged(torch.randn(count, 2, 12, generator=seeded(1)), 2)
        module(x, torch.ones(regimes, edges.shape[1]), torch.zeros(2, dtype=torch.long))
    assert taken == [1]


@pytest.mark.parametrize("entries", [0, 10**9])
def test_what_is_not_finite_goes_along_its_links_only(entries):
    module, table = passing(), lags()
    module.entries = entries
    table[2] = float("nan")  # 2 drives 1 within the step, and nothing else
    assert module(table, torch.ones(1, EDGES.shape[1]), ONE).isfinite().flatten(1).all(1).tolist() == [True, False, False]
    weights = torch.ones(2, EDGES.shape[1])
    weights[1] = float("inf")
    of_one_regime = module(lags(), weights, torch.tensor([0, 0, 1, 0, 0]))
    assert of_one_regime.isfinite().all(2).all(0).tolist() == [True, True, False, True, True]


def test_no_links_at_all():
    module = MessagePassing(EDGES[:, :0], (3, 2), CONFIG, seeded())
    assert not module(lags(), torch.zeros(1, 0), ONE).any()


def test_a_product_of_two_sources_can_be_learnt():
    """Additive messages cannot say a * b; what arrives can meet at the target."""
    edges = torch.tensor([[1, 1], [0, 1], [2, 2]])
    module = MessagePassing(edges, (3, 1), CONFIG, seeded())
    table = lagged(torch.randn(3, 4, 51, generator=seeded(2)), 1)
    goal = 0.5 * table[0, ..., 1] * table[1, ..., 1]
    weights, regime = torch.ones(1, 2), torch.zeros(4, dtype=torch.long)
    optimizer = torch.optim.Adam(module.parameters(), lr=5e-2)
    for _ in range(60):
        optimizer.zero_grad()
        (module(table, weights, regime)[2] - goal).square().mean().backward()
        optimizer.step()
    left = (module(table, weights, regime)[2] - goal).square().mean() / goal.var()
    assert left < 0.2


def interaction() -> Interaction:
    module = Interaction(3, 2)
    with torch.no_grad():
        module.coefficient.normal_(generator=seeded(3))
    return module


def test_an_interaction_has_no_first_order_part():
    """Otherwise it could do a message's work, and the link's weight would mean nothing."""
    arrived = torch.randn(3, 5, 9, CHANNELS, generator=seeded(1), requires_grad=True)
    out = interaction()(arrived, torch.zeros(3, 5, 9, 2))
    assert torch.allclose(interaction()(-arrived, torch.zeros(3, 5, 9, 2)), out)
    still = torch.zeros_like(arrived, requires_grad=True)
    module = interaction()
    assert not module(still, torch.randn(3, 5, 9, 2)).any()
    module(still, torch.zeros(3, 5, 9, 2)).sum().backward()
    assert not still.grad.any()


def test_an_interaction_is_bounded_by_its_span_and_its_unit_coefficients():
    module = interaction()
    with torch.no_grad():
        module.coefficient.mul_(1e6)
    out = module(1e9 * torch.ones(3, 5, 9, CHANNELS), 1e9 * torch.ones(3, 5, 9, 2))
    assert out.abs().max() <= SPAN**2 * (CHANNELS * (CHANNELS + 2)) ** 0.5 * (1 + 1e-5)


def test_own_history_starts_as_half_the_last_value():
    module = SelfHistory(3, 2, CONFIG, seeded())
    table = lags()
    out = module(table[..., 1:], torch.randn(3, 5, 10, CONFIG.latent, generator=seeded(3)))
    assert torch.allclose(out, 0.5 * table[..., 1])


def test_own_history_can_be_set_and_holds_it():
    module = SelfHistory(3, 2, CONFIG, seeded())
    coefficients = torch.tensor([[1.9, -0.95], [0.3, 0.2], [0.0, 1.0]])
    module.load(coefficients)
    table = lags()
    out = module(table[..., 1:], torch.randn(3, 5, 10, CONFIG.latent, generator=seeded(3)))
    assert torch.allclose(out, torch.einsum("nbmk,nk->nbm", table[..., 1:], coefficients), atol=1e-5)
