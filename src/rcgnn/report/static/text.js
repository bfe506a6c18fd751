"use strict";
/* The parts that are words: title, the three sentences, findings, how to repeat the run. */

(function () {
  const { data, make, put, byId } = Report;
  const GRAVE = {
    stop: "nothing can be said, or the network was given up",
    act: "something was done or should be",
    warn: "look at it",
    info: "worth knowing",
  };

  function title() {
    put("title", Report.called(data.title, 80));
    put("version", data.version);
    document.title = `${Report.cut(data.title, 60)}: rcgnn ${data.kind}`;
  }

  function answer() {
    put("verdict", data.verdict);
    byId("verdict").dataset.kind = data.verdict.startsWith("refinement failed") ? "failed" : data.verdict;
    put(
      "sentences",
      ...data.answer.flatMap((entry) => [make("dt", {}, entry.head), make("dd", { dir: "auto" }, entry.text)]),
    );
  }

  function contents() {
    const headings = [...document.querySelectorAll("main > section:not([hidden]) > h2")];
    put(
      "contents",
      ...headings.map((heading) =>
        make("li", {}, make("a", { href: `#${heading.parentElement.id}` }, heading.textContent)),
      ),
    );
  }

  function findings(found) {
    const all = (grave) =>
      found.filter((one) => one.severity === grave).reduce((sum, one) => sum + one.messages.length, 0);
    const counts = Object.keys(GRAVE)
      .map((grave) => [grave, all(grave)])
      .filter(([, count]) => count);
    put(
      "findings-what",
      found.length ? `${counts.map(([grave, count]) => `${count} ${grave}`).join(", ")}; the gravest first.` : "None.",
    );
    const list = byId("finding-list");
    const open = Object.fromEntries([...list.children].map((part) => [part.dataset.grave, part.open]));
    list.replaceChildren();
    for (const [grave, count] of counts) {
      const entries = found.filter((one) => one.severity === grave);
      list.append(
        make(
          "details",
          { "data-grave": grave, open: open[grave] ?? grave !== "info" },
          make("summary", {}, make("span", { class: `badge ${grave}` }, grave), ` ${count}: ${GRAVE[grave]}`),
          make("ul", { class: "findings" }, ...entries.map(entry)),
        ),
      );
    }
  }

  function entry(one) {
    const [first, ...others] = one.messages.map((message) => make("p", { dir: "auto" }, message));
    const alike = others.length
      ? make("details", {}, make("summary", {}, `and ${others.length} more alike`), ...others)
      : null;
    const done = one.applied ? make("span", { class: "done" }, "done by the program") : null;
    return make(
      "li",
      {},
      make("span", { class: "code" }, one.code),
      first,
      alike,
      one.remedy ? make("p", { class: "remedy", dir: "auto" }, one.remedy) : null,
      done,
    );
  }

  function repeat() {
    const { command, versions, recipe, seed, data_digest: digest, settings } = data.repeat;
    const facts = { recipe, seed, "sha256 of the readings": digest, ...versions };
    put(
      "repeat-what",
      make("pre", { tabindex: "0", "aria-label": "Command" }, command),
      make(
        "dl",
        { class: "facts" },
        ...Object.entries(facts).flatMap(([name, value]) => [
          make("dt", {}, name),
          make("dd", {}, String(value ?? "–")),
        ]),
      ),
      make(
        "details",
        {},
        make("summary", {}, "All settings"),
        make("pre", { tabindex: "0", "aria-label": "Settings" }, settings),
      ),
    );
  }

  Report.head = function () {
    title();
    contents();
  };

  /* The list of findings; those that are there are replaced. */
  Report.findings = findings;

  Report.text = function () {
    answer();
    findings(data.findings);
    repeat();
  };
})();
