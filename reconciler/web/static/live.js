// Puts a fresh page in place of the old one when something has changed, unless somebody is at a form of it.
"use strict";
let events = null;
let shown = document.querySelector("main").innerHTML; // as it came, whatever was opened or typed since
const isBusy = () =>
  document.querySelector("details.act[open]") !== null || document.activeElement.matches("input, select");
// What has the focus, found again by its words: whoever goes by the keyboard keeps the place.
const name = (one) => one.tagName + (one.getAttribute("aria-label") ?? one.textContent);
const refresh = async () => {
  if (isBusy()) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (isBusy()) return; // somebody has begun meanwhile
  const came = page.querySelector("main").innerHTML;
  if (came === shown) return; // nothing to put in place, under somebody's click
  shown = came;
  const open = [...document.querySelectorAll("details[open] > summary")].map((one) => one.textContent);
  const old = document.querySelector("main");
  const focused = old.contains(document.activeElement) ? name(document.activeElement) : null;
  const shifted = new Map([...old.querySelectorAll(".scroll")].map((one) => [name(one), one.scrollLeft]));
  const main = page.querySelector("main");
  old.replaceWith(main);
  for (const one of document.querySelectorAll("details > summary"))
    if (open.includes(one.textContent)) one.parentElement.open = true;
  for (const one of main.querySelectorAll(".scroll")) one.scrollLeft = shifted.get(name(one)) ?? 0;
  if (focused !== null)
    [...main.querySelectorAll("a, button, summary, [tabindex]")]
      .find((one) => name(one) === focused)
      ?.focus({ preventScroll: true });
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
  events.addEventListener("open", refresh); // what changed while nobody listened: before, or while it was away
};
addEventListener("pagehide", stop);
addEventListener("pageshow", start);
document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
start();
