"""Suite files: what they mean, and one helpful sentence for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rcgnn.baselines import BASELINES
from rcgnn.bench.conduct import Plan, jobs_of
from rcgnn.bench.job import Case, Job
from rcgnn.bench.suite import Skipped, choose_methods, parse_seeds, read_suite
from rcgnn.errors import ConfigError, InputError
from rcgnn.synth import CELLS
from rcgnn.synth.traits import TRAITS

SUITES = sorted((Path(__file__).parents[2] / "benchmarks" / "suites").glob("*.yaml"))


def suite(tmp_path, text, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_suite(path)


def block(tmp_path, text):
    return suite(tmp_path, f"blocks: [{{name: a, {text}}}]").blocks[0]


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_suite_at_hand_can_be_read_and_says_what_it_asks(path):
    found = read_suite(path)
    assert (found.name, bool(found.about)) == (path.stem, True)


def test_the_suites_at_hand():
    assert {path.stem for path in SUITES} >= {"families", "short", "wide", "traits", "real", "null", "missing", "severity", "smoke"}
    by_name = {path.stem: read_suite(path).blocks[0] for path in SUITES}
    assert set(by_name["families"].cells) == set(by_name["short"].cells) == set(CELLS)
    assert by_name["families"].systems == ("linear", "nonlinear", "lorenz96")
    assert by_name["traits"].traits == tuple(TRAITS)
    assert by_name["missing"].sensors == (16,)


def test_a_block_is_a_product(tmp_path):
    cases = list(block(tmp_path, "systems: [linear, ar1], cells: [clean, drift=2], rows: [100, 200], seeds: '3:5'").cases((3, 4), None))
    assert len(cases) == 2 * 2 * 2 * 2
    assert Case("ar1", "drift=2", 4, 200) in cases
    assert len(set(cases)) == len(cases)


def test_traits_bring_their_own_rows_and_sensors(tmp_path):
    cases = list(block(tmp_path, "traits: [hub, t200], max_lag: null").cases((1,), None))
    assert [(c.system, c.rows, c.sensors, c.max_lag) for c in cases] == [("hub", 400, 20, None), ("linear", 200, 13, None)]


def test_seeds_given_win_over_those_of_block_and_suite(tmp_path):
    found = suite(tmp_path, "seeds: 7\nmethods: empty\nblocks: [{name: a, systems: ar1}, {name: b, systems: ar1, seeds: [1, 2]}]")
    seeds = [[job.case.seed for job in jobs_of(found, Plan(seeds=given))[0]] for given in ((), (5,))]
    assert seeds == [[7, 1, 2], [5, 5]]


def test_settings_are_for_rcgnn_alone(tmp_path):
    found = suite(tmp_path, "blocks: [{name: a, systems: ar1}]\nmethods: [rcgnn, granger]\nseeds: 1")
    jobs, _ = jobs_of(found, Plan(settings=("select.refine=off",)))
    assert [(job.method, job.settings) for job in jobs] == [("rcgnn", ("select.refine=off",)), ("granger", ())]
    with pytest.raises(ConfigError, match=r"unknown setting 'select.refin'. Did you mean 'refine'\?"):
        jobs_of(found, Plan(settings=("select.refin=off",)))


def test_all_methods():
    assert choose_methods(["all"]) == ("rcgnn", *BASELINES)
    assert choose_methods(["empty", "empty"]) == ("empty",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("blocks: [{name: a, systems: [liner]}]", "blocks.0.systems: unknown system 'liner'. Did you mean 'linear'?"),
        ("blocks: [{name: a, traits: [hubs]}]", "blocks.0.traits: unknown trait 'hubs'. Did you mean 'hub'?"),
        ("blocks: [{name: a, sistems: [linear]}]", "unknown entry 'blocks.0.sistems'. Did you mean 'systems'?"),
        ("bloks: [{name: a, systems: linear}]", "unknown entry 'bloks'. Did you mean 'blocks'?"),
        ("blocks: [{name: a, systems: linear, cells: [mcar50]}]", "blocks.0.cells: unknown cell 'mcar50'. Did you mean 'mcar40'?"),
        ("blocks: [{name: a, systems: linear, cells: [drift=99]}]", "drift is 99.0; expected 0 to 20 (sensor sd)."),
        ("blocks: [{name: a, systems: linear}]\nmethods: grangr", "methods: unknown method 'grangr'. Did you mean 'granger'?"),
        ("blocks: [{name: a, systems: linear}]\nseeds: x", "expected first:last such as 9000:9005"),
        ("blocks: [{name: a, systems: linear}]\nseeds: []", "seeds: expected at least one, got none."),
        ("blocks: [{name: a, systems: linear, rows: 0}]", "blocks.0.rows: expected whole numbers of at least 1."),
        ("blocks: [{name: a}]", "block 'a': give one of systems, traits and data."),
        ("blocks: [{name: a, systems: ar1}, {name: a, systems: ar1}]", "two blocks are called 'a'; rename one."),
        ("blocks: []", "blocks: expected at least one, got none."),
        ("blocks: [{systems: linear}]", "blocks.0.name is missing; a suite needs blocks, and every block a name."),
        ("- a", "expected a suite such as"),
        ("{", "cannot be read as YAML"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(ConfigError) as caught:
        suite(tmp_path, text)
    said = str(caught.value)
    assert sentence in said
    assert said.startswith(str(tmp_path / "mine.yaml"))
    assert "\n" not in said
    assert said[-1] in ".?"


def test_a_suite_that_is_not_there_names_its_neighbour(tmp_path):
    suite(tmp_path, "blocks: [{name: a, systems: ar1}]", "smoke.yaml")
    with pytest.raises(ConfigError, match=r"no such suite file. Did you mean 'smoke.yaml'\?"):
        read_suite(tmp_path / "smok.yaml")


@pytest.mark.parametrize("text", ["a", "", "3:3", "5:1", "-1", "1,-2", "1:b"])
def test_seeds_that_are_none(text):
    with pytest.raises(ConfigError, match="seeds: expected first:last"):
        parse_seeds(text)


def test_a_method_of_ones_own_must_be_importable():
    assert choose_methods(["rcgnn.baselines.trivial:empty"]) == ("rcgnn.baselines.trivial:empty",)
    with pytest.raises(InputError, match="expected an importable module:function"):
        choose_methods(["rcgnn.baselines.trivial:emty"])


def real(tmp_path, truth="cause,effect\na,b\n"):
    folder = tmp_path / "plant"
    folder.mkdir(exist_ok=True)
    (folder / "data.csv").write_text("a,b\n" + "".join(f"{i % 7},{(i * i) % 11}\n" for i in range(60)), encoding="utf-8")
    (folder / "truth.csv").write_text(truth, encoding="utf-8")
    return tmp_path


def test_a_real_table_belongs_to_its_content_not_to_its_place(tmp_path):
    wanted = block(tmp_path, "data: plant")
    (tmp_path / "other").mkdir()
    [one], [two] = (list(wanted.cases((1,), real(place))) for place in (tmp_path, tmp_path / "other"))
    assert one == two
    assert one.folder != two.folder
    assert Job(one, "empty").key == Job(two, "empty").key
    [changed] = wanted.cases((1,), real(tmp_path, "cause,effect\nb,a\n"))
    assert changed != one


def test_a_real_table_that_is_not_there_is_skipped_with_the_reason(tmp_path):
    wanted = block(tmp_path, "data: [plant, other]")
    assert [found.why for found in wanted.cases((1,), None)] == [
        "no data folder; give it with --data DIR or in the environment variable RCGNN_DATA"
    ] * 2
    first, second = wanted.cases((1,), real(tmp_path))
    assert isinstance(first, Case)
    assert second == Skipped("other", "there is no folder 'other' in the data folder")
    (tmp_path / "plant" / "truth.csv").unlink()
    assert next(iter(wanted.cases((1,), tmp_path))) == Skipped("plant", "there is no truth.csv in its folder")


def test_a_suite_is_plain_yaml():
    assert all(isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict) for path in SUITES)
