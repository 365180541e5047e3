// The keyboard, the same on every page. Rows are [data-row], findings among them [data-finding].
"use strict";
(() => {
  const help = document.getElementById("help");
  const opener = document.querySelector("[data-help]");
  opener.hidden = false;
  opener.addEventListener("click", () => help.showModal());

  const visible = (row) => !row.hidden && row.getClientRects().length > 0;
  const current = () => document.activeElement.closest("[data-row]");
  const focus = (row) => {
    if (!row) return;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };
  const step = (direction, wanted) => {
    const rows = [...document.querySelectorAll("[data-row]")].filter((row) => visible(row) && row.matches(wanted));
    if (!rows.length) return;
    const here = current();
    if (!here) { focus(direction > 0 ? rows[0] : rows[rows.length - 1]); return; }
    const after = direction > 0
      ? rows.find((row) => here.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING)
      : rows.filter((row) => here.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_PRECEDING).pop();
    focus(after);
  };
  const parentRow = (row) => {
    const level = Number(row.getAttribute("aria-level"));
    let before = row.previousElementSibling;
    while (before && !(Number(before.getAttribute("aria-level")) < level)) before = before.previousElementSibling;
    return before;
  };
  const collapse = () => {
    const row = current();
    if (!row || !window.driftlineRow) return;
    if (window.driftlineRow.isOpen(row)) window.driftlineRow.setOpen(row, false);
    else focus(parentRow(row));
  };
  const expand = () => {
    const row = current();
    if (row && window.driftlineRow) window.driftlineRow.setOpen(row, true);
  };
  const open = () => {
    const row = current();
    const link = row && (row.querySelector("a[data-more]") || row.querySelector("a[data-open]"));
    if (link) link.click();
  };
  const link = () => {
    const row = current();
    const target = row && row.querySelector("a[data-open]");
    return new URL(target ? target.getAttribute("href") : location.href, location.href).href;
  };
  const acts = {
    j: () => step(1, "*"), ArrowDown: () => step(1, "*"),
    k: () => step(-1, "*"), ArrowUp: () => step(-1, "*"),
    n: () => step(1, "[data-finding]"), p: () => step(-1, "[data-finding]"),
    l: expand, ArrowRight: expand, h: collapse, ArrowLeft: collapse,
    Enter: open,
    "/": () => { const box = document.querySelector("[data-filter]"); if (box) { box.focus(); box.select(); } },
    y: () => window.driftlineCopy(link(), "Link"),
    t: () => window.driftlineToggleTheme(),
    "?": () => (help.open ? help.close() : help.showModal()),
    Escape: () => { if (window.driftlineClosePanel) window.driftlineClosePanel(); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (help.open && event.key !== "?") return;
    const act = acts[event.key];
    if (!act) return;
    // Enter on a link or button, and arrows outside the rows, keep their own meaning.
    if (event.key === "Enter" && !event.target.matches("[data-row]")) return;
    if (event.key.startsWith("Arrow") && !current()) return;
    event.preventDefault();
    act();
  });
})();
