"use strict";
/* Light or dark: as the system says, until the button is used. */

(function () {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const button = Report.byId("theme");

  Report.dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  /* A colour of the style sheet by its name. */
  Report.colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();

  function told() {
    button.textContent = Report.dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `${button.textContent} theme`);
    Report.show("theme", Report.dark());
  }

  button.addEventListener("click", function () {
    root.dataset.theme = Report.dark() ? "light" : "dark";
    told();
  });
  system.addEventListener("change", told);
  told();
})();
