"""Health records: one line an epoch, null where there is nothing, never a number that is not finite."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rcgnn.health import AuxHealth, Finding, GradHealth, GraphHealth, GuardHealth, HealthRecord, LossHealth, silent

finite = st.floats(allow_nan=False, allow_infinity=False)


def record(**more) -> HealthRecord:
    return HealthRecord(epoch=1, step=10, lr=1e-3, seed=7, loss=LossHealth(train=0.5), **more)


def full() -> HealthRecord:
    return record(
        gain_over_self=0.2,
        aux={"disen": AuxHealth(value=1.0, grad_norm=0.1, cos_data=-0.5, share=0.1)},
        grad=GradHealth(raw_median=1.0, raw_max=2.0, first_bad="decoder.weight"),
        update_ratio={"encoder": [1e-4, 1e-3, 1e-2]},
        guard=GuardHealth(accepted=9, skipped_spike=1),
        graph=GraphHealth(edges=3, density=0.1, strength_quantiles=[0.0, 0.5, 1.0]),
        data={"observed_share": 0.7},
        diagnoses=[Finding(code="SPIKE", severity="act", message="a\nb", sensor="Außen-°C", evidence={"z": 7.5})],
    )


def test_one_line_gives_the_record_back():
    line = full().to_line()
    assert "\n" not in line
    assert HealthRecord.from_line(line) == full()


@given(finite, finite, st.text())
def test_any_numbers_and_words_survive_the_line(loss, lr, message):
    one = HealthRecord(
        epoch=0,
        step=0,
        lr=lr,
        seed=0,
        loss=LossHealth(train=loss, components={message: loss}),
        diagnoses=[Finding(code="X", severity="info", message=message)],
    )
    line = one.to_line()
    assert "\n" not in line
    assert HealthRecord.from_line(line) == one


def test_absent_is_null():
    raw = json.loads(record().to_line())
    assert raw["gain_over_self"] is None
    assert raw["graph"] is None
    assert raw["loss"]["val"] is None
    assert raw["grad"]["raw_median"] is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValidationError):
        LossHealth(train=bad)
    with pytest.raises(ValidationError):
        LossHealth(train=0.0, per_sensor={"a": bad})
    with pytest.raises(ValidationError):
        record(update_ratio={"encoder": [bad]})


def test_unknown_fields_and_severities_are_refused():
    with pytest.raises(ValidationError):
        record(val_f1=0.5)
    with pytest.raises(ValidationError):
        Finding(code="X", severity="fatal", message="")


def test_records_are_frozen():
    with pytest.raises(ValidationError):
        record().lr = 1.0


def test_silent_says_nothing(capsys):
    silent("read", {"done": 1})
    assert capsys.readouterr() == ("", "")


def test_news_of_an_epoch_hold_what_is_there():
    without = record().news(9)
    assert (without["epochs"], without["loss"], without["links"]) == (9, 0.5, None)
    assert record(graph=GraphHealth(edges=3, density=0.1)).news(9)["links"] == 3
