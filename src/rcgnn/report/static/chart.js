"use strict";
/* Charts: one look, a text beside every picture, drawn when they come near the window, drawn again when the theme changes.
   Plotly reads tags in its texts, so names from a run never go into a chart; they stand in the caption. */

(function () {
  const QUIET = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset", showTips: false };
  const waiting = new Map();
  const drawn = new Map();

  function axis(more) {
    return {
      gridcolor: Report.colour("grid"),
      zerolinecolor: Report.colour("grid"),
      linecolor: Report.colour("line"),
      ticks: "outside",
      ticklen: 4,
      tickcolor: Report.colour("line"),
      automargin: true,
      title: { standoff: 6 },
      ...more,
    };
  }

  function layout(spec) {
    const own = spec.layout();
    const axes = Object.entries(own)
      .filter(([name]) => /^[xy]axis/.test(name))
      .map(([name, value]) => [name, axis(value)]);
    return {
      xaxis: axis({}),
      yaxis: axis({}),
      ...own,
      ...Object.fromEntries(axes),
      height: spec.height,
      dragmode: "zoom",
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 56, r: 14, t: 12, b: 40, ...own.margin },
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: Report.colour("soft") },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
      hoverlabel: {
        bgcolor: Report.colour("card"),
        bordercolor: Report.colour("line"),
        font: { color: Report.colour("text") },
      },
    };
  }

  function draw(plot) {
    const spec = waiting.get(plot) || drawn.get(plot);
    waiting.delete(plot);
    drawn.set(plot, spec);
    watch.unobserve(plot);
    Plotly.react(plot, spec.traces(), layout(spec), QUIET);
  }

  const watch = new IntersectionObserver(
    (seen) => seen.filter((one) => one.isIntersecting).forEach((one) => draw(one.target)),
    { rootMargin: "400px" },
  );

  /* A chart in `host`. spec: caption, text (what the picture says, for those who do not see it), traces(), layout(), height. */
  Report.chart = function (host, spec) {
    const plot = Report.make("div", {
      class: "plot",
      role: "img",
      "aria-label": spec.text,
      style: `height:${spec.height}px`,
    });
    const figure = Report.make("figure", {}, Report.make("figcaption", {}, ...[spec.caption].flat()), plot);
    host.append(figure);
    waiting.set(plot, spec);
    watch.observe(plot);
    return figure;
  };

  /* The same chart with other lines. */
  Report.redraw = function (figure, spec) {
    const plot = figure.querySelector(".plot");
    plot.setAttribute("aria-label", spec.text);
    if (!drawn.has(plot)) waiting.set(plot, spec);
    else {
      drawn.set(plot, spec);
      draw(plot);
    }
  };

  /* Take the charts out of an element before others are put in. */
  Report.clear = function (host) {
    host.querySelectorAll(".plot").forEach(function (plot) {
      watch.unobserve(plot);
      waiting.delete(plot);
      if (drawn.delete(plot)) Plotly.purge(plot);
    });
    host.replaceChildren();
  };

  /* A line in a colour of the style sheet. */
  Report.line = (name, x, y, colour, more = {}) => ({
    name,
    x,
    y,
    mode: "lines",
    line: { color: Report.colour(colour), width: 1.6, ...more.line },
    connectgaps: false,
    hovertemplate: "%{y:.4~g}",
    ...more.trace,
  });

  Report.on("theme", () => [...drawn.keys()].forEach(draw));
  window.addEventListener("beforeprint", () => [...waiting.keys()].forEach(draw));
})();
