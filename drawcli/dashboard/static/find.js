// Held jobs: select all, and how many are selected.
"use strict";
(() => {
  const form = document.getElementById("many");
  const count = document.getElementById("count");
  const all = document.getElementById("all");
  if (!form || !count) return;
  const boxes = [...form.querySelectorAll("input[type=checkbox]")];
  const words = all.textContent;
  const update = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    count.textContent = `${chosen} selected.`;
    all.textContent = chosen === boxes.length ? "Select none" : words;
    for (const button of form.querySelectorAll("button[name=action]")) button.disabled = !chosen;
  };
  all.addEventListener("click", (event) => {
    event.preventDefault();
    const to = !boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = to;
    update();
  });
  form.addEventListener("change", update);
  addEventListener("pageshow", update);
  update();
})();
