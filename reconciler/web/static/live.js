// Puts a fresh page in place of the old one when something has changed, unless somebody is at a form of it.
"use strict";
const follow = () => {
  const events = new EventSource("/changes");
  events.addEventListener("changed", async () => {
    if (document.querySelector("details.act[open], form.login") || document.activeElement.matches("input, select")) return;
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = [...document.querySelectorAll("details[open] > summary")].map((one) => one.textContent);
    document.querySelector("main").replaceWith(page.querySelector("main"));
    for (const one of document.querySelectorAll("details > summary"))
      if (open.includes(one.textContent)) one.parentElement.open = true;
  });
};
if (!document.querySelector("form.login")) follow();
