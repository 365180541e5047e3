// Copies ids and links, and says so to everybody.
"use strict";
(() => {
  const said = document.querySelector("[data-said]");
  const show = (within) => { for (const button of within.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard; };
  window.driftlineCopy = async (text, what) => {
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = `${what} copied`;
    } catch {
      said.textContent = `${what} could not be copied: ${text}`;
    }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    window.driftlineCopy(button.dataset.copy, "Text").then(() => {
      button.classList.add("is-copied");
      setTimeout(() => button.classList.remove("is-copied"), 1200);
    });
  });
  document.addEventListener("htmx:afterSwap", (event) => show(event.target.parentElement || document));
  show(document);
})();
