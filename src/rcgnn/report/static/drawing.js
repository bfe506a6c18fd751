"use strict";
/* One picture of the graph: boxes for sensors, curves for links. Knows shapes and places; what they mean is in graph.js. */

(function () {
  const { svg } = Report;
  const ROW = 54,
    HIGH = 30,
    MARGIN = 30,
    LETTERS = 22,
    CROWD = 120;

  /* A sensor's name as its box has it. */
  Report.label = (n) => Report.cut(Report.sensor(n), LETTERS);

  /* Sizes and places for the sensors of the page; bends by "cause,effect". */
  Report.places = function () {
    const { sensors, bends } = Report.data.graph;
    const labels = sensors.map((_, n) => Report.label(n));
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = "13px sans-serif";
    const wide = Math.max(60, ...labels.map((label) => pen.measureText(label).width + 26));
    const step = wide + Math.max(84, wide * 0.55);
    const at = ([x, y]) => ({ x: x * step, y: y * ROW });
    return {
      labels,
      wide,
      nodes: sensors.map((sensor) => at([sensor.x, sensor.y])),
      bends: new Map(bends.map(([i, j, points]) => [`${i},${j}`, points.map(at)])),
    };
  };

  /* The box that holds all nodes. */
  Report.bounds = function (places) {
    const xs = places.nodes.map((node) => node.x),
      ys = places.nodes.map((node) => node.y);
    const left = Math.min(...xs) - places.wide / 2 - MARGIN,
      top = Math.min(...ys) - HIGH / 2 - MARGIN;
    return {
      x: left,
      y: top,
      width: Math.max(...xs) + places.wide / 2 + MARGIN - left,
      height: Math.max(...ys) + HIGH / 2 + MARGIN - top,
    };
  };

  /* Where each link leaves and enters: the side that faces the other end, spread so that links of one side do not lie on each other. */
  function ports(places, keys) {
    const sides = new Map();
    const ends = keys.map(([, i, j], number) =>
      ["out", "in"].map(function (end) {
        const [own, other] = end === "out" ? [i, j] : [j, i];
        const gap = places.nodes[other].x - places.nodes[own].x;
        const side = Math.abs(gap) < 1 ? 1 : Math.sign(gap);
        const name = `${own},${side}`;
        if (!sides.has(name)) sides.set(name, []);
        const port = { own, side, far: places.nodes[other].y, number };
        sides.get(name).push(port);
        return port;
      }),
    );
    for (const found of sides.values()) {
      found.sort((a, b) => a.far - b.far || a.number - b.number);
      const room = Math.min(8, (HIGH - 6) / found.length);
      found.forEach((port, place) => {
        port.shift = (place - (found.length - 1) / 2) * room;
      });
    }
    return ends;
  }

  function spot(places, port) {
    const node = places.nodes[port.own];
    return { x: node.x + (port.side * places.wide) / 2, y: node.y + port.shift, side: port.side };
  }

  /* A point of a cubic curve. */
  function along(a, c1, c2, b, t) {
    const s = 1 - t,
      mix = (w, x, y, z) => s ** 3 * w + 3 * s * s * t * x + 3 * s * t * t * y + t ** 3 * z;
    return { x: mix(a.x, c1.x, c2.x, b.x), y: mix(a.y, c1.y, c2.y, b.y) };
  }

  /* The path of a link as cubic pieces, and the points of the middle one. */
  function path(places, key, [out, into]) {
    const from = spot(places, out),
      to = spot(places, into);
    const tip = { x: to.x + to.side * 9, y: to.y };
    const points = [from, ...(places.bends.get(`${key[1]},${key[2]}`) || []), tip];
    let text = `M${from.x} ${from.y}`,
      middle = null;
    for (let n = 1; n < points.length; n += 1) {
      const a = points[n - 1],
        b = points[n];
      const reach = Math.max(Math.abs(b.x - a.x) / 2, 26);
      const ahead = Math.sign(tip.x - from.x) || 1;
      const c1 = { x: a.x + (n === 1 ? from.side : ahead) * reach, y: a.y };
      const c2 = { x: b.x + (n === points.length - 1 ? to.side : -ahead) * reach, y: b.y };
      text += `C${c1.x} ${c1.y} ${c2.x} ${c2.y} ${b.x} ${b.y}`;
      if (n === Math.ceil((points.length - 1) / 2)) {
        middle = (t) => along(a, c1, c2, b, t);
      }
    }
    return { text, middle, to };
  }

  /* Where a label stands: half way, or beside it where another label stands already. */
  function free(middle, taken) {
    const spots = (taken.length > CROWD ? [0.5] : [0.5, 0.36, 0.64, 0.26, 0.74]).map(middle);
    const chosen =
      spots.find((at) => !taken.some((other) => Math.abs(other.x - at.x) < 20 && Math.abs(other.y - at.y) < 13)) ||
      spots[0];
    taken.push(chosen);
    return chosen;
  }

  /* Nodes and links as groups of an <svg>. look(n) -> {strength, label, quiet} of link n; keys are [lag, cause, effect]. */
  Report.drawing = function (places, keys, look) {
    const links = keys.map(function (key, n) {
      const { strength, label, quiet } = look(n);
      const kind = quiet || strength === null ? "quiet" : strength < 0 ? "down" : "up";
      const width = (1.3 + 4 * Math.min(Math.abs(strength || 0), 1)).toFixed(2);
      const sure = Report.data.graph.links[n].confidence ?? 1;
      return svg(
        "g",
        { class: `link ${kind}`, "data-link": n, style: `--sure:${(0.35 + 0.65 * sure).toFixed(2)}` },
        svg("path", { class: "near" }),
        svg("path", { class: "curve", "stroke-width": width }),
        svg("path", { class: "head" }),
      );
    });
    const tags = keys.map((_, n) =>
      svg("text", { class: `tag ${links[n].classList[1]}`, "aria-hidden": "true" }, look(n).label),
    );
    const nodes = places.labels.map((label, n) =>
      svg(
        "g",
        { class: `node${Report.data.graph.sensors[n].out ? " out" : ""}`, "data-sensor": n },
        svg("title", {}, Report.sensor(n)),
        svg("rect", { x: -places.wide / 2, y: -HIGH / 2, width: places.wide, height: HIGH, rx: 7 }),
        svg("text", {}, label),
      ),
    );

    function settle() {
      const ends = ports(places, keys),
        taken = [];
      links.forEach(function (link, n) {
        const { text, middle, to } = path(places, keys[n], ends[n]);
        const [near, curve, head] = link.children,
          tag = tags[n];
        near.setAttribute("d", text);
        curve.setAttribute("d", text);
        const back = to.x + to.side * 11;
        head.setAttribute("d", `M${back} ${to.y - 5.5}L${to.x + to.side} ${to.y}L${back} ${to.y + 5.5}z`);
        const at = free(middle, taken);
        tag.setAttribute("x", at.x);
        tag.setAttribute("y", at.y);
      });
      nodes.forEach((node, n) =>
        node.setAttribute("transform", `translate(${places.nodes[n].x} ${places.nodes[n].y})`),
      );
    }

    /* A class on a link and its label: hidden, dim, own (of the chosen sensor), chosen, at (pointed at). */
    function mark(n, name, on) {
      links[n].classList.toggle(name, on);
      tags[n].classList.toggle(name, on);
    }

    settle();
    const layers = [links, tags, nodes].map((parts) => svg("g", {}, ...parts));
    return { links, nodes, layers, settle, mark, crowded: links.length > CROWD };
  };
})();
