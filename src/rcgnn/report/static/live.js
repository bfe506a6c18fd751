"use strict";
/* The page of a run that goes on: takes the news of its server, and turns into the report at the end. */

(function () {
  const { make, put, byId } = Report;
  const STAGES = {
    read: "Read the table",
    inspect: "Look for faults",
    clean: "Clean the readings",
    reach: "Choose the longest delay",
    smooth: "Separate signal, bias and noise",
    screen: "Search for links",
    wait: "No epoch yet: the table is read and screened",
    train: "Train the network",
    decide: "Decide",
    measure: "Measure strengths",
    write: "Write the run",
  };
  let log = null;

  /* Columns of further epochs behind those that are there; `known`: how many those are. */
  function longer(known, piece) {
    if (!log || known === 0) return piece;
    const terms = new Set([...Object.keys(log.terms), ...Object.keys(piece.terms)]);
    const empty = (epochs) => Array(epochs.length).fill(null);
    const joined = Object.fromEntries(
      Object.keys(piece)
        .filter((name) => Array.isArray(piece[name]) && name !== "events")
        .map((name) => [name, [...log[name], ...piece[name]]]),
    );
    return {
      ...piece,
      ...joined,
      terms: Object.fromEntries(
        [...terms].map((name) => [
          name,
          [...(log.terms[name] ?? empty(log.epoch)), ...(piece.terms[name] ?? empty(piece.epoch))],
        ]),
      ),
      events: [...log.events, ...piece.events.map((event) => ({ ...event, at: event.at + known }))],
    };
  }

  function facts(stage) {
    return [
      stage.epoch ? `epoch ${stage.epoch}${stage.epochs ? ` of ${stage.epochs}` : ""}` : null,
      stage.loss !== undefined ? `loss ${Report.number(stage.loss)}` : null,
      stage.links !== undefined ? `${stage.links} links` : null,
      stage.clip_share !== undefined ? `clipped ${Report.percent(stage.clip_share)}` : null,
      stage.message ?? null,
    ]
      .filter((fact) => fact !== null)
      .join(", ");
  }

  function line(stage) {
    const done = stage.done ?? stage.epoch,
      total = stage.total ?? stage.epochs;
    const bar =
      stage.over || !total
        ? null
        : make("progress", { max: total, value: done ?? 0, "aria-label": STAGES[stage.name] ?? stage.name });
    return make(
      "li",
      { class: stage.over ? "over-with" : null, "aria-current": stage.over ? null : "step" },
      make("span", { class: "what" }, STAGES[stage.name] ?? stage.name),
      make("span", { class: "time" }, `${stage.seconds.toFixed(1)} s`),
      bar,
      make("span", { class: "facts-line", dir: "auto" }, facts(stage)),
    );
  }

  function told(state, why = "") {
    const badge = byId("state");
    if (badge.textContent !== state) badge.textContent = state;
    badge.dataset.kind = state;
    put("state-why", why);
  }

  function take(news) {
    put("stages", ...news.stages.map(line));
    if (news.training) log = longer(news.known, news.training);
    else if (news.known === 0) log = null;
    if (news.training || !log) Report.training(log);
    if (news.findings || !log) Report.findings(news.findings ?? []);
    told(news.state, news.message);
  }

  Report.live = function () {
    Report.training(null);
    Report.findings([]);
    const source = new EventSource("events");
    source.addEventListener("message", function (event) {
      const news = JSON.parse(event.data);
      take(news);
      if (news.state === "running") return;
      source.close();
      if (news.state === "done") window.location.reload();
    });
    source.addEventListener("error", () => told("connection lost", "The run goes on without this page; it is asked again."));
    window.addEventListener("pagehide", () => source.close());
  };
})();

Report.head();
Report.live();
document.documentElement.dataset.ready = "true";
