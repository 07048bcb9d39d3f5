// Enhancements of the editor of templates, which works without: the catalogue is filtered while
// typing, and a derived structure shows the fields of its operation only.
"use strict";
(() => {
  const form = document.getElementById("template");
  if (!form) return;

  const search = document.getElementById("search");
  const found = document.getElementById("found");
  if (search) {
    const offers = [...document.querySelectorAll("#offers tbody tr")];
    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of offers) {
        const ticked = row.querySelector("input:checked") !== null;
        row.hidden = !ticked && !words.every((word) => row.dataset.words.includes(word));
        if (!row.hidden) count += 1;
      }
      found.textContent = `${count} of ${offers.length} shown`;
    };
    search.addEventListener("input", filter);
    // Of models that draw the same structure, the first row has the best Dice.
    document.getElementById("tick-all").addEventListener("click", () => {
      const boxes = offers.filter((row) => !row.hidden).map((row) => row.querySelector("input"));
      const taken = new Set([...document.querySelectorAll("#offers input:checked")].map((box) => box.dataset.name));
      for (const box of boxes) {
        if (!box || taken.has(box.dataset.name)) continue;
        box.checked = true;
        taken.add(box.dataset.name);
      }
    });
    // Enter asks the server only where the page does not show all.
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && search.dataset.all) event.preventDefault();
    });
  }

  // A colour that was chosen is meant.
  form.addEventListener("input", (event) => {
    if (event.target.type !== "color") return;
    event.target.parentElement.querySelector("input[type=checkbox]").checked = true;
  });

  for (const derived of form.querySelectorAll(".derived")) {
    const operation = derived.querySelector("select[name$='.operation']");
    const show = () => {
      for (const part of derived.querySelectorAll("[data-for]")) {
        part.hidden = !part.dataset.for.split(" ").includes(operation.value);
      }
      const drawn = document.querySelector(`[data-operation="${operation.value}"] svg`);
      derived.querySelector(".picture").replaceChildren(...(drawn ? [drawn.cloneNode(true)] : []));
    };
    operation.addEventListener("change", show);
    show();
  }
  for (const adds of form.querySelectorAll("[data-adds]")) {
    adds.addEventListener("change", () => {
      const names = document.getElementById(adds.dataset.adds);
      const before = names.value.trimEnd();
      names.value = adds.value ? (before ? `${before}\n` : "") + adds.value : before;
      adds.value = "";
    });
  }
})();
