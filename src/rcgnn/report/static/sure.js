"use strict";
/* How sure the answer is: confidence, power, and the open questions with their reasons. */

(function () {
  const { data, make, byId, put } = Report;

  function histogram() {
    const { edges, links, others } = data.sure;
    const total = (counts) => counts.reduce((a, b) => a + b, 0);
    if (!total(links) && !total(others)) {
      byId("sure-chart").append(make("p", { class: "note" }, "No candidate has a confidence to draw."));
      return;
    }
    const middle = links.map((_, n) => (edges[n] + edges[n + 1]) / 2);
    const bars = (name, y, colour) => ({
      name,
      type: "bar",
      x: middle,
      y,
      width: 0.092,
      marker: { color: Report.colour(colour) },
      hovertemplate: "%{y}",
    });
    const told = middle
      .map((_, n) => [links[n], n])
      .filter(([count]) => count)
      .map(([count, n]) => `${count} from ${edges[n]} to ${edges[n + 1]}`);
    Report.chart(byId("sure-chart"), {
      caption: "Confidence of links, and of candidates that were turned down",
      height: 260,
      text: `Confidence of ${total(links)} links: ${told.join(", ") || "none"}; ${total(others)} candidates with some confidence are no links.`,
      traces: () => [bars("links", links, "blue"), bars("turned down", others, "faint")],
      layout: () => ({
        barmode: "stack",
        xaxis: { title: { text: "confidence" }, range: [0, 1], dtick: 0.1 },
        yaxis: {
          title: { text: "number" },
          rangemode: "tozero",
          dtick: Math.max(1, Math.ceil(Math.max(...links.map((count, n) => count + others[n])) / 6)),
        },
      }),
    });
  }

  function open() {
    const { pairs, entries, reasons, shown } = data.graph.open;
    if (!pairs) {
      byId("open").append(make("p", { class: "note" }, "None."));
      return;
    }
    const columns = [
      {
        head: "Cause",
        value: (row) => Report.sensor(row.cause),
        cell: (row) => Report.called(Report.sensor(row.cause)),
      },
      {
        head: "Effect",
        value: (row) => Report.sensor(row.effect),
        cell: (row) => Report.called(Report.sensor(row.effect)),
      },
      { head: "Delays", value: (row) => row.lags[0], cell: (row) => row.lags.join(", "), number: true },
      { head: "Why", value: (row) => row.reason },
    ];
    byId("open").append(
      make(
        "ul",
        {},
        ...Object.entries(reasons).map(([reason, count]) => make("li", { dir: "auto" }, `${count}: ${reason}`)),
      ),
      make(
        "details",
        { open: entries <= 12 },
        make("summary", {}, "Pair by pair"),
        Report.table(
          `${pairs} undecided pair${pairs === 1 ? "" : "s"}${entries > shown.length ? `, the first ${shown.length}; edges.csv has all` : ""}`,
          columns,
          shown,
        ),
      ),
    );
  }

  Report.sure = function () {
    const power =
      data.sure.detectable === null
        ? ""
        : ` A link that explains ${Report.percent(data.sure.detectable, 1)} of a sensor's variance would be found with 90 % probability.`;
    put("sure-what", data.sure.reliability + power);
    histogram();
    open();
  };
})();
