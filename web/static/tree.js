// The waterfall: rows open and close, spans open in the side panel, find in run.
"use strict";
(() => {
  const tree = document.querySelector("[data-tree]");
  if (!tree) return;
  const split = document.querySelector("[data-split]");
  const panel = document.getElementById("panel");
  const level = (row) => Number(row.getAttribute("aria-level"));
  const isOpen = (row) => row.getAttribute("aria-expanded") === "true";

  const below = (row) => {
    const rows = [];
    for (let next = row.nextElementSibling; next && level(next) > level(row); next = next.nextElementSibling) rows.push(next);
    return rows;
  };
  const redraw = (row) => {
    // A row shows when every row above it is open.
    let shutAt = isOpen(row) ? Infinity : level(row);
    for (const each of below(row)) {
      if (level(each) <= shutAt) shutAt = Infinity;
      each.hidden = shutAt !== Infinity;
      if (shutAt === Infinity && each.getAttribute("aria-expanded") === "false") shutAt = level(each);
    }
  };
  const setOpen = (row, open) => {
    if (!row || !row.hasAttribute("aria-expanded") || isOpen(row) === open) return;
    row.setAttribute("aria-expanded", String(open));
    const twist = row.querySelector("a.twist");
    if (open && twist.hasAttribute("hx-get") && !row.dataset.grown) {
      row.dataset.grown = "1";
      window.htmx.trigger(twist, "grow");
    } else {
      redraw(row);
    }
  };
  window.driftlineRow = { isOpen, setOpen, level };

  const select = (row, key) => {
    for (const old of tree.querySelectorAll(".is-selected")) old.classList.remove("is-selected");
    if (row) row.classList.add("is-selected");
    split.classList.toggle("has-panel", Boolean(key));
    const url = new URL(location.href);
    url.hash = "";
    url.searchParams.delete("open");
    if (key) url.searchParams.set("span", key); else url.searchParams.delete("span");
    history.replaceState(null, "", url);
  };
  const closePanel = () => { select(null, ""); panel.replaceChildren(); };
  window.driftlineClosePanel = closePanel;
  const showClose = () => { for (const button of document.querySelectorAll("[data-close-panel]")) button.hidden = false; };

  tree.addEventListener("click", (event) => {
    const twist = event.target.closest("a.twist");
    if (twist) {
      event.preventDefault();
      const row = twist.closest(".row");
      setOpen(row, !isOpen(row));
      row.focus({ preventScroll: true });
      return;
    }
    const name = event.target.closest("a.name");
    if (name) select(name.closest(".row"), name.dataset.span);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-close-panel]")) closePanel();
    const jump = event.target.closest("[data-jump]");
    if (!jump) return;
    const row = document.getElementById(jump.dataset.jump);
    if (!row) return;
    event.preventDefault();
    row.hidden = false;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
    row.querySelector("a.name").click();
  });
  document.addEventListener("htmx:afterSwap", (event) => { if (event.target === panel) showClose(); });

  // Find: rows that do not match step back; what is folded away is not looked at, and the count says so.
  const box = document.querySelector("[data-find]");
  const said = document.querySelector("[data-said]");
  box.addEventListener("input", () => {
    const wanted = box.value.trim().toLowerCase();
    let found = 0;
    for (const row of tree.querySelectorAll(".row[data-row]")) {
      const hit = wanted !== "" && row.textContent.toLowerCase().includes(wanted);
      row.classList.toggle("is-hit", hit);
      row.classList.toggle("is-miss", wanted !== "" && !hit);
      found += hit;
    }
    said.textContent = wanted ? `${found} rows match` : "";
  });

  // A deep link brings its row into view.
  const selected = tree.querySelector(".is-selected");
  if (selected) selected.scrollIntoView({ block: "center" });
  showClose();
})();
