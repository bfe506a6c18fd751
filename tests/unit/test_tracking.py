"""Logs of other tools: names mirror the health record, a missing or broken tool is one sentence, the real ones hold what was given."""

from __future__ import annotations

import json

import pytest

from browser.runs import HOSTILE, Answer, linked, records, stored
from rcgnn.cli.logs import Logs
from rcgnn.config import Config
from rcgnn.errors import InputError
from rcgnn.health import AuxHealth, HealthRecord, LossHealth
from rcgnn.tracking import TRACKERS, check, writers
from rcgnn.tracking.names import NO_FIGURES, scalars, settings
from rcgnn.tracking.writers import Tracker


class Fake:
    """A writer that keeps what it is given; `broken` names the call that fails."""

    broken = ""

    def __init__(self, run, config):
        self._may("make")
        self.run, self.config = run, config
        self.given, self.ended = [], None
        Fake.last = self

    def _may(self, call):
        if Fake.broken == call:
            raise OSError("the server\nis gone")

    def scalars(self, values, step):
        self._may("scalars")
        self.given.append((step, values))

    def end(self, verdict, files):
        self._may("end")
        self.ended = (verdict, [file.name for file in files])


@pytest.fixture
def run(tmp_path):
    return stored(tmp_path / "run", Answer(linked(("a", "b", "c"))))


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setitem(TRACKERS, "fake", Tracker("json", Fake))
    monkeypatch.setattr(Fake, "broken", "")
    return Fake


def record(**more):
    return HealthRecord(epoch=3, step=9, lr=1e-3, seed=7, loss=LossHealth(train=1.0, val=None, components={"recon": 0.5}), **more)


def numbers(value, path=()):
    """Every number of a record in JSON, by its dotted path: another way to the same."""
    if isinstance(value, dict):
        return {name: number for key, inner in value.items() for name, number in numbers(inner, (*path, key)).items()}
    if isinstance(value, list):
        return {name: number for at, inner in enumerate(value) for name, number in numbers(inner, (*path, str(at))).items()}
    return {"/".join(path): value} if isinstance(value, int | float) else {}


def test_names_are_the_paths_of_the_fields():
    one = record(aux={"acyclic": AuxHealth(grad_norm=0.2, share=0.1)}, update_ratio={"encoder": [1e-4, 1e-3, 1e-2]}, gain_over_self=0.3)
    got = scalars(one)
    assert got == {name: value for name, value in numbers(json.loads(one.to_line())).items() if name not in NO_FIGURES}
    assert {"loss/train", "grad/clip_share", "aux/acyclic/share", "update_ratio/encoder/1", "guard/accepted", "lr"} <= set(got)
    assert "loss/val" not in got
    assert got["aux/acyclic/share"] == 0.1


def test_hostile_sensor_names_become_plain_ones_and_none_is_lost():
    names = (*HOSTILE, "..", "../../etc", "a/b", "a_b", "a:b", "")
    got = scalars(record().model_copy(update={"loss": LossHealth(per_sensor={name: float(n) for n, name in enumerate(names)})}))
    kept = {name: value for name, value in got.items() if name.startswith("loss/per_sensor/")}
    assert sorted(kept.values()) == [float(n) for n in range(len(names))]
    assert all(name.count("/") == 2 and name.isascii() and len(name) < 110 and "/." not in name for name in kept)
    assert {"loss/per_sensor/a_b", "loss/per_sensor/a_b~2", "loss/per_sensor/a_b~3"} <= set(kept)


def test_settings_are_flat_and_complete():
    flat = settings(Config().override(["train.lr=0.25"]))
    dumped = Config().model_dump()
    assert flat["train.lr"] == "0.25"
    assert len(flat) == sum(len(value) if isinstance(value, dict) else 1 for value in dumped.values())
    assert flat["seed"] == str(dumped["seed"])


def test_a_writer_is_told_every_epoch_and_the_end(run, fake):
    with Logs(("fake", "fake")) as logs:
        logs.begin(run, Config())
        for one in records(3):
            logs.record(one)
        run.write("report.html", b"page")
        logs.end(run)
    assert [step for step, _ in fake.last.given] == [1, 2, 3]
    assert [values["loss/val"] for _, values in fake.last.given] == [2.0, 1.0, 2 / 3]
    assert fake.last.ended == ("links found", ["graph.json", "report.html"])


def test_a_run_that_fails_is_told_as_failed(run, fake):
    def fit():
        with Logs(("fake",)) as logs:
            logs.begin(run, Config())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit()
    assert fake.last.ended == ("failed", [])


@pytest.mark.parametrize("call", ["make", "scalars", "end"])
def test_a_broken_tool_is_one_sentence_and_the_fit_goes_on(run, fake, capsys, call):
    fake.broken = call
    with Logs(("fake",)) as logs:
        logs.begin(run, Config())
        for one in records(3):
            logs.record(one)
        logs.end(run)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "rcgnn: --log fake is left out from here on (OSError: the server is gone); the fit goes on.\n"


def test_an_unknown_or_missing_tool_is_one_sentence(monkeypatch):
    with pytest.raises(InputError, match=r"--log tensorbord: there is no such log\. Did you mean 'tensorboard'\?"):
        check(["tensorbord"])
    monkeypatch.setattr(writers, "find_spec", lambda _: None)
    for name in TRACKERS:
        with pytest.raises(InputError, match=rf"--log {name}: {name} is not installed; pip install 'rcgnn\[tracking\]' brings it\."):
            check([name])


def test_items_are_given_in_parts_a_tool_takes():
    items = [(str(n), n) for n in range(7)]
    parts = writers.in_parts(items, 3)
    assert [len(part) for part in parts] == [3, 3, 1]
    assert [item for part in parts for item in part] == items


def test_tensorboard_holds_every_epoch(run):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logs = Logs(("tensorboard",))
    logs.begin(run, Config())
    for one in records(3):
        logs.record(one)
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert [(event.step, round(event.value, 3)) for event in events.Scalars("loss/val")] == [(1, 2.0), (2, 1.0), (3, 0.667)]
    assert set(events.Tags()["scalars"]) == set(scalars(records(1)[0]))
    run.write("report.html", b"page")
    logs.end(run)


def test_mlflow_holds_settings_epochs_and_files(run, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run.write("report.html", b"page")
    with Logs(("mlflow",)) as logs:
        logs.begin(run, Config())
        for one in records(3):
            logs.record(one)
        logs.end(run)
    client = MlflowClient(tracking_uri=(run.path / "mlruns").resolve().as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("rcgnn").experiment_id])
    assert found.data.params == settings(Config())
    assert [(m.step, m.value) for m in client.get_metric_history(found.info.run_id, "loss/val")] == [(1, 2.0), (2, 1.0), (3, 2 / 3)]
    assert sorted(file.path for file in client.list_artifacts(found.info.run_id)) == ["graph.json", "report.html"]
    assert (found.info.status, found.data.tags["verdict"]) == ("FINISHED", "links found")
