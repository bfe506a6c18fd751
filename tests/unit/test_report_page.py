"""The page of a run: safe with any name, asks nobody, one set of links, and a page for every outcome."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from browser.runs import CASES, HOSTILE, Answer, hostile, linked, stored
from rcgnn.config import Config
from rcgnn.errors import InputError, RunDirError
from rcgnn.graph import CausalGraph
from rcgnn.live.page import LIVE
from rcgnn.report import page as module
from rcgnn.report.page import DARK, SCRIPTS, STYLES, as_block, page, page_data, write_report
from rcgnn.rundir import RunDir

STATIC = Path(module.__file__).parent / "static"
MOST_BYTES = 2_000_000
REFERENCE = re.compile(r"""\b(?:src|href|action|poster|data|srcset)\s*=\s*["']?([^"'\s>]*)""")


class Parts(HTMLParser):
    """Scripts, the data block, the policy, and the page without any of them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[str] = []
        self.block, self.policy, self._open, self.tags = "", "", "", list[str]()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self._open = ("block" if given.get("type") == "application/json" else "script") if tag == "script" else ""
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_endtag(self, _tag):
        self._open = ""

    def handle_data(self, data):
        if self._open == "script":
            self.scripts.append(data)
        elif self._open == "block":
            self.block += data


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDir:
    return hostile(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def text(run) -> str:
    return page(run)


def test_names_reach_the_page_as_they_are_and_never_as_markup(text):
    parts = Parts(text)
    names = [sensor["name"] for sensor in json.loads(parts.block)["graph"]["sensors"]]
    assert tuple(names) == HOSTILE
    assert len(HOSTILE[3]) == 300
    assert "window.hacked" not in re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
    assert not set(parts.block) & set("<>&\u2028\u2029")
    assert "img" not in parts.tags
    assert len(parts.scripts) == 1 + len(SCRIPTS)


def test_every_script_that_runs_is_named_by_its_hash_and_nothing_else_is_allowed(text):
    parts = Parts(text)
    allowed = dict(entry.split(" ", 1) for entry in parts.policy.split("; "))
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in parts.scripts]
    assert allowed.pop("script-src").split() == hashes
    assert allowed == {
        "default-src": "'none'", "style-src": "'unsafe-inline'", "img-src": "data: blob:", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip


def test_no_request_to_anywhere(text):
    bare = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    targets = REFERENCE.findall(re.sub(r'<script type="application/json".*?</script>', "", bare, flags=re.DOTALL))
    assert targets
    assert not [target for target in targets if not target.startswith("#") and target != "data:,"]
    assert "url(" not in bare
    assert "@import" not in bare


@pytest.mark.parametrize("name", [*SCRIPTS, *STYLES, DARK])
def test_own_files_are_short_and_use_no_dangerous_call(name):
    source = (STATIC / name).read_text(encoding="utf-8")
    assert source.count("\n") <= 350
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|fetch\(|XMLHttpRequest|https?://(?!www\.w3\.org)",
        source,
    )


def test_every_file_of_the_page_is_used():
    own = {file.name for file in STATIC.iterdir()} - {"plotly-LICENSE.txt", module.LIBRARY}
    assert own == {*SCRIPTS, *LIVE.scripts, *STYLES, DARK}
    assert (STATIC / "plotly-LICENSE.txt").read_text(encoding="utf-8").startswith("MIT License")


def test_the_dark_palette_has_the_names_of_the_light_one():
    light, dark = ((STATIC / name).read_text(encoding="utf-8") for name in ("style.css", DARK))
    names = re.findall(r"^(--[a-z]+|color-scheme):", dark, re.MULTILINE)
    assert names == re.findall(r"^  (--[a-z]+|color-scheme):", light, re.MULTILINE)


@pytest.mark.parametrize("case", CASES)
def test_a_page_for_every_outcome_with_the_links_of_the_graph(case, tmp_path):
    made = CASES[case](tmp_path / "run")
    text = page(made)
    parts = Parts(text)
    data = json.loads(parts.block)
    assert [tuple(link["key"]) for link in data["graph"]["links"]] == made.graph().links()
    assert len(text.encode()) - len(parts.block.encode()) < MOST_BYTES
    assert len(data["answer"]) == 3
    assert all(entry["text"] for entry in data["answer"])


@pytest.mark.parametrize(
    ("case", "entry", "said"),
    [
        (
            "without links",
            1,
            "explain less than 2.1 % of a sensor's variance may have been missed; from there on the probability of being found is 90 %",
        ),
        ("undecidable", 1, "Nothing can be said about any pair: a quarantined sensor"),
        ("undecidable", 2, "6 pairs undecided (a quarantined sensor); 1 sensor took no part"),
        ("failed", 0, "The network was given up (refinement failed: NONFINITE); the graph is the screen's."),
        ("failed", 2, "The network failed in training"),
        ("origin", 1, "This recipe gives no confidence"),
        ("hundred", 1, "of 300 links have a confidence of 0.9 or more"),
    ],
)
def test_the_sentences_say_what_happened(case, entry, said, tmp_path):
    assert said in page_data(CASES[case](tmp_path / "run"))["answer"][entry]["text"]


def test_numbers_of_a_link_are_those_of_the_graph(run):
    graph = run.graph()
    for link, row in zip(page_data(run)["graph"]["links"], graph.rows(), strict=False):
        k, i, j = link["key"]
        assert link["strength"] == pytest.approx(row["strength"], rel=1e-4)
        assert link["confidence"] == pytest.approx(row["confidence"], rel=1e-4)
        assert link["profile"]["forward"] == pytest.approx(graph.score[:, i, j].tolist(), rel=1e-4)
        assert link["profile"]["backward"] == pytest.approx(graph.score[:, j, i].tolist(), rel=1e-4)
        assert (graph.names[i], graph.names[j], k) == (row["cause"], row["effect"], row["lag"])


def test_modes_are_drawn_where_a_link_differs_between_them(run, tmp_path):
    modes = page_data(run)["graph"]["regimes"]
    assert [mode["name"] for mode in modes] == ["day <b>", "night"]
    assert [mode["strength"][0] for mode in modes] == [0.8, -0.2]
    assert modes[0]["strength"][1:] == modes[1]["strength"][1:]
    assert page_data(stored(tmp_path / "run", Answer(linked(("a", "b", "c")))))["graph"]["regimes"] == []


def test_equal_answers_give_equal_pages_whatever_the_clock_said(tmp_path):
    graph = linked(("a", "b", "c"))
    pages = [page(stored(tmp_path / str(n), Answer(graph, (), {"seconds": {"screen": float(n)}}))) for n in range(2)]
    assert pages[0] == pages[1]


def test_findings_that_differ_in_the_sensor_alone_are_one_entry(run):
    entries = page_data(run)["findings"]
    assert [entry["severity"] for entry in entries] == ["stop", "act", "warn", "info"]


def test_a_run_without_traces_equations_and_share_still_has_a_page(tmp_path):
    made = stored(tmp_path / "run", Answer(CausalGraph.empty(("a", "b"), 1, conclusion="No links found.")))
    (made.path / "traces.npz").unlink()
    data = page_data(made)
    assert data["table"]["traces"] == [None, None]
    assert data["table"]["observed"] == [None, None]
    assert "not recorded" in data["answer"][1]["text"]


def test_where_it_is_written(run, tmp_path):
    assert write_report(run) == run.path / "report.html"
    assert run.path / "report.html" in run.files()
    assert write_report(run, tmp_path / "deep" / "page.html").read_bytes() == (run.path / "report.html").read_bytes()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_report(run, tmp_path / "file" / "page.html")


def test_an_unfinished_run_is_refused(tmp_path):
    unfinished = RunDir(tmp_path / "run")
    unfinished.write_config(Config())
    with pytest.raises(RunDirError, match=r"graph\.json is missing"):
        write_report(unfinished)


def test_half_a_surrogate_pair_does_not_stop_the_page(tmp_path):
    written = write_report(stored(tmp_path / "run", Answer(linked(("a\ud800", "b", "c")))), tmp_path / "page.html")
    assert json.loads(Parts(written.read_text(encoding="utf-8")).block)["graph"]["sensors"][0]["name"].startswith("a\ud800")


def test_the_block_means_the_same_to_json():
    value = {"</script>": "<!-- & \u2028 \u2029 \\ \" '", "n": [1.5, None]}
    assert json.loads(as_block(value)) == value
