// Puts a fresh page in place of the old one when something has changed, unless somebody is at a form of it.
"use strict";
let events = null;
const refresh = async () => {
  if (document.querySelector("details.act[open]") || document.activeElement.matches("input, select")) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = [...document.querySelectorAll("details[open] > summary")].map((one) => one.textContent);
  document.querySelector("main").replaceWith(page.querySelector("main"));
  for (const one of document.querySelectorAll("details > summary"))
    if (open.includes(one.textContent)) one.parentElement.open = true;
};
// A browser has six connections to a host, and keeps those of pages that it may go back to: only what is looked at has one.
const stop = () => {
  events?.close();
  events = null;
};
const start = () => {
  if (events || document.hidden || document.querySelector("form.login")) return;
  events = new EventSource("/changes");
  events.addEventListener("changed", refresh);
};
addEventListener("pagehide", stop);
addEventListener("pageshow", start);
document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
start();
