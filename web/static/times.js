// Moments are written in UTC; this adds the reader's own zone, and can turn the page over to it.
"use strict";
(() => {
  const button = document.querySelector("[data-zone]");
  const pad = (n) => String(n).padStart(2, "0");
  const local = (d) => `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  const utc = (d) => d.toISOString().slice(0, 19).replace("T", " ");
  let zone = "utc";
  try { zone = localStorage.getItem("driftline.zone") === "local" ? "local" : "utc"; } catch { /* stays UTC */ }
  const draw = (within) => {
    for (const time of within.querySelectorAll("time[datetime]")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      time.textContent = zone === "local" ? local(moment) : utc(moment);
      time.title = `${utc(moment)} UTC\n${local(moment)} local`;
    }
    button.textContent = zone === "local" ? "local" : "UTC";
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    zone = zone === "local" ? "utc" : "local";
    try { localStorage.setItem("driftline.zone", zone); } catch { /* lasts for this page */ }
    draw(document);
  });
  document.addEventListener("htmx:afterSwap", (event) => draw(event.target.parentElement || document));
  draw(document);
})();
