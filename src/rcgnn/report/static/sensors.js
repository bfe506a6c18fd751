"use strict";
/* The table of the readings: range and missingness of every sensor, and one sensor's trace with what was made of it. */

(function () {
  const { data, make, byId } = Report;
  const TAKEN = { 1: "stuck", 2: "stands for missing", 3: "spike" };
  const strips = [];

  /* One line of the missingness map: a column a bin, the fuller the darker. */
  function strip(shares, name) {
    const mean = shares.reduce((a, b) => a + b, 0) / shares.length;
    const canvas = make("canvas", {
      width: shares.length,
      height: 1,
      class: "strip",
      role: "img",
      "aria-label": `${name}: ${mean.toFixed(1)} % of the cells read`,
    });
    strips.push(function () {
      const pen = canvas.getContext("2d");
      pen.clearRect(0, 0, shares.length, 1);
      pen.fillStyle = Report.colour("ink");
      shares.forEach(function (share, bin) {
        pen.globalAlpha = 0.06 + (0.84 * share) / 100;
        pen.fillRect(bin, 0, 1, 1);
      });
    });
    strips[strips.length - 1]();
    return canvas;
  }

  const mean = (shares) => (shares ? shares.reduce((a, b) => a + b, 0) / shares.length : null);

  function table() {
    const rows = data.graph.sensors.map((sensor, n) => ({
      ...sensor,
      n,
      range: data.table.ranges[n],
      observed: data.table.observed[n],
    }));
    const button = (row) =>
      make(
        "button",
        { type: "button", class: "as-link", click: () => Report.show("sensor", row.n) },
        Report.called(row.name),
      );
    const columns = [
      { head: "Sensor", value: (row) => row.name, cell: button },
      { head: "Lowest", value: (row) => row.range[0], cell: (row) => Report.number(row.range[0], 4), number: true },
      { head: "Highest", value: (row) => row.range[1], cell: (row) => Report.number(row.range[1], 4), number: true },
      {
        head: "Read",
        value: (row) => mean(row.observed),
        cell: (row) => (row.observed ? `${mean(row.observed).toFixed(1)} %` : "–"),
        number: true,
      },
      {
        head: "When it was read",
        value: (row) => mean(row.observed),
        cell: (row) => (row.observed ? strip(row.observed, row.name) : "–"),
      },
      { head: "Takes part", value: (row) => row.out || "", cell: (row) => (row.out ? `no: ${row.out}` : "yes") },
    ];
    byId("sensor-table").append(Report.table(`${rows.length} sensors, ${data.table.rows ?? "–"} rows`, columns, rows));
    Report.on("theme", () => strips.forEach((draw) => draw()));
  }

  function parts(trace) {
    const taken = Object.entries(TAKEN).map(([code, name]) => [
      name,
      trace.removed.map((found, n) => (found === Number(code) ? n : -1)).filter((n) => n >= 0),
    ]);
    return [
      Report.line("raw", trace.row, trace.raw, "faint", { line: { width: 1 } }),
      ...(trace.clean ? [Report.line("cleaned (signal + bias)", trace.row, trace.clean, "blue")] : []),
      ...(trace.bias ? [Report.line("bias", trace.row, trace.bias, "orange", { line: { dash: "dash" } })] : []),
      ...taken
        .filter(([, at]) => at.length)
        .map(([name, at], n) => ({
          name: `taken out: ${name}`,
          x: at.map((p) => trace.row[p]),
          y: at.map((p) => trace.raw[p]),
          mode: "markers",
          hovertemplate: "%{y:.4~g}",
          marker: {
            color: Report.colour("red"),
            size: 7,
            symbol: ["x-thin", "triangle-up-open", "diamond-open"][n],
            line: { color: Report.colour("red"), width: 1.5 },
          },
        })),
      ...(trace.noise
        ? [{ ...Report.line("noise", trace.row, trace.noise, "green", { line: { width: 1 } }), yaxis: "y2" }]
        : []),
    ];
  }

  function said(trace, name) {
    const out = trace.removed.filter((code) => code > 0).length;
    const more = trace.bias ? " Drift was removed." : "";
    return `${name}: raw readings${trace.clean ? ", the cleaned trace over them" : ""}${trace.noise ? ", noise below" : ""}. ${out} of the drawn readings were taken out.${more}`;
  }

  function show(n) {
    const host = byId("sensor-shown"),
      trace = data.table.traces[n];
    Report.mark(byId("sensor-table"), n);
    Report.clear(host);
    if (!trace) {
      host.append(make("p", { class: "note" }, "This run holds no traces (traces.npz)."));
      return;
    }
    Report.chart(host, {
      caption: Report.called(Report.sensor(n)),
      text: said(trace, Report.sensor(n)),
      height: 380,
      traces: () => parts(trace),
      layout: () => ({
        xaxis: { title: { text: "row" }, anchor: trace.noise ? "y2" : "y" },
        yaxis: { domain: trace.noise ? [0.34, 1] : [0, 1], title: { text: "reading" } },
        ...(trace.noise ? { yaxis2: { domain: [0, 0.24], title: { text: "noise" } } } : {}),
      }),
    });
  }

  Report.sensors = function () {
    table();
    Report.on("sensor", show);
    Report.show("sensor", 0);
  };
})();
