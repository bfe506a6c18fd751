"use strict";
/* Light or dark: as the system says, until the button is used; light on paper. */

(function () {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const button = Report.byId("theme");

  Report.dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  /* A colour of the style sheet by its name. */
  Report.colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();

  /* The theme by its name, or as the system says. */
  function choose(theme) {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    told();
  }

  function told() {
    button.textContent = Report.dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `${button.textContent} theme`);
    Report.show("theme", Report.dark());
  }

  button.addEventListener("click", function () {
    choose(Report.dark() ? "light" : "dark");
  });
  window.addEventListener("beforeprint", function () {
    if (!Report.dark()) return;
    const before = root.dataset.theme;
    window.addEventListener("afterprint", () => choose(before), { once: true });
    choose("light");
  });
  system.addEventListener("change", told);
  told();
})();
