"use strict";
/* Training health over the epochs; dotted lines mark what happened. */

(function () {
  const { data, make, byId, put } = Report;

  function ends(values) {
    const known = values.filter((value) => value !== null);
    return known.length
      ? `from ${Report.number(known[0])} to ${Report.number(known[known.length - 1])}`
      : "not recorded";
  }

  /* Charts: caption, lines as [name, values, colour, dash], logarithmic or not. */
  function charts(log) {
    const terms = Object.entries(log.terms),
      colours = ["blue", "red", "green", "orange", "sky", "purple"];
    return [
      {
        caption: `Loss (${log.scale === "log" ? "mean log error" : "squared error"})`,
        lines: [
          ["training", log.train, "faint"],
          ["held out", log.val, "blue"],
          ["held out, own past alone", log.self, "orange", "dash"],
        ],
      },
      {
        caption: "Loss by term, before weighting",
        lines: terms.map(([name, values], n) => [
          name,
          values,
          colours[n % colours.length],
          n < colours.length ? "solid" : "dot",
        ]),
        log: true,
      },
      {
        caption: "Gradient norm",
        lines: [
          ["median", log.grad_median, "blue"],
          ["largest", log.grad_max, "red", "dot"],
          ["clip level", log.clip_level, "orange", "dash"],
          ["bound", log.bound, "green", "dashdot"],
        ],
        log: true,
      },
      { caption: "Share of steps clipped", lines: [["clipped", log.clip_share, "blue"]], range: [-0.03, 1.03] },
      { caption: "Learning rate", lines: [["lr", log.lr, "blue"]], log: true },
      { caption: "Links of the network", lines: [["pairs", log.links, "blue"]], zero: true },
    ]
      .map((chart) => ({ ...chart, lines: chart.lines.filter(([, values]) => values.some((value) => value !== null)) }))
      .filter((chart) => chart.lines.length);
  }

  function marks(log) {
    const at = [
      ...new Set([
        ...log.events.map((event) => event.at),
        ...log.attempt.map((attempt, n) => (n && attempt !== log.attempt[n - 1] ? n : -1)).filter((n) => n >= 0),
      ]),
    ];
    return at
      .slice(0, 60)
      .map((n) => ({
        type: "line",
        x0: n + 1,
        x1: n + 1,
        yref: "paper",
        y0: 0,
        y1: 1,
        line: { color: Report.colour("line"), width: 1, dash: "dot" },
      }));
  }

  function spec(chart, log) {
    const epochs = log.epoch.map((_, n) => n + 1);
    const positive = chart.lines.every(([, values]) => values.every((value) => value === null || value > 0));
    return {
      caption: chart.caption,
      text: `${chart.caption} over ${epochs.length} epochs: ${chart.lines.map(([name, values]) => `${name} ${ends(values)}`).join("; ")}.`,
      height: 250,
      traces: () =>
        chart.lines.map(([name, values, colour, dash]) =>
          Report.line(name, epochs, values, colour, {
            line: { dash: dash || "solid" },
            trace: { connectgaps: true, mode: epochs.length < 3 ? "lines+markers" : "lines" },
          }),
        ),
      layout: () => ({
        shapes: marks(log),
        xaxis: { title: { text: "epoch" } },
        showlegend: chart.lines.length > 1,
        hovermode: "x",
        yaxis: {
          type: chart.log && positive ? "log" : "linear",
          ...(chart.range ? { range: chart.range, tickformat: ".0%" } : {}),
          ...(chart.zero ? { rangemode: "tozero" } : {}),
          ...(chart.lines.length > 2 ? {} : { nticks: 6 }),
        },
      }),
    };
  }

  /* Charts that are there get the new lines; others are put in, in their order. */
  const figures = new Map();

  function draw(log) {
    const host = byId("training-charts"),
      now = charts(log).map((chart) => spec(chart, log));
    if (now.length !== figures.size || now.some((one) => !figures.has(one.caption))) {
      Report.clear(host);
      figures.clear();
      for (const one of now) figures.set(one.caption, Report.chart(host, one));
    } else for (const one of now) Report.redraw(figures.get(one.caption), one);
  }

  function events(log) {
    const host = byId("training-events"),
      open = host.querySelector("details")?.open ?? false;
    if (!log.events.length) {
      host.replaceChildren(make("p", { class: "note" }, "No step was skipped, undone or taken back, and no rule spoke."));
      return;
    }
    host.replaceChildren(
      make(
        "details",
        { open },
        make("summary", {}, `${log.events.length} event${log.events.length === 1 ? "" : "s"} (dotted lines)`),
        make(
          "ul",
          { class: "events" },
          ...log.events.map((event) =>
            make(
              "li",
              { dir: "auto" },
              `epoch ${log.epoch[event.at]}${log.attempt[event.at] > 1 ? ` of attempt ${log.attempt[event.at]}` : ""}: ${event.text}`,
            ),
          ),
        ),
      ),
    );
  }

  function untrained() {
    const why = data.untrained ? `: ${data.untrained.replace(/^not trained: /, "")}` : "";
    if (data.live) put("training-what", "No epoch yet.");
    else if (data.verdict.startsWith("refinement failed"))
      put("training-what", "The network was given up before its first epoch was done; Findings say why.");
    else put("training-what", `No network was trained${why}.`);
  }

  /* The section, or the section again with a longer log; null where there is none. */
  Report.training = function (log) {
    if (!log) {
      untrained();
      return;
    }
    const attempts = log.attempt[log.attempt.length - 1];
    put(
      "training-what",
      `${log.epoch.length} epoch${log.epoch.length === 1 ? "" : "s"}${attempts > 1 ? ` in ${attempts} attempts` : ""}. The network checks the screen's links on held-out rows; it decides none of them.`,
    );
    draw(log);
    events(log);
  };
})();
