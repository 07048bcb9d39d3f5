// Pages that edit rules and templates: the effect of a change while it is tried and typed, and a
// question before what was typed is left. All pages work without it.
"use strict";
(() => {
  const parsed = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");
  const html = { accept: "text/html" };
  let asked = 0;

  // The effect is looked at again until the trial is over.
  const follow = async (number) => {
    const box = document.getElementById("effect");
    if (!box || !("runs" in box.dataset) || number !== asked) return;
    await new Promise((done) => { setTimeout(done, 700); });
    if (number !== asked) return;
    try {
      show(await parsed(await fetch(box.dataset.trial, { headers: html, redirect: "error" })));
    } catch { return; }
    follow(number);
  };
  const show = (fresh) => {
    const box = document.getElementById("effect");
    const other = fresh.getElementById("effect");
    if (!box || !other) return;
    const tests = fresh.getElementById("effect-tests");
    if (tests) other.append(...tests.childNodes);
    box.replaceWith(document.adoptNode(other));
    if (!("runs" in other.dataset)) document.querySelector(".stop-trial")?.remove();
  };
  const say = (words) => {
    const note = document.createElement("p");
    note.className = "soft";
    note.textContent = words;
    document.getElementById("effect")?.replaceChildren(note);
  };
  document.querySelector(".stop-trial")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await fetch(event.target.action, { method: "POST", headers: html,
        body: new URLSearchParams(new FormData(event.target)) });
    } catch { /* the trial ends by itself */ }
  });
  follow(asked);

  // The form of a rule: tried while it is filled in.
  const form = document.getElementById("rule-form");
  if (form) {
    let waiting;
    const attempt = async () => {
      const number = ++asked;
      const body = new URLSearchParams(new FormData(form));
      body.set("step", "try");
      try {
        const answer = await fetch(form.action, { method: "POST", headers: html, body });
        if (number !== asked) return;
        if (answer.ok) show(await parsed(answer));
        else say("No trial is possible now; what you typed is kept.");
        follow(number);
      } catch { say("No trial is possible now: no connection to the server."); }
    };
    form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(attempt, 600); });
    attempt();
  }

  // What was typed is not left by accident.
  const typed = document.querySelector("form.edit");
  if (typed) {
    let changed = document.getElementById("problems") !== null;
    typed.addEventListener("input", () => { changed = true; });
    typed.addEventListener("submit", () => { changed = false; });
    addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
  }
  document.getElementById("problems")?.focus();
})();
