"""The live page in a browser: it grows while records come, is quiet, asks nobody else, and turns into the report."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from browser.chrome import draw_all
from browser.runs import HOSTILE, LONG, SCRIPT, records
from rcgnn.live.feed import Feed
from rcgnn.live.page import live_page
from rcgnn.live.server import LiveServer

AXE = Path(__file__).parents[2] / ".browser" / "axe_playwright_python" / "axe.min.js"
POINTS = "return [...document.querySelectorAll('#training-charts .plot')].map(p => p.data ? p.data[0].x.length : 0)"
RIGHT = "return [...document.querySelectorAll('main *, header *')].map(e => e.getBoundingClientRect().right).filter(x => x > 0)"
INK = "return document.querySelector('#training-charts .plot').layout.font.color"
PHONE = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
CAPTIONS = ["Loss (mean log error)", "Loss by term, before weighting", "Gradient norm", "Share of steps clipped", "Learning rate"]


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def live(driver, feed):
    """The driver with the live page, and its server."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]})
    size = {"width": 1180, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.get_log("browser")
    with LiveServer(feed, live_page(HOSTILE[0], "0")) as server:
        driver.get(server.url)
        yield driver, server
        driver.get("about:blank")


def wait(driver, script, expected, seconds=10):
    """Until the script gives what is expected."""
    until = time.monotonic() + seconds
    while (found := driver.execute_script(script)) != expected:
        assert time.monotonic() < until, f"{script}: {found!r} is not {expected!r}"
        time.sleep(0.05)


def test_it_grows_while_records_come(live, feed):
    driver, _ = live
    wait(driver, "return document.getElementById('training-what').textContent", "No epoch yet.")
    first, *others = records(6)
    feed.record(first)
    wait(driver, "return document.getElementById('training-what').textContent.slice(0, 8)", "1 epoch.")
    draw_all(driver)
    assert driver.execute_script(POINTS) == [1] * 6
    plots = driver.find_elements(By.CSS_SELECTOR, "#training-charts .plot")
    for number, record in enumerate(others, start=2):
        feed.record(record)
        wait(driver, POINTS, [number] * 6)
    assert driver.find_elements(By.CSS_SELECTOR, "#training-charts .plot") == plots
    captions = driver.execute_script("return [...document.querySelectorAll('#training-charts figcaption')].map(c => c.textContent)")
    assert captions == [*CAPTIONS, "Links of the network"]
    values = driver.execute_script("return document.querySelectorAll('#training-charts .plot')[2].data.map(t => [t.name, t.y.at(-1)])")
    assert values == [["median", 0.1], ["largest", 0.2], ["clip level", 0.5], ["bound", 90]]
    assert "held out from 2 to 0.333" in plots[0].get_attribute("aria-label")
    assert driver.get_log("browser") == []


def test_findings_and_events_come_with_their_epoch_as_text(live, feed):
    driver, _ = live
    for record in records(3):
        feed.record(record)
    wait(driver, "return document.querySelectorAll('.events li').length", 1)
    assert driver.execute_script("return document.getElementById('findings-what').textContent") == "None."
    feed.record(records(4)[3])
    wait(driver, "return document.querySelectorAll('.events li').length", 2)
    assert driver.execute_script("return document.querySelectorAll('.events li')[1].textContent") == f"epoch 4: SPIKE: {SCRIPT} jumped."
    assert driver.find_element(By.CSS_SELECTOR, "#finding-list .findings p").text == f"{SCRIPT} jumped."
    assert driver.execute_script("return window.hacked") is None
    assert driver.find_element(By.CSS_SELECTOR, "#title .name").get_attribute("title") == HOSTILE[0]


def test_stages_are_shown_with_what_is_done_of_them(live, feed):
    driver, _ = live
    feed.progress("smooth", {"done": 3, "total": 20})
    wait(driver, "return document.querySelector('.stages progress')?.position", 0.15)
    feed.progress("train", {"epoch": 2, "epochs": 8, "loss": 1.0496, "links": 3, "clip_share": 0.25, "message": SCRIPT})
    wait(driver, "return document.querySelector('.stages progress')?.position", 0.25)
    lines = [line.text.replace("\n", " | ") for line in driver.find_elements(By.CSS_SELECTOR, ".stages li")]
    assert lines[0].startswith("Separate signal, bias and noise")
    assert lines[1].endswith(f"epoch 2 of 8, loss 1.05, 3 links, clipped 25 %, {SCRIPT}")


def test_nobody_else_is_asked(live, feed):
    driver, server = live
    for record in records(4):
        feed.record(record)
    wait(driver, POINTS.replace("p.data ? p.data[0].x.length : 0", "1"), [1] * 6)
    asked = driver.execute_script("return performance.getEntries().map(e => e.name).filter(n => /^[a-z]+:/.test(n))")
    assert asked
    assert all(name.startswith(server.url) for name in asked)
    driver.execute_script("fetch('https://example.org/').catch(() => {}); new EventSource('http://127.0.0.1:1/')")
    time.sleep(0.3)
    refused = [entry["message"] for entry in driver.get_log("browser")]
    assert len(refused) >= 2
    assert all("Content Security Policy" in message for message in refused)


def test_at_the_end_it_is_the_report(live, feed, pages):
    driver, server = live
    feed.record(records(1)[0])
    wait(driver, "return document.getElementById('state')?.textContent", "running")
    driver.get_log("browser")
    feed.finish(pages["hostile"].read_text(encoding="utf-8"))
    server.hand_over()
    wait(driver, "return document.querySelector('h1 .over')?.textContent", "Report")
    assert driver.current_url == server.url
    draw_all(driver)
    assert len(driver.find_elements(By.CSS_SELECTOR, "#canvas [data-link]")) > 0
    assert driver.get_log("browser") == []


def test_a_failure_is_told_and_the_charts_stay(live, feed):
    driver, _ = live
    feed.record(records(1)[0])
    wait(driver, "return document.querySelectorAll('#training-charts figure').length", 6)
    feed.fail("screen: no sensor is left <b>.")
    wait(driver, "return document.getElementById('state').textContent", "failed")
    assert driver.find_element(By.ID, "state-why").text == "screen: no sensor is left <b>."
    assert len(driver.find_elements(By.CSS_SELECTOR, "#training-charts figure")) == 6


def test_on_a_phone_nothing_reaches_over_the_edge_and_all_of_it_works(live, feed):
    driver, _ = live
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    feed.progress("smooth", {"done": 3, "total": 20})
    feed.progress("train", {"epoch": 4, "epochs": 8, "loss": 1.0496, "links": 3, "clip_share": 0.25, "message": LONG})
    for record in records(4):
        feed.record(record)
    wait(driver, "return document.querySelectorAll('.events li').length", 2)
    draw_all(driver)
    wait(driver, "return document.documentElement.scrollWidth <= window.innerWidth && window.innerWidth", PHONE["width"])
    assert max(driver.execute_script(RIGHT)) <= PHONE["width"]
    feed.record(records(5)[4])
    wait(driver, POINTS, [5] * 6)
    events = driver.find_element(By.CSS_SELECTOR, "#training-events summary")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", events)
    events.click()
    wait(driver, "return document.documentElement.scrollWidth", PHONE["width"])
    assert SCRIPT in driver.find_element(By.CSS_SELECTOR, ".events").text
    before = driver.execute_script(INK)
    driver.find_element(By.ID, "theme").click()
    wait(driver, "return Report.dark()", True)
    assert driver.execute_script(INK) != before
    assert driver.get_log("browser") == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(live, feed, theme):
    driver, _ = live
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
    feed.progress("smooth", {"done": 3, "total": 20})
    feed.progress("train", {"epoch": 2, "epochs": 8})
    for record in records(4):
        feed.record(record)
    wait(driver, "return document.querySelectorAll('.events li').length", 2)
    draw_all(driver)
    driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true })")
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    found = driver.execute_async_script("axe.run(document, {resultTypes: ['violations']}).then(arguments[arguments.length - 1])")
    grave = [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert grave == []
    assert len(found["passes"]) > 15
