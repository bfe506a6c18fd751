"use strict";
/* Tables that sort by their headings, and the same rows as a CSV file. */

(function () {
  const { make } = Report;

  function compared(a, b) {
    if (a === b) return 0;
    if (a === null || a === undefined) return 1;
    if (b === null || b === undefined) return -1;
    return typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  }

  /* columns: {head, value(row), cell(row) (default: the value), number}; returns the wrapped table, its rows by `data-row`. */
  Report.table = function (caption, columns, rows) {
    const lines = rows.map((row, n) =>
      make(
        "tr",
        { "data-row": n },
        ...columns.map((column) =>
          make("td", { class: column.number ? "number" : null }, column.cell ? column.cell(row, n) : column.value(row)),
        ),
      ),
    );
    const body = make("tbody", {}, ...lines);
    const heads = columns.map((column) =>
      make(
        "th",
        { scope: "col", class: column.number ? "number" : null },
        make("button", { type: "button" }, column.head),
      ),
    );
    heads.forEach(function (head, place) {
      head.firstChild.addEventListener("click", function () {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const value = columns[place].value;
        const order = lines
          .map((line, n) => [value(rows[n]), n])
          .sort((a, b) => compared(a[0], b[0]) * (down ? -1 : 1) || a[1] - b[1]);
        body.append(...order.map(([, n]) => lines[n]));
      });
    });
    const table = make("table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, ...heads)), body);
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table);
  };

  /* Mark the row that is looked at. */
  Report.mark = (host, chosen) =>
    host.querySelectorAll("tr[data-row]").forEach(function (line) {
      if (Number(line.dataset.row) === chosen) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
    });

  /* As `encode.guarded`: what begins like a formula and is no number gets an apostrophe before it. */
  function guarded(text) {
    const formula = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
    return formula.test(text) && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? `'${text}` : text;
  }

  function quoted(value) {
    if (value === null || value === undefined) return "";
    return typeof value === "string" ? `"${guarded(value).replaceAll('"', '""')}"` : String(value);
  }

  function csv(names, rows) {
    return [names, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";
  }

  /* A link that saves the rows as a file when it is used. */
  Report.download = function (file, names, rows) {
    const link = make("a", { class: "button", download: file, href: "#links" }, `Download ${file}`);
    link.addEventListener("click", function () {
      if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
      link.href = URL.createObjectURL(new Blob([csv(names, rows())], { type: "text/csv" }));
    });
    return link;
  };

  const NUMBERS = ["strength", "low", "high", "in_units", "in_units_low", "in_units_high", "swing", "confidence"];

  Report.links = function () {
    const host = Report.byId("link-table"),
      { links } = Report.data.graph;
    if (!links.length) {
      host.append(make("p", { class: "note" }, "There is no link to list."));
      return;
    }
    const name = (end) => (link) => Report.sensor(link.key[end]);
    const cause = (link, n) =>
      make(
        "button",
        { type: "button", class: "as-link", click: () => Report.show("link", n) },
        Report.called(name(1)(link), 28),
      );
    const measured = links.some((link) => link.in_units !== null);
    const columns = [
      { head: "Cause", value: name(1), cell: cause },
      { head: "Effect", value: name(2), cell: (link) => Report.called(name(2)(link), 28) },
      { head: "Delay, rows", value: (link) => link.lag, cell: (link) => String(link.lag), number: true },
      { head: "Strength", value: (link) => link.strength, cell: (link) => Report.signed(link.strength), number: true },
      ...(measured
        ? [
            {
              head: "95 %",
              value: (link) => link.low,
              cell: (link) => Report.interval(link.low, link.high),
              number: true,
            },
            {
              head: "In units",
              value: (link) => link.in_units,
              cell: (link) => Report.number(link.in_units),
              number: true,
            },
          ]
        : []),
      {
        head: "Confidence",
        value: (link) => link.confidence,
        cell: (link) => Report.confidence(link.confidence),
        number: true,
      },
    ];
    host.append(
      Report.table(`${links.length} link${links.length === 1 ? "" : "s"}, strongest evidence first`, columns, links),
      make(
        "p",
        {},
        Report.download("links.csv", ["cause", "effect", "lag", ...NUMBERS], () =>
          links.map((link) => [name(1)(link), name(2)(link), link.lag, ...NUMBERS.map((column) => link[column])]),
        ),
      ),
    );
    Report.on("link", (chosen) => Report.mark(host, chosen));
  };
})();
