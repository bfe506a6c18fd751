"use strict";
/* The one object that the scripts share: the data of the page, and how elements are made.
   Whatever comes from a run goes in as text, never as markup. */

const Report = { data: JSON.parse(document.getElementById("data").textContent) };

/* An element with attributes (null: left out) and children; strings become text. */
Report.make = function (tag, attributes = {}, ...children) {
  return Report.fill(document.createElement(tag), attributes, children);
};

Report.svg = function (tag, attributes = {}, ...children) {
  return Report.fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
};

Report.fill = function (element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
};

Report.byId = (id) => document.getElementById(id);

/* Replace what an element holds. */
Report.put = function (id, ...children) {
  Report.byId(id).replaceChildren(...children.filter((child) => child !== null && child !== undefined));
};

/* A number for reading; absent is a dash. */
Report.number = function (value, digits = 3) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6))
    return value
      .toExponential(digits - 1)
      .replace("-", "−")
      .replace("e−", "e-");
  return Number(value.toPrecision(digits))
    .toLocaleString("en", { maximumFractionDigits: 6, useGrouping: false })
    .replace("-", "−");
};

/* A strength with its sign. */
Report.signed = (value) => (value === null ? "–" : (value >= 0 ? "+" : "−") + Math.abs(value).toFixed(2));

/* A confidence, two digits; a recipe that gives none has null. */
Report.confidence = (value) => (value === null ? "–" : value.toFixed(2));

Report.interval = (low, high) =>
  low === null || low === undefined ? "–" : `${Report.signed(low)} to ${Report.signed(high)}`;

Report.percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;

/* A text cut to so many visible characters. */
Report.cut = function (text, most) {
  const parts = [...new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text.slice(0, 20 * most))].map(
    (part) => part.segment,
  );
  return parts.length > most ? parts.slice(0, most - 1).join("") + "…" : parts.join("");
};

/* A sensor's name in running text: cut, whole in the title. */
Report.called = function (text, most = 40) {
  return Report.make("span", { class: "name", title: text, dir: "auto" }, Report.cut(text, most));
};

Report.sensor = (index) => Report.data.graph.sensors[index].name;

Report.delay = (lag) => (lag === 0 ? "within the row" : `after ${lag} row${lag === 1 ? "" : "s"}`);

/* Tell every part of the page which link (`link`) or sensor (`sensor`) is looked at now. */
Report.show = (what, index) => document.dispatchEvent(new CustomEvent(what, { detail: index }));
Report.on = (what, act) => document.addEventListener(what, (event) => act(event.detail));
