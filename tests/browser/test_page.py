"""The page in a browser: quiet, alone, usable by mouse, keyboard and screen reader, in light and dark, on a phone."""

from __future__ import annotations

import csv
import time
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser.chrome import draw_all
from browser.runs import CASES, HOSTILE, LONG
from rcgnn.encode import unguarded
from rcgnn.rundir import RunDir

AXE = Path(__file__).parents[2] / ".browser" / "axe_playwright_python" / "axe.min.js"
DRAWN = "return [...document.querySelectorAll('#canvas .link')].filter(g => g.getClientRects().length).length"
SLIDE = "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))"
INKS = "return [...document.querySelectorAll('.plot')].map(p => p.layout.font.color)"
PALETTE = "return ['page', 'card', 'text', 'blue', 'warn', 'band'].map(Report.colour)"
COLUMN = "return [...document.querySelectorAll('#link-table tbody tr')].map(r => r.cells[arguments[0]].textContent)"


def graph_of(pages, case):
    return RunDir.open(pages[case].parent).graph()


def all_of(driver, selector):
    return driver.find_elements(By.CSS_SELECTOR, selector)


def press(driver, selector, *keys):
    """Focus an element and press keys."""
    element = driver.find_element(By.CSS_SELECTOR, selector)
    driver.execute_script("arguments[0].focus()", element)
    ActionChains(driver).send_keys(*keys).perform()


@pytest.mark.parametrize("case", CASES)
def test_opens_without_an_error_and_without_a_request(visit, case):
    driver = visit(case)
    assert driver.execute_script("return document.documentElement.dataset.ready") == "true"
    draw_all(driver)
    assert driver.get_log("browser") == []
    assert driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []


@pytest.mark.parametrize("case", CASES)
def test_the_contents_name_the_sections_that_are_shown(visit, case):
    driver = visit(case)
    listed = driver.execute_script("return [...document.querySelectorAll('#contents a')].map(a => a.hash.slice(1))")
    shown = driver.execute_script("return [...document.querySelectorAll('main > section')].filter(s => s.offsetParent).map(s => s.id)")
    assert listed == shown
    assert ("evidence" in listed) == (case not in ("without links", "undecidable"))


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("without links", "No network was trained: too few rows."),
        ("failed at once", "The network was given up before its first epoch was done; Findings say why."),
        ("failed", "2 epochs. The network checks the screen's links on held-out rows; it decides none of them."),
    ],
)
def test_why_there_is_no_training(visit, case, said):
    assert visit(case).find_element(By.ID, "training-what").text == said


def test_foreign_scripts_and_requests_are_refused(visit):
    driver = visit("failed")
    driver.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.foreign = 1'; document.body.append(s);"
        "const i = document.createElement('img'); i.src = 'https://example.org/x.png'; document.body.append(i)"
    )
    time.sleep(0.3)
    assert driver.execute_script("return window.foreign") is None
    assert len([entry for entry in driver.get_log("browser") if "Content Security Policy" in entry["message"]]) == 2


def test_names_stay_text(visit):
    driver = visit("hostile")
    draw_all(driver)
    for n in range(len(HOSTILE)):
        driver.execute_script("Report.show('sensor', arguments[0])", n)
    assert driver.execute_script("return window.hacked") is None
    assert not all_of(driver, "main img, main script, main a[href^='http']")
    shown = driver.execute_script("return [...document.querySelectorAll('#sensor-table .name')].map(e => e.title)")
    assert tuple(shown) == HOSTILE
    cut = driver.execute_script("return [...document.querySelectorAll('#sensor-table .name')].map(e => e.textContent)")[HOSTILE.index(LONG)]
    assert cut.endswith("…")
    assert len(cut) == 40


def test_links_drawn_and_listed_are_those_of_the_graph(visit, pages):
    graph = graph_of(pages, "hundred")
    driver = visit("hundred")
    assert driver.execute_script(DRAWN) == len(graph.links()) == 300
    assert driver.execute_script(COLUMN, 0) == [graph.names[i] for _, i, _ in graph.links()]
    assert driver.execute_script(COLUMN, 1) == [graph.names[j] for _, _, j in graph.links()]
    assert driver.execute_script(COLUMN, 2) == [str(k) for k, _, _ in graph.links()]


def test_sliders_hide_links(visit, pages):
    graph = graph_of(pages, "hundred")
    driver = visit("hundred")
    driver.execute_script(SLIDE, "confidence", "0.6")
    sure = [key for key in graph.links() if graph.confidence[key] >= 0.6]
    assert driver.execute_script(DRAWN) == len(sure) < 300
    driver.execute_script(SLIDE, "lag", "1")
    quick = [key for key in sure if key[0] <= 1]
    assert driver.execute_script(DRAWN) == len(quick) < len(sure)
    assert driver.find_element(By.ID, "drawn").text == f"{len(quick)} of 300 links drawn"


def test_the_table_sorts_by_mouse_and_keyboard(visit):
    driver = visit("hundred")
    heads = all_of(driver, "#link-table th button")
    heads[2].click()
    lags = [int(text) for text in driver.execute_script(COLUMN, 2)]
    assert lags == sorted(lags)
    assert heads[2].find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    driver.execute_script("arguments[0].focus()", heads[2])
    ActionChains(driver).send_keys(Keys.ENTER).perform()
    lags = [int(text) for text in driver.execute_script(COLUMN, 2)]
    assert lags == sorted(lags, reverse=True)
    heads[0].click()
    causes = driver.execute_script(COLUMN, 0)
    assert causes == sorted(causes)
    assert [head.find_element(By.XPATH, "..").get_attribute("aria-sort") for head in heads[:3]] == ["ascending", None, None]


def test_a_link_is_chosen_in_the_graph_by_keyboard_and_in_the_table_by_mouse(visit, pages):
    graph = graph_of(pages, "failed")
    driver = visit("failed")
    said = lambda: driver.find_element(By.ID, "evidence-what").text  # noqa: E731
    k, i, j = graph.links()[3]
    press(driver, "#canvas [data-link='3']", Keys.ENTER)
    assert (
        said() == f"{graph.names[i]} drives {graph.names[j]} {'within the row' if k == 0 else f'after {k} row' + ('s' if k > 1 else '')}."
    )
    assert driver.find_element(By.CSS_SELECTOR, "#link-table tr[aria-current]").get_attribute("data-row") == "3"
    all_of(driver, "#link-table .as-link")[1].click()
    assert said().startswith(f"{graph.names[graph.links()[1][1]]} drives")
    assert [group.get_attribute("data-link") for group in all_of(driver, "#canvas .link.chosen")] == ["1"]


def test_sensors_move_by_keyboard_and_mouse_and_links_follow(visit):
    driver = visit("failed")
    place = lambda: driver.execute_script("return document.querySelector(\"[data-sensor='0']\").getAttribute('transform')")  # noqa: E731
    curve = lambda: driver.execute_script("return [...document.querySelectorAll('.curve')].map(c => c.getAttribute('d')).join()")  # noqa: E731
    before, drawn = place(), curve()
    press(driver, "#canvas [data-sensor='0']", Keys.ARROW_DOWN)
    moved = place()
    assert moved != before
    assert curve() != drawn
    ActionChains(driver).drag_and_drop_by_offset(driver.find_element(By.CSS_SELECTOR, "#canvas [data-sensor='0']"), 40, 25).perform()
    assert place() != moved


def test_pointing_tells_delay_strength_interval_and_confidence(visit, pages):
    graph = graph_of(pages, "failed")
    driver = visit("failed")
    key = graph.links()[0]
    label = driver.find_element(By.CSS_SELECTOR, "#canvas [data-link='0']").get_attribute("aria-label")
    assert f"strength {graph.strength[key]:+.2f}".replace("-", "\u2212") in label
    assert f"confidence {graph.confidence[key]:.2f}" in label
    ActionChains(driver).move_to_element(driver.find_element(By.CSS_SELECTOR, "#canvas [data-link='0'] .head")).perform()
    assert driver.find_element(By.ID, "tip").text in [g.get_attribute("aria-label") for g in all_of(driver, "#canvas [role='button']")]


def test_the_view_zooms_and_fits(visit):
    driver = visit("failed")
    box = lambda: driver.execute_script("return document.querySelector('#canvas svg').getAttribute('viewBox')")  # noqa: E731
    whole = box()
    driver.find_element(By.ID, "zoom-in").click()
    assert box() != whole
    driver.find_element(By.ID, "zoom-fit").click()
    assert box() == whole


def test_the_download_holds_the_links(visit, pages, tmp_path):
    graph = graph_of(pages, "hostile")
    driver = visit("hostile")
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    driver.find_element(By.CSS_SELECTOR, "#link-table a[download]").click()
    file = tmp_path / "links.csv"
    until = time.monotonic() + 10
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.05)
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [(unguarded(row["cause"]), unguarded(row["effect"]), int(row["lag"])) for row in rows] == [
        (graph.names[i], graph.names[j], k) for k, i, j in graph.links()
    ]
    assert [float(row["strength"]) for row in rows] == pytest.approx([graph.strength[key] for key in graph.links()], rel=1e-4)


def test_the_button_changes_the_theme_and_the_charts_with_it(visit):
    driver = visit("hostile")
    draw_all(driver)
    look = lambda: driver.execute_script(  # noqa: E731
        "return [getComputedStyle(document.body).backgroundColor, document.querySelector('.plot .scatterlayer .js-line').style.stroke]"
    )
    before = look()
    driver.find_element(By.ID, "theme").click()
    assert all(a != b for a, b in zip(before, look(), strict=True))
    driver.find_element(By.ID, "theme").click()
    assert look() == before


def test_modes_are_drawn_side_by_side(visit):
    driver = visit("hostile")
    assert [figure.text.split("\n")[0] for figure in all_of(driver, ".mode figcaption")] == ["day <b>", "night"]
    assert len(all_of(driver, ".mode .link:not(.quiet)")) == 2
    assert not visit("failed").find_element(By.ID, "modes").is_displayed()


@pytest.mark.parametrize("case", ["hostile", "hundred"])
def test_nothing_reaches_over_the_edge_of_a_phone(visit, case):
    driver = visit(case, width=390)
    draw_all(driver)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390


def test_the_button_and_the_system_give_the_same_dark_colours(visit):
    by_system = visit("failed", theme="dark").execute_script(PALETTE)
    driver = visit("failed", theme="light")
    light = driver.execute_script(PALETTE)
    driver.find_element(By.ID, "theme").click()
    assert driver.execute_script(PALETTE) == by_system
    assert all(one != other for one, other in zip(light, by_system, strict=True))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_printing_leaves_out_what_is_pressed(visit, theme):
    driver = visit("hostile", theme=theme)
    if theme == "light":  # the other way to a dark page
        driver.find_element(By.ID, "theme").click()
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not driver.find_element(By.CSS_SELECTOR, ".top").is_displayed()
    assert not driver.find_element(By.ID, "filters").is_displayed()
    assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert driver.execute_script(PALETTE)[1:5] == ["#ffffff", "#000000", "#0072b2", "#8a5a00"]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_charts_are_light_on_paper_and_dark_again_after_it(visit):
    driver = visit("failed", theme="dark")
    draw_all(driver)
    dark = driver.execute_script(INKS)
    driver.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    paper = driver.execute_script(INKS)
    driver.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert driver.execute_script(INKS) == dark
    assert len(dark) > 3
    assert (set(dark), set(paper)) == ({"#b3c0c6"}, {"#4b5960"})
    assert driver.execute_script("return document.documentElement.dataset.theme") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("case", ["hostile", "without links", "undecidable"])
def test_axe_finds_nothing_serious(visit, case, theme):
    driver = visit(case, theme=theme)
    draw_all(driver)
    driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    found = driver.execute_async_script("axe.run(document, {resultTypes: ['violations']}).then(arguments[arguments.length - 1])")
    grave = [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert grave == []
    assert len(found["passes"]) > 20


def test_headings_and_landmarks_are_in_order(visit):
    driver = visit("hostile")
    levels = driver.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3')].filter(h => h.offsetParent).map(h => Number(h.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert driver.execute_script("return ['header', 'nav', 'main', 'footer'].map(t => document.querySelectorAll(t).length)") == [1, 1, 1, 1]
    ActionChains(driver).send_keys(Keys.TAB).perform()
    assert driver.switch_to.active_element.text == "Skip to the report"
