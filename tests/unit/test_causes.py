"""Root causes: each fires on its fault, is silent on a healthy run, and the largest comes first."""

from __future__ import annotations

import pytest

from rcgnn.config import Config
from rcgnn.diagnosis import norms as watched
from rcgnn.diagnosis.attribution import sensor_shares, term_shares
from rcgnn.diagnosis.causes import CAUSES, causes, loss_rises, unstable
from rcgnn.diagnosis.examine import examine, standing
from rcgnn.diagnosis.norms import spikes
from rcgnn.health import AuxHealth, Finding, GradHealth, HealthRecord, LossHealth
from rcgnn.train import guard

FIXED = Config.parse({"losses": {"balance": "fixed"}, "train": {"epochs": 6}})


def run(epochs: int = 6, **update) -> list[HealthRecord]:
    """A healthy run on raw losses; `update` replaces fields of every record, a value may be a function of the epoch."""
    records = []
    for epoch in range(1, epochs + 1):
        fields = {
            "lr": 1e-3 * 0.9**epoch,
            "loss": LossHealth(scale="raw", train=1.0 / epoch),
            "aux": {"acyclic": AuxHealth(value=0.1, grad_norm=0.1, cos_data=-0.1, share=0.1)},
            "grad": grad(),
            "data": {"input_low": -4.0, "input_high": 11.0},
        } | {name: value(epoch) if callable(value) else value for name, value in update.items()}
        records.append(HealthRecord(epoch=epoch, step=epoch, seed=1, **fields))
    return records


def grad(**update) -> GradHealth:
    shares = {"a": 0.3, "b": 0.3, "c": 0.2, "d": 0.2}
    return GradHealth(**{"raw_median": 1.0, "raw_max": 2.0, "clip_share": 0.05, "data_norm": 1.0, "sensor_share": shares} | update)


def aux(share: float, cosine: float | None) -> dict[str, AuxHealth]:
    return {"acyclic": AuxHealth(value=1, grad_norm=share, cos_data=cosine, share=share)}


CLIPPED = grad(clip_share=1.0)
FAULTS = {
    "TERM_OUT_OF_PROPORTION": run(grad=CLIPPED, aux=aux(1.1e5, 0.0)),
    "OPPOSED_TERMS": run(grad=CLIPPED, aux=aux(0.9, -0.8)),
    "RAW_INPUT_RANGE": run(grad=CLIPPED, data={"input_low": 0.0, "input_high": 2775.0}),
    "ONE_SENSOR": run(grad=grad(clip_share=1.0, sensor_share={"a": 0.97, "b": 0.01, "c": 0.01, "d": 0.01})),
    "RATE_NEVER_LOWERED": run(grad=CLIPPED, lr=1e-3),
    "NORM_JUMPS": run(grad=lambda e: grad(clip_share=1.0, raw_max=500.0 if e == 4 else 2.0)),
    "NOT_FINITE": run(grad=lambda e: grad(nonfinite=3 if e == 2 else 0, first_bad="loss.recon[pump]" if e == 2 else None)),
}
FACTORS = {
    "TERM_OUT_OF_PROPORTION": 1.1e5,
    "OPPOSED_TERMS": 0.72 / 0.3,
    "RAW_INPUT_RANGE": 2775 / 30,
    "ONE_SENSOR": 0.97 * 4 / 3,
    "RATE_NEVER_LOWERED": 5.0,
    "NORM_JUMPS": 50.0,
    "NOT_FINITE": 3.0,
}


def test_every_cause_has_a_fault():
    assert set(FAULTS) == set(FACTORS) == set(CAUSES)


@pytest.mark.parametrize("code", CAUSES)
def test_fires_on_its_fault_alone_with_its_factor(code):
    found = causes(FAULTS[code], FIXED)
    assert {cause.code: cause.factor for cause in found} == {code: pytest.approx(FACTORS[code])}
    assert found[0].sentence
    assert found[0].remedy
    assert found[0].evidence


@pytest.mark.parametrize("code", CAUSES)
def test_silent_on_healthy_records(code):
    assert [n for n in range(7) if CAUSES[code](run()[:n], FIXED) is not None] == []


@pytest.mark.parametrize("code", CAUSES)
def test_silent_where_the_log_holds_nothing(code):
    bare = [HealthRecord(epoch=e, step=e, lr=None, seed=None, loss=LossHealth(scale="raw")) for e in range(1, 9)]
    assert CAUSES[code](bare, FIXED) is None


def test_a_healthy_run_has_no_causes_even_where_a_number_is_high():
    assert causes(run(data={"input_low": 0.0, "input_high": 2775.0}), FIXED) == []


def test_the_largest_factor_comes_first_and_the_headline_names_them_in_order():
    records = run(grad=CLIPPED, aux=aux(1.1e5, 0.0), data={"input_low": 0.0, "input_high": 2775.0}, lr=1e-3)
    seen = examine(records, FIXED)
    assert [cause.code for cause in seen.causes] == ["TERM_OUT_OF_PROPORTION", "RAW_INPUT_RANGE", "RATE_NEVER_LOWERED"]
    assert seen.headline.startswith("Unstable: acyclic is 1.1e+05 x the data term in gradient norm; raw range 0..2775 reaches")
    assert "learning rate never lowered (0.001 throughout) in spite of 100% of the steps clipped in 6 epochs." in seen.headline


def test_capped_terms_are_no_cause():
    assert [cause.code for cause in causes(FAULTS["TERM_OUT_OF_PROPORTION"], Config())] == []
    assert [cause.code for cause in causes(FAULTS["OPPOSED_TERMS"], Config())] == []


def test_a_norm_that_falls_from_the_start_is_no_jump():
    assert causes(run(grad=lambda e: grad(clip_share=1.0, raw_max=500.0 if e == 1 else 2.0)), FIXED) == []


def test_rate_that_came_down_is_no_cause_and_a_stalled_loss_is_one():
    stalled = run(loss=lambda e: LossHealth(scale="raw", train=1.0 + 0.4 * e), lr=1e-3)
    found = {cause.code: cause for cause in causes(stalled, FIXED)}
    assert found["RATE_NEVER_LOWERED"].factor == pytest.approx(5 / 3)
    assert "no lower loss for 5 epochs" in found["RATE_NEVER_LOWERED"].sentence
    assert causes(run(loss=lambda e: LossHealth(scale="raw", train=1.0 + 0.4 * e)), FIXED) == []


@pytest.mark.parametrize(
    ("losses", "rises"),
    [([1.0, 0.5, 0.3, 0.2], False), ([1.0, 1.1, 1.5, 2.0], True), ([1.0, 0.2, 0.21, 0.2, 0.9, 0.9], True), ([1.0, 0.2, 0.3, 0.2], False)],
)
def test_a_rising_loss_is_unstable(losses, rises):
    records = run(len(losses), loss=lambda e: LossHealth(scale="raw", train=losses[e - 1]))
    assert loss_rises(records) == rises == unstable(records, [])


def test_severity_decides_the_verdict():
    for severity, verdict in (("info", "healthy"), ("warn", "doubtful"), ("act", "unstable"), ("stop", "unstable")):
        noted = [Finding(code="BYPASS", severity=severity, message="beside.")]
        records = [*run(5), run(6)[-1].model_copy(update={"diagnoses": noted})]
        assert examine(records, FIXED).verdict == verdict


def test_what_a_remedy_put_right_is_info_and_what_was_noted_last_stands():
    applied = Finding(code="OSCILLATION", severity="act", message="the held-out loss swings.", applied=True)
    passed = Finding(code="UNSTABLE_GRAPH", severity="warn", message="the links change.")
    records = run()
    records[2] = records[2].model_copy(update={"diagnoses": [applied, passed]})
    assert [(f.code, f.severity, f.message) for f in standing(records, FIXED)] == [
        ("OSCILLATION", "info", "put right: the held-out loss swings.")
    ]
    records[-1] = records[-1].model_copy(update={"diagnoses": [applied]})
    assert [(f.code, f.severity) for f in standing(records, FIXED)] == [("OSCILLATION", "act")]


def test_terms_are_medians_and_sensors_sums_of_squares():
    def part(e):
        return {"raw_median": 1.0, "data_norm": 3.0 if e == 1 else 1.0, "sensor_share": {"a": 0.9, "b": 0.1} if e == 1 else {"b": 1.0}}

    records = run(2, grad=lambda e: GradHealth(**part(e)), aux=lambda e: aux(float(e), 0.5))
    shares = sensor_shares(records)
    assert list(shares) == ["a", "b"]
    assert shares == {"a": pytest.approx(0.81), "b": pytest.approx(0.19)}
    data, acyclic = term_shares(records)
    assert (data.norm, data.ratio, acyclic.ratio, acyclic.cosine) == (1.0, 1.0, 1.0, 0.5)
    assert data.share == acyclic.share == 0.5


def test_the_guard_and_the_rule_for_logs_without_one_agree():
    names = ("WINDOW", "ARMED_AFTER", "SPIKE_MADS", "MAD_FLOOR", "LEVEL_SHIFT")
    assert {name: getattr(watched, name) for name in names} == {name: getattr(guard, name) for name in names}
    norms = [1.0 + 0.1 * (i % 5) for i in range(300)]
    for at, size in ((8, 1e3), (5, 1e3), (50, 4.0), (150, 30.0), (151, 30.0)):
        norms[at] = size
    norms[200:215] = [100.0] * 15
    norms += [1.0] * 140 + [4.0] * 120 + [12.0]
    judge = guard.Guard(max_rollbacks=10**6)
    skipped = [i for i, norm in enumerate(norms) if judge.judge(norm) in ("skip", "rollback")]
    assert spikes(norms) == skipped
    assert len(skipped) > 8
