"use strict";
/* The graph on the page: filter, hover, focus, drag, selection; and the same picture once an operating mode. */

(function () {
  const { data, make, svg, byId, put } = Report;
  const STEP = 14;
  const links = data.graph.links;
  const keys = links.map((link) => link.key);

  function told(link) {
    const [lag, i, j] = link.key;
    const much = link.strength === null ? "" : `, strength ${Report.signed(link.strength)}`;
    const ends = link.low === null ? "" : ` (${Report.interval(link.low, link.high)})`;
    return `${Report.sensor(i)} drives ${Report.sensor(j)} ${Report.delay(lag)}${much}${ends}, confidence ${Report.confidence(link.confidence)}`;
  }

  function about(n) {
    const sensor = data.graph.sensors[n];
    const count = (what) =>
      new Set(links.filter((link) => link.key[what] === n).map((link) => link.key[3 - what])).size;
    const shown = Report.label(n); // what is written comes first, so that it can be said to a voice control
    const name = shown === sensor.name ? shown : `${shown} (${sensor.name})`;
    return `${name}: ${sensor.out ? `took no part (${sensor.out})` : `driven by ${count(2)}, drives ${count(1)}`}`;
  }

  /* The small box beside the pointer or the focused part. */
  function tip(text, place) {
    const box = byId("tip");
    box.hidden = !text;
    if (!text) return;
    box.textContent = text;
    const left = Math.min(place.left + place.width / 2 + 14, window.innerWidth - box.offsetWidth - 12);
    box.style.left = `${Math.max(left, 8)}px`;
    box.style.top = `${Math.max(Math.min(place.top + 18, window.innerHeight - box.offsetHeight - 8), 8)}px`;
  }

  function reachable(group, text, act) {
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    group.setAttribute("aria-label", text);
    const at = (event) => ({ left: event.clientX, top: event.clientY, width: 0 });
    group.addEventListener("pointermove", (event) => tip(text, at(event)));
    group.addEventListener("pointerleave", () => tip(null));
    group.addEventListener("focus", () =>
      tip(group.matches(":focus-visible") ? text : null, group.getBoundingClientRect()),
    );
    group.addEventListener("blur", () => tip(null));
    group.addEventListener("click", act);
    group.addEventListener("keydown", function (event) {
      if (event.key === "Escape") tip(null);
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      act();
    });
  }

  function movable(group, n, places, drawing, view) {
    let held = null;
    function move(x, y) {
      places.nodes[n] = { x, y };
      for (const name of [...places.bends.keys()]) if (name.split(",").includes(String(n))) places.bends.delete(name);
      drawing.settle();
    }
    group.addEventListener("pointerdown", function (event) {
      const from = view.point(event);
      held = { x: from.x - places.nodes[n].x, y: from.y - places.nodes[n].y };
      group.setPointerCapture(event.pointerId);
    });
    group.addEventListener("pointermove", function (event) {
      if (!held) return;
      const to = view.point(event);
      move(to.x - held.x, to.y - held.y);
    });
    for (const end of ["pointerup", "pointercancel"])
      group.addEventListener(end, () => {
        held = null;
      });
    group.addEventListener("keydown", function (event) {
      const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
      if (!by) return;
      event.preventDefault();
      move(places.nodes[n].x + by[0], places.nodes[n].y + by[1]);
    });
  }

  function neighbours(drawing, n) {
    const off = n === null || drawing.nodes[n].classList.contains("chosen");
    drawing.nodes.forEach((node, other) => node.classList.toggle("chosen", !off && other === n));
    keys.forEach(function ([, i, j], at) {
      drawing.mark(at, "dim", !off && i !== n && j !== n);
      drawing.mark(at, "own", !off && (i === n || j === n));
    });
  }

  function filters(drawing) {
    const sure = byId("confidence"),
      lag = byId("lag");
    lag.max = data.graph.max_lag;
    lag.value = data.graph.max_lag;
    function apply() {
      byId("confidence-shown").textContent = Number(sure.value).toFixed(2);
      byId("lag-shown").textContent = lag.value;
      const kept = links.map((link) => (link.confidence ?? 1) >= Number(sure.value) && link.lag <= Number(lag.value));
      kept.forEach((shown, n) => drawing.mark(n, "hidden", !shown));
      put("drawn", links.length ? `${kept.filter(Boolean).length} of ${links.length} links drawn` : "No links to draw");
    }
    for (const slider of [sure, lag]) slider.addEventListener("input", apply);
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    apply();
  }

  /* The same box, wide enough that a small graph is not blown up. */
  function roomy({ x, y, width, height }, window) {
    const spare = Math.max(0, window / 1.1 - width);
    return { x: x - spare / 2, y, width: width + spare, height };
  }

  function main() {
    const places = Report.places();
    const drawing = Report.drawing(places, keys, (n) => ({
      strength: links[n].strength,
      label: links[n].lag === 0 ? "now" : String(links[n].lag),
    }));
    const canvas = svg(
      "svg",
      { class: drawing.crowded ? "crowded" : null, role: "group", "aria-label": "Graph of sensors and links" },
      ...drawing.layers,
    );
    byId("canvas").append(canvas);
    const tight = Report.bounds(places),
      box = roomy(tight, byId("canvas").clientWidth);
    canvas.style.aspectRatio = `${box.width} / ${box.height}`;
    canvas.style.minWidth = `${Math.min(0.7 * tight.width, 2400)}px`; // a narrow window scrolls sideways instead of losing the names
    const view = Report.panzoom(canvas, box);
    drawing.links.forEach(function (group, n) {
      reachable(group, told(links[n]), () => Report.show("link", n));
      for (const come of ["pointerenter", "focus"]) group.addEventListener(come, () => drawing.mark(n, "at", true));
      for (const go of ["pointerleave", "blur"]) group.addEventListener(go, () => drawing.mark(n, "at", false));
    });
    drawing.nodes.forEach(function (group, n) {
      reachable(group, about(n), () => neighbours(drawing, n));
      movable(group, n, places, drawing, view);
    });
    byId("zoom-in").addEventListener("click", () => view.zoom(1.3));
    byId("zoom-out").addEventListener("click", () => view.zoom(1 / 1.3));
    byId("zoom-fit").addEventListener("click", () =>
      view.fit(roomy(Report.bounds(places), byId("canvas").clientWidth)),
    );
    filters(drawing);
    Report.on("link", (chosen) => links.forEach((_, n) => drawing.mark(n, "chosen", n === chosen)));
  }

  function modes() {
    byId("modes").hidden = !data.graph.regimes.length;
    for (const mode of data.graph.regimes) {
      const places = Report.places();
      const drawing = Report.drawing(places, keys, function (n) {
        const differs = links[n].modes !== null;
        return { strength: mode.strength[n], quiet: !differs, label: differs ? Report.signed(mode.strength[n]) : "" };
      });
      const differing = links.map((link, n) => [link, n]).filter(([link]) => link.modes);
      const text = differing.map(
        ([link, n]) =>
          `${Report.sensor(link.key[1])} to ${Report.sensor(link.key[2])} ${Report.signed(mode.strength[n])}`,
      );
      const { x, y, width, height } = Report.bounds(places);
      const picture = svg(
        "svg",
        { viewBox: `${x} ${y} ${width} ${height}`, role: "img", "aria-label": `Mode ${mode.name}: ${text.join(", ")}` },
        ...drawing.layers,
      );
      byId("mode-panels").append(
        make("figure", { class: "mode" }, make("figcaption", {}, Report.called(mode.name)), picture),
      );
    }
  }

  Report.graph = function () {
    main();
    modes();
  };
})();
