"""Logs of other programs as health records, and what is said about logs that cannot be read."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.config import Config
from rcgnn.diagnosis.examine import examine
from rcgnn.diagnosis.foreign import MOST_GROUPS, read_log
from rcgnn.diagnosis.lines import FIELDS, SCALARS
from rcgnn.errors import InputError
from rcgnn.health import Finding, HealthRecord, LossHealth


def log(*rows: dict) -> str:
    """JSON lines; NaN and infinities as Python writes them."""
    return "\n".join(json.dumps(row) for row in rows) + "\n"


def epochs(count: int, **columns) -> str:
    """One line an epoch; a column is a value, or a function of the epoch from 0."""
    return log(*({"epoch": e + 1} | {k: v(e) if callable(v) else v for k, v in columns.items()} for e in range(count)))


def codes(text: str) -> dict[str, str]:
    read = read_log(text, "log.jsonl")
    return {finding.code: finding.severity for finding in examine(read.records, read.config).findings}


HEALTHY = {"loss": lambda e: 2.0 * 0.9**e, "grad_norm": lambda e: 3 + math.sin(e), "clip_share": 0.0, "lr": lambda e: 1e-3 * 0.95**e}
HEALTHY["val_loss"] = lambda e: 2.1 * 0.9**e + 0.05


def test_json_lines_and_csv_are_two_forms_of_one_log():
    rows = [
        {"epoch": e, "step": 10 * e, "loss": 2.0 / e, "val_loss": 2.5 / e, "grad_norm": 3.0 * e, "clip_share": 0.25, "lr": 1e-3}
        | {"input_min": -3.0, "input_max": 9.0, "terms.recon": 1.5, "terms.acyclic": 0.5, "sensors.pump": 3.0, "sensors.flow": 1.0}
        | {"term_grad_norms.recon": 2.0, "term_grad_norms.acyclic": 8.0, "term_cosines.acyclic": -0.5}
        for e in (1, 2, 3)
    ]
    table = "\n".join([",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)])
    nested = [{k: v for k, v in row.items() if "." not in k} for row in rows]
    for row, flat in zip(nested, rows, strict=True):
        for key, value in flat.items():
            head, dot, tail = key.partition(".")
            if dot:
                row.setdefault(head, {})[tail] = value
    read = read_log(table, "log.csv").records
    assert read == read_log(log(*rows), "log.jsonl").records == read_log(log(*nested), "log.jsonl").records
    assert read == read_log(table.replace(",", ";"), "log.csv").records
    last = read[-1]
    assert (last.epoch, last.step, last.lr, last.loss.scale, last.loss.train, last.loss.val) == (3, 30, 1e-3, "raw", 2 / 3, 2.5 / 3)
    assert (last.grad.raw_median, last.grad.raw_max, last.grad.clip_share, last.grad.data_norm) == (9.0, 9.0, 0.25, 2.0)
    assert last.aux["acyclic"].model_dump() == {"value": 0.5, "grad_norm": 8.0, "cos_data": -0.5, "share": 4.0}
    assert last.grad.sensor_share == {"pump": 0.75, "flow": 0.25}
    assert last.data == {"input_low": -3.0, "input_high": 9.0}


def test_steps_of_one_epoch_are_taken_together():
    rows = [{"epoch": 0.25 * k, "loss": float(k), "grad_norm": float(k), "clip_share": k > 6, "lr": 1 / k} for k in range(1, 9)]
    first, second = read_log(log(*rows), "log.jsonl").records
    assert (first.epoch, first.step, first.loss.train, first.grad.raw_max, first.lr) == (1, 4, 2.5, 4.0, 0.25)
    assert (second.epoch, second.step, second.grad.clip_share) == (2, 8, 0.5)
    assert second.numeric["norms"] == [5.0, 6.0, 7.0, 8.0]
    assert second.grad.raw_median == 6.0


def test_without_an_epoch_lines_count_and_long_logs_are_taken_together():
    short = read_log(log(*({"loss": 1.0} for _ in range(7))), "log.jsonl")
    assert [record.epoch for record in short.records] == list(range(1, 8))
    long = read_log(log(*({"loss": 1.0} for _ in range(1001))), "log.jsonl")
    assert len(long.records) <= MOST_GROUPS
    assert long.records[-1].step == 1001
    assert long.notes == ["No epoch in the log: every 11 lines together counts as one."]


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "null", '"nan"', '"inf"'])
@pytest.mark.parametrize("field", ["loss", "grad_norm"])
def test_values_that_are_not_finite_are_counted_not_refused(field, bad):
    text = epochs(9, **HEALTHY) + f'{{"epoch": 10, "{field}": {bad}}}\n'
    last = read_log(text, "log.jsonl").records[-1]
    assert (last.grad.nonfinite, last.loss.train, last.grad.raw_max) == (1, None, None)
    assert last.grad.first_bad == f"{field}, line 10"
    assert codes(text) == {"NONFINITE": "act"}


def test_an_empty_csv_cell_is_absent_and_nan_is_not():
    absent, bad = (read_log(f"loss,val_loss\n1.0,\n{cell},2.0\n", "log.csv").records for cell in ("", "nan"))
    assert [record.grad.nonfinite for record in absent] == [0, 0]
    assert [record.grad.nonfinite for record in bad] == [0, 1]


def test_other_names_and_unknown_columns():
    read = read_log(log({"epoch": 1, "train_loss": 2.0, "learning_rate": 0.1, "eval_loss": 3.0, "gpu": "hot", "zeta": None}), "log.jsonl")
    record = read.records[0]
    assert (record.loss.train, record.lr, record.loss.val) == (2.0, 0.1, 3.0)
    assert read.notes == ["Ignored, since not known: gpu, zeta."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "log: the file is empty"),
        (" \n\n", "log: the file is empty"),
        ("[1, 2]", "got one JSON array"),
        ('{"loss": 1}\n{"loss": \n{"loss": 1}\n', "log: line 2 is not JSON"),
        ('{"loss": 1}\n{"loss": 1', "log: line 2 is cut off in the middle"),
        ('{"loss": 1}\n[1]\n', "log: line 2 is not a JSON object but list"),
        ('{"loss": 1}\n{"loss": "high"}\n', "log: line 2: loss: expected a number, got 'high'"),
        ('{"loss": 1, "terms": 3}\n', "log: line 1: terms: expected numbers by name"),
        ('{"terms": {"a": []}}\n', "log: line 1: terms.a: expected a number"),
        ('{"clip_share": 20, "loss": 1}\n', "log: line 1: clip_share: expected 0 to 1, got 20"),
        ('{"grad_norm": -1}\n', "log: line 1: grad_norm: expected 0 to inf, got -1"),
        ('{"epoch": 2, "loss": 1}\n{"epoch": 1, "loss": 1}\n', "log: line 2: the epoch falls from 2 to 1"),
        ('{"colour": 1, "epoch": 1}\n', "got colour, epoch; see docs/diagnose.md"),
        ("hello world", "there is no line below the first"),
        ("loss,lr\n", "there is no line below the first"),
        ("loss,lr\n1,2\n3\n", "log: line 3 has 1 cells, expected 2"),
        ("loss,loss\n1,2\n", "log: line 1 names a column twice"),
        ("\nloss,lr\n1,2\n\n1,a\n", "log: line 5: lr: expected a number, got 'a'"),
        ("name,size\na,b\n", "expected at least one of the fields loss, val_loss"),
        ('{"config": {}, "epochs": []}', "'epochs' is empty"),
        ('{"epochs": [{"epoch": 1}]}', "entry 1 of 'epochs' lacks 'edge_count'"),
        ('{"epochs": [7]}', "entry 1 of 'epochs' is damaged"),
        ('{"epoch": 1, "loss": {"train": "x"}}\n', "log: line 1 is not a health record"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence_with_file_and_line(text, said):
    with pytest.raises(InputError) as error:
        read_log(text, "log")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_our_own_log_comes_back_and_a_half_written_last_line_is_passed_over():
    records = [HealthRecord(epoch=e, step=e, lr=1e-3, seed=1, loss=LossHealth(train=-0.5)) for e in (1, 2)]
    text = "\n".join(record.to_line() for record in records) + "\n"
    read = read_log(text, "health.jsonl")
    assert read.records == records
    assert read.config == Config()
    cut = read_log(text + records[0].to_line()[:40], "health.jsonl")
    assert cut.records == records
    assert cut.notes == ["line 3 is cut off in the middle. It was passed over."]


def test_the_origins_log_with_a_loss_that_is_not_a_number():
    entry = {"epoch": 1, "train_loss": math.nan, "train_loss_components": {"recon": math.nan, "sparse": 0.5}, "edge_count": 3}
    entry |= {"grad_clip_ratio": 1.0, "learning_rate": 1e-3, "epoch_time": 1.0}
    read = read_log(json.dumps({"config": {}, "epochs": [entry]}, indent=2), "training_log_stable.json")
    assert (read.records[0].loss.train, read.records[0].grad.nonfinite) == (None, 1)
    assert read.records[0].loss.components == {"sparse": 0.5}
    assert read.records[0].graph is None, "without the number of sensors there is no density"
    assert read.config.losses.balance == "fixed"


def test_a_healthy_log_is_healthy_at_any_length():
    assert [n for n in range(1, 40) if codes(epochs(n, **HEALTHY))] == []


FAULTS = {
    "SPIKE": HEALTHY | {"grad_norm": lambda e: 500.0 if e == 15 else 3.0},
    "CLIPPED_OFTEN": HEALTHY | {"clip_share": 0.9},
    "OSCILLATION": HEALTHY | {"val_loss": lambda e: 1e6 * (2.0 if e % 2 else 1.5)},
    "OVERFIT": HEALTHY | {"val_loss": lambda e: 2.0 + 0.1 * abs(e - 8)},
    "VANISHING": HEALTHY | {"grad_norm": 1e-9},
    "AUX_DOMINATES": HEALTHY | {"term_grad_norms": {"recon": 1.0, "acyclic": 40.0}},
    "NONFINITE": HEALTHY | {"loss": lambda e: math.inf if e == 5 else 2.0 * 0.9**e},
}


@pytest.mark.parametrize("code", FAULTS)
def test_general_rules_fire_on_foreign_logs(code):
    assert code in codes(epochs(20, **FAULTS[code]))
    read = read_log(epochs(20, **FAULTS[code]), "log.jsonl")
    finding = next(f for f in examine(read.records, read.config).findings if f.code == code)
    assert isinstance(finding, Finding)
    assert not finding.applied, "nothing was done about it"
    assert "screen" not in finding.remedy
    assert "halved (at most" not in finding.remedy


def test_a_spike_inside_an_epoch_is_seen():
    rows = [{"epoch": 1 + k // 20, "grad_norm": 400.0 if k == 33 else 2.0 + (k % 3) / 10} for k in range(60)]
    assert codes(log(*rows)) == {"SPIKE": "warn"}
    assert codes(log(*rows[:33])) == {}


def test_losses_of_any_scale_oscillate_alike():
    swings = [1.5, 2.0] * 6
    for scale in (1e-9, 1.0, 1e9):
        assert "OSCILLATION" in codes(epochs(12, val_loss=lambda e, scale=scale: scale * swings[e]))
        assert codes(epochs(12, val_loss=lambda e, scale=scale: scale * (2 + 0.02 * (e % 2)))) == {}
    assert "OSCILLATION" in codes(epochs(12, val_loss=lambda e: -5000 + swings[e])), "losses below 0, over their range"


CELL = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.dictionaries(st.text(max_size=3), st.floats())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from([*FIELDS, "terms.a", "colour"]), CELL, max_size=6), max_size=12))
def test_any_log_is_read_or_refused(rows):
    try:
        read = read_log(log(*rows), "log.jsonl")
    except InputError:
        return
    seen = examine(read.records, read.config)
    assert (seen.verdict == "unstable") >= bool(seen.causes)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from([*SCALARS]), st.floats(0, 1.7e308), min_size=1, max_size=9), min_size=1, max_size=15))
def test_huge_numbers_are_survived(rows):
    for number, row in enumerate(rows):
        row |= {"epoch": number, "step": number, "clip_share": min(row.get("clip_share", 0.0), 1.0), "loss": row.get("loss", 1e308)}
        row |= {"term_grad_norms": {"recon": row.get("lr", 0.0), "acyclic": row.get("grad_norm", 1e308)}, "term_cosines": {"acyclic": -1.0}}
        row |= {"sensors": {"a": row.get("val_loss", 1.7e308), "b": 1.7e308}}
    read = read_log(log(*rows), "log.jsonl")
    assert len(read.records) == len(rows)
    assert all(math.isfinite(cause.factor) for cause in examine(read.records, read.config).causes)
