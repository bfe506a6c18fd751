import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.config import Config
from rcgnn.diagnosis import RULES, diagnose
from rcgnn.health import AuxHealth, Finding, GradHealth, GraphHealth, GuardHealth, HealthRecord, LossHealth

AUTO = Config()
FIXED = Config.parse({"losses": {"balance": "fixed"}})


def healthy(epochs=30) -> list[HealthRecord]:
    """A falling loss, a settling graph, a few clipped steps: what a good run looks like."""
    rng = np.random.default_rng(0)
    records = []
    for epoch in range(1, epochs + 1):
        judged = epoch % 2 == 0
        val = -0.6 - 0.1 * (1 - np.exp(-epoch / 6)) + 0.002 * rng.normal()
        records.append(
            HealthRecord(
                epoch=epoch,
                step=6 * epoch,
                lr=5e-3,
                seed=1,
                loss=LossHealth(
                    train=val - 0.01,
                    val=val if judged else None,
                    val_stderr=0.003 if judged else None,
                    self_baseline=-0.6 if judged else None,
                ),
                gain_over_self=-0.6 - val if judged else None,
                ablation_gap=-0.59 - val if judged else None,
                aux={"disen": AuxHealth(value=0.1, grad_norm=0.01, cos_data=-0.2, share=0.2)},
                grad=GradHealth(raw_median=0.1, raw_max=0.3, clip_level=0.4, clip_share=0.05, certificate=60.0),
                update_ratio={"encoder": [1e-4, 2e-3, 5e-3], "structure": [1e-3, 5e-3, 2e-2]},
                guard=GuardHealth(accepted=6),
                graph=GraphHealth(edges=18 + epoch % 2, density=0.12, jaccard=0.6 if epoch <= 4 else 0.97),
                data={"candidates": 40.0, "screened": 20.0},
                numeric={"group_grad": {"encoder": 1e-3, "message": 1e-4, "structure": 2e-3}, "forecast_share": 0.2, "accepted_max": 0.3}
                | {"step_loss": [val - 0.01, val + 0.2], "feed_shift": {"pump": 0.02, "flow": -0.1}, "feed_still": []},
            )
        )
    return records


def changed(records, **update) -> list[HealthRecord]:
    """The same records with some fields replaced; a value may be a function of the record."""
    return [r.model_copy(update={k: v(r) if callable(v) else v for k, v in update.items()}) for r in records]


def part(name, **update):
    return lambda r: getattr(r, name).model_copy(update={k: v(r) if callable(v) else v for k, v in update.items()})


def with_losses(losses, stderr=0.003, train=None):
    """Evaluated records with these held-out losses."""
    records = healthy(2 * len(losses))[1::2]
    return [
        r.model_copy(
            update={
                "loss": LossHealth(train=loss if train is None else train, val=loss, val_stderr=stderr, self_baseline=-0.6),
                "gain_over_self": -0.6 - loss,
                "ablation_gap": -0.6 - loss,
            }
        )
        for r, loss in zip(records, losses, strict=True)
    ]


H = healthy()
FAULTS = {
    "NONFINITE": H[:5] + changed(H[5:6], grad=part("grad", nonfinite=1, first_bad="gradient.history[pump_3]")) + H[6:],
    "SPIKE": H[:5] + changed(H[5:6], guard=part("guard", skipped_spike=2)) + H[6:],
    "CERTIFICATE": H[:-1] + changed(H[-1:], numeric=lambda r: {**r.numeric, "accepted_max": 61.0}),
    "CLIPPED_OFTEN": changed(H, grad=part("grad", clip_share=0.6)),
    "VANISHING": changed(H, numeric={"group_grad": {"encoder": 1e-3, "message": 1e-4, "structure": 1e-8}}),
    "UPDATE_RATIO": changed(H, update_ratio={"encoder": [0.1, 0.2, 0.3], "structure": [1e-3, 5e-3, 2e-2]}),
    "NOT_LEARNING": with_losses([-0.6 + 0.0005 * (i % 2) for i in range(12)]),
    "OSCILLATION": with_losses([-0.7 + 0.05 * (i % 2) for i in range(10)]),
    "OVERFIT": with_losses([-0.9 + 0.02 * i for i in range(14)], train=-1.0),
    "COLLAPSE": changed(H, graph=part("graph", edges=0)),
    "BYPASS": changed(H, ablation_gap=lambda r: None if r.ablation_gap is None else 0.001),
    "DENSE": changed(H, graph=part("graph", edges=61)),
    "AUX_DOMINATES": changed(H, aux={"acyclic": AuxHealth(value=1e3, grad_norm=1e5, cos_data=-0.1, share=1e5)}),
    "UNSTABLE_GRAPH": changed(H, graph=part("graph", jaccard=0.7)),
    "INPUT": H[:9] + changed(H[9:], numeric=lambda r: {**r.numeric, "feed_still": ["pump"], "feed_shift": {"flow": 6.9}}),
}


def codes(records, config=AUTO):
    return {finding.code for finding in diagnose(records, config)}


def test_every_rule_has_a_fault():
    assert set(FAULTS) == set(RULES)


@pytest.mark.parametrize("code", RULES)
def test_fires_on_its_fault(code):
    finding = RULES[code](FAULTS[code], AUTO)
    assert isinstance(finding, Finding)
    assert finding.code == code
    assert finding.message
    assert finding.remedy
    assert finding.evidence


@pytest.mark.parametrize("code", RULES)
def test_silent_on_healthy_runs_of_any_length(code):
    assert [n for n in range(len(H) + 1) if RULES[code](H[:n], AUTO) is not None] == []


@pytest.mark.parametrize("code", RULES)
def test_silent_on_a_minimal_record(code):
    assert RULES[code]([HealthRecord(epoch=1, step=1, lr=1e-3, seed=0, loss=LossHealth(train=1.0))], AUTO) is None


@pytest.mark.parametrize("code", RULES)
def test_survives_the_log(code):
    """A stored health.jsonl gives the same finding."""
    stored = [HealthRecord.from_line(r.to_line()) for r in FAULTS[code]]
    assert RULES[code](stored, AUTO) == RULES[code](FAULTS[code], AUTO)


@pytest.mark.parametrize("code", ["CLIPPED_OFTEN", "VANISHING", "UPDATE_RATIO", "OSCILLATION", "COLLAPSE"])
def test_applied_remedy_starts_the_count_anew(code):
    records = list(FAULTS[code])
    applied = Finding(code=code, severity="act", message="m", applied=True)
    records[-1] = records[-1].model_copy(update={"diagnoses": [applied]})
    assert RULES[code](records, AUTO) is None
    reported = applied.model_copy(update={"applied": False})
    records[-1] = records[-1].model_copy(update={"diagnoses": [reported]})
    assert RULES[code](records, AUTO) is not None


def test_nonfinite_names_the_tensor_and_the_first_epoch():
    evidence = diagnose(FAULTS["NONFINITE"], AUTO)[0].evidence
    assert (evidence["first_bad"], evidence["first_epoch"]) == ("gradient.history[pump_3]", 6)


@pytest.mark.parametrize(("share", "severity"), [(0.19, None), (0.3, "warn"), (0.51, "act")])
def test_clip_share_has_two_levels(share, severity):
    found = [f.severity for f in diagnose(changed(H, grad=part("grad", clip_share=share)), AUTO)]
    assert found == ([] if severity is None else [severity])


def test_certificate_at_the_forecast_and_from_a_bare_log():
    assert codes(changed(H, numeric={"forecast_share": 1.01})) == {"CERTIFICATE"}
    assert codes(changed(H, numeric={}, grad=part("grad", raw_max=61.0))) == {"CERTIFICATE"}
    assert codes(changed(H, numeric={"forecast_share": 1.00001})) == set()
    assert codes(changed(H, grad=part("grad", raw_max=1e8))) == set(), "a skipped spike is the guard's business"


def test_vanishing_is_relative_to_the_median_group():
    assert codes(changed(H, numeric={"group_grad": {"a": 1.0, "b": 1.0, "c": 1e-4}})) == {"VANISHING"}
    assert codes(changed(H, numeric={"group_grad": {"a": 1e-4, "b": 1e-4, "c": 1e-4}})) == set()


def test_update_ratio_says_which_way():
    low = diagnose(changed(H, update_ratio={"encoder": [1e-8, 1e-8, 1e-8]}), AUTO)
    assert low[0].remedy.endswith("x 2.")
    assert diagnose(FAULTS["UPDATE_RATIO"], AUTO)[0].remedy.endswith("x 0.5.")


def test_learning_without_gain_over_self_yet_is_not_stalled():
    assert "NOT_LEARNING" not in codes(with_losses([-0.3 - 0.02 * i for i in range(12)]))


def test_converged_run_with_gain_is_not_stalled():
    assert "NOT_LEARNING" not in codes(with_losses([-0.7 + 0.0005 * (i % 2) for i in range(12)]))


def test_harder_held_out_block_is_not_overfitting():
    assert codes(with_losses([-0.7 - 0.01 * i for i in range(12)], train=-1.0)) == set()


def test_collapse_needs_candidates():
    assert codes(changed(FAULTS["COLLAPSE"], data={"candidates": 0.0})) == set()
    assert codes(changed(FAULTS["COLLAPSE"], data={"candidates": 5.0})) == {"COLLAPSE"}


def test_bypass_needs_a_gain():
    none = changed(H, gain_over_self=lambda r: None if r.gain_over_self is None else -0.01, ablation_gap=0.0)
    assert "BYPASS" not in codes(none)


def test_capped_auxiliaries_are_worth_a_line_only_at_a_hundred():
    loud = changed(H, aux={"disen": AuxHealth(value=1, grad_norm=1, cos_data=-0.5, share=20.0)})
    assert codes(loud, AUTO) == set()
    assert codes(loud, FIXED) == {"AUX_DOMINATES"}
    aligned = changed(H, aux={"disen": AuxHealth(value=1, grad_norm=1, cos_data=1.0, share=20.0)})
    assert codes(aligned, FIXED) == set()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6) | st.none(), max_size=25), st.floats(-1e6, 1e6))
def test_no_rule_ever_raises(losses, train):
    records = [
        HealthRecord(epoch=i, step=i, lr=1e-3, seed=0, loss=LossHealth(train=train, val=loss), gain_over_self=loss, ablation_gap=train)
        for i, loss in enumerate(losses, 1)
    ]
    assert isinstance(diagnose(records, AUTO), list)


@pytest.mark.parametrize(("top", "severity"), [(1.9, None), (2.1, "info")])
def test_a_loss_far_above_the_ordinary_is_a_spike(top, severity):
    usual = changed(H, numeric={"step_loss": [-0.7, -0.5]})
    found = diagnose(usual[:7] + changed(usual[7:8], numeric={"step_loss": [-0.7, -0.7 + top]}) + usual[8:], AUTO)
    assert [(f.code, f.severity, f.evidence["epoch"]) for f in found] == ([] if severity is None else [("SPIKE", severity, 8)])


def test_a_loss_spike_shows_where_an_epoch_has_one_step():
    alone = changed(H, numeric={"step_loss": [-0.7, -0.7]})
    assert codes(alone) == set()
    assert codes(alone[:7] + changed(alone[7:8], numeric={"step_loss": [2.0, 2.0]}) + alone[8:]) == {"SPIKE"}


def test_an_undone_step_is_named_once_and_for_all():
    records = H[:5] + changed(H[5:6], guard=part("guard", undone=2)) + H[6:]
    [finding] = diagnose(records, AUTO)
    assert (finding.code, finding.applied, finding.evidence["undone"], finding.evidence["first_epoch"]) == ("UPDATE_RATIO", True, 2, 6)


@pytest.mark.parametrize(("shift", "named"), [(3.3, False), (3.5, True), (-3.3, False), (-3.5, True)])
def test_thirtyfold_is_another_unit(shift, named):
    found = diagnose(changed(H, numeric={"feed_shift": {"pump": 0.0, "flow": shift}, "feed_still": []}), AUTO)
    assert [(f.code, f.sensor) for f in found] == ([("INPUT", "flow")] if named else [])


def test_a_changed_feed_says_since_when():
    [finding] = diagnose(FAULTS["INPUT"], AUTO)
    assert finding.evidence["still"] == {"pump": 10}
    assert finding.evidence["factor"]["flow"] == pytest.approx(np.exp(6.9))
    assert "pump stands still from epoch 10 on" in finding.message
