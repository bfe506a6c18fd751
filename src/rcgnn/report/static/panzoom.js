"use strict";
/* Move and enlarge a drawing: drag, pinch, Ctrl and wheel, or the functions that come back. One finger scrolls the page. */

Report.panzoom = function (svg, box) {
  let view = { ...box };
  const fingers = new Map();

  function apply() {
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  }

  /* Drawing units of one pixel on the screen. */
  function unit() {
    const place = svg.getBoundingClientRect();
    return Math.max(view.width / place.width, view.height / place.height);
  }

  /* A point of the screen in drawing units. */
  function point(event) {
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return { x: spot.x, y: spot.y };
  }

  function zoom(factor, at = { x: view.x + view.width / 2, y: view.y + view.height / 2 }) {
    const width = Math.min(Math.max(view.width / factor, box.width / 20), box.width * 4);
    const by = width / view.width;
    view = { x: at.x - (at.x - view.x) * by, y: at.y - (at.y - view.y) * by, width, height: view.height * by };
    apply();
  }

  function fit(whole = box) {
    view = { ...whole };
    apply();
  }

  function moved(event) {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const other = [...fingers].filter(([id]) => id !== event.pointerId).map(([, finger]) => finger)[0];
    if (other) {
      const far = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
      zoom(far(event) / Math.max(far(before), 1), point(other));
    } else if (event.pointerType !== "touch") {
      view.x -= (event.clientX - before.clientX) * unit();
      view.y -= (event.clientY - before.clientY) * unit();
      apply();
    }
    fingers.set(event.pointerId, event);
  }

  svg.addEventListener(
    "wheel",
    function (event) {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), point(event));
    },
    { passive: false },
  );
  svg.addEventListener("pointerdown", function (event) {
    if (event.target.closest(".node, .link")) return;
    fingers.set(event.pointerId, event);
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", moved);
  for (const end of ["pointerup", "pointercancel"])
    svg.addEventListener(end, (event) => fingers.delete(event.pointerId));
  apply();
  return { zoom, fit, point };
};
