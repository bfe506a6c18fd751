"use strict";
/* What speaks for one link: the readings of both sensors, the score at every delay, and the line of its equation. */

(function () {
  const { data, make, byId, put } = Report;

  function traces(host, link) {
    const [lag, i, j] = link.key;
    const cause = data.table.traces[i],
      effect = data.table.traces[j];
    if (!cause || !effect) {
      host.append(make("p", { class: "note" }, "This run holds no traces (traces.npz)."));
      return;
    }
    const panel = (trace, colour, axis) => [
      { ...Report.line("read", trace.row, trace.raw, "faint", { line: { width: 1 } }), yaxis: axis, showlegend: false },
      ...(trace.clean
        ? [{ ...Report.line("cleaned", trace.row, trace.clean, colour), yaxis: axis, showlegend: false }]
        : []),
    ];
    Report.chart(host, {
      caption: [
        "Cause, above: ",
        Report.called(Report.sensor(i)),
        "; effect, below: ",
        Report.called(Report.sensor(j)),
      ],
      text: `Readings of both sensors over the rows of the table, read in grey and cleaned in colour. The effect follows ${Report.delay(lag)}.`,
      height: 330,
      traces: () => [...panel(cause, "blue", "y"), ...panel(effect, "red", "y2")],
      layout: () => ({
        xaxis: { title: { text: "row" }, anchor: "y2" },
        yaxis: { domain: [0.54, 1], title: { text: "cause" } },
        yaxis2: { domain: [0, 0.46], title: { text: "effect" } },
        hovermode: "x",
      }),
    });
  }

  function profile(host, link) {
    const lags = link.profile.forward.map((_, lag) => lag);
    const best = (scores) => lags.reduce((a, b) => (scores[b] > scores[a] ? b : a), 0);
    const bars = (name, y, colour, more) => ({
      name,
      type: "bar",
      x: lags,
      y,
      marker: { color: Report.colour(colour), ...more },
      hovertemplate: "%{y:.3~g}",
    });
    Report.chart(host, {
      caption: "Evidence by delay",
      text:
        `Score of the link at each delay, highest at ${best(link.profile.forward)} rows (${Report.number(Math.max(...link.profile.forward))}); ` +
        `the other way round at most ${Report.number(Math.max(...link.profile.backward))}.`,
      height: 280,
      traces: () => [
        bars("this way", link.profile.forward, "blue", { opacity: lags.map((lag) => (lag === link.lag ? 1 : 0.55)) }),
        bars("the other way", link.profile.backward, "faint"),
      ],
      layout: () => ({
        xaxis: { title: { text: "delay, rows" }, dtick: Math.max(1, Math.ceil(lags.length / 12)) },
        yaxis: { title: { text: "score" } },
        bargap: 0.3,
      }),
    });
  }

  function response(host, link) {
    const line = link.response;
    if (!line) {
      host.append(make("p", { class: "note" }, "No equation is stored for this link."));
      return;
    }
    const [first, last] = [line.effect[0], line.effect[line.effect.length - 1]].map((value) => Report.number(value));
    const known = line.low[0] !== null;
    Report.chart(host, {
      caption: `What the cause alone does to the effect${line.curved ? " (straight line; the search found a curve for this effect)" : ""}`,
      text: `As the cause goes from ${Report.number(line.cause[0])} to ${Report.number(line.cause[line.cause.length - 1])}, its part of the effect goes from ${first} to ${last}.`,
      height: 280,
      traces: () => [
        ...(known
          ? [
              Report.line("95 %", line.cause, line.low, "blue", {
                line: { width: 0 },
                trace: { showlegend: false, hoverinfo: "skip", hovertemplate: null },
              }),
              Report.line("95 % of resamples", line.cause, line.high, "blue", {
                line: { width: 0 },
                trace: { fill: "tonexty", fillcolor: Report.colour("band"), hoverinfo: "skip", hovertemplate: null },
              }),
            ]
          : []),
        Report.line("equation", line.cause, line.effect, "blue", { line: { width: 2.2 } }),
      ],
      layout: () => ({ xaxis: { title: { text: "cause" } }, yaxis: { title: { text: "change of the effect" } } }),
    });
  }

  function facts(link) {
    const rows = [
      ["Delay", Report.delay(link.lag)],
      [
        "Strength",
        `${Report.signed(link.strength)}${link.low === null ? "" : ` (95 %: ${Report.interval(link.low, link.high)})`}`,
      ],
      [
        "In units",
        link.in_units === null
          ? "–"
          : `${Report.number(link.in_units)} (95 %: ${Report.number(link.in_units_low)} to ${Report.number(link.in_units_high)}) of the effect for one of the cause`,
      ],
      ["Swing", link.swing === null ? "–" : `${Report.number(link.swing)} standard deviations of the effect`],
      ["Confidence", Report.confidence(link.confidence)],
    ];
    if (link.reason) rows.push(["Why", link.reason]);
    if (link.modes) {
      for (const [mode, [strength, low, high]] of Object.entries(link.modes.slopes))
        rows.push([
          `In mode ${Report.cut(mode, 30)}`,
          `${Report.signed(strength)} (95 %: ${Report.interval(low, high)})`,
        ]);
    }
    return make(
      "dl",
      { class: "facts" },
      ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", { dir: "auto" }, value)]),
    );
  }

  function show(n) {
    const link = data.graph.links[n],
      host = byId("evidence-charts");
    Report.clear(host);
    put(
      "evidence-what",
      Report.called(Report.sensor(link.key[1])),
      " drives ",
      Report.called(Report.sensor(link.key[2])),
      ` ${Report.delay(link.lag)}.`,
    );
    host.append(facts(link));
    traces(host, link);
    const pair = make("div", { class: "panels" });
    host.append(pair);
    profile(pair, link);
    response(pair, link);
  }

  Report.evidence = function () {
    byId("evidence").hidden = !data.graph.links.length;
    if (!data.graph.links.length) return;
    Report.on("link", show);
    Report.show("link", 0);
  };
})();
