// The panel at the side: findings, and the structures with search, order, and what is shown.
"use strict";
import { json } from "./viewer-data.js";
import { rim } from "./viewer-plane.js";

const SVG = "http://www.w3.org/2000/svg";
const ORDERS = {
  file: () => 0,
  name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }),
  volume: (a, b) => Math.max(...b.volumes) - Math.max(...a.volumes),
  dice: (a, b) => (a.dice ?? 2) - (b.dice ?? 2),
};

const made = (tag, facts = {}, ...children) => {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (name in one) one[name] = value; else one.setAttribute(name, value);
  }
  one.append(...children);
  return one;
};

const figure = (value) => value === null ? "none" : value.toLocaleString("en", {
  minimumSignificantDigits: 3, maximumSignificantDigits: value < 1000 ? 3 : 4,
});
const volume = (values) => values.every((one) => one === null) ? "none" : `${values.map(figure).join(" → ")}\u00a0cm³`;

// A piece of the line as it is drawn: colour and dashes.
const sample = (color, dash) => {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 30 12");
  svg.setAttribute("class", "v-sample");
  svg.setAttribute("aria-hidden", "true");
  for (const [ink, width, dashes] of [[rim(color), 5, ""], [color, 3, dash.map((part) => part * 1.6).join(" ")]]) {
    const line = document.createElementNS(SVG, "line");
    const facts = { x1: 1, x2: 29, y1: 6, y2: 6, stroke: ink, "stroke-width": width, "stroke-dasharray": dashes };
    for (const [name, value] of Object.entries(facts)) line.setAttribute(name, value);
    svg.append(line);
  }
  return svg;
};

export class Panel {
  constructor(app) {
    this.app = app;
    this.list = document.getElementById("v-list");
    this.search = document.getElementById("v-find");
    this.order = document.getElementById("v-order");
    const full = app.facts.structures.filter(({ slices }) => slices.some(Boolean));
    const empty = app.facts.structures.filter(({ slices }) => !slices.some(Boolean));
    this.rows = new Map();
    for (const one of full) this.rows.set(one.number, this.row(one));
    this.full = full;
    const box = document.getElementById("v-empty");
    box.hidden = !empty.length;
    box.querySelector("summary").textContent = `${empty.length} without contours`;
    box.querySelector("ul").replaceChildren(...empty.map(({ name }) => made("li", { textContent: name || "(no name)" })));
    if (app.facts.changed) {
      this.addNote(`${app.facts.changed} images changed after they were sent: contours may not fit.`);
    }
    this.search.addEventListener("input", () => this.arrange());
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.listed[0]) app.goTo(this.listed[0].number);
    });
    this.order.addEventListener("change", () => this.arrange());
    this.arrange();
  }

  addNote(text) {
    const box = document.getElementById("v-findings");
    box.hidden = false;
    box.querySelector("ul").prepend(made("li", { className: "block", textContent: text }));
  }

  row(one) {
    const { app } = this;
    const box = made("input", { type: "checkbox", checked: true, "aria-label": `Show ${one.name}` });
    box.addEventListener("change", () => app.hide([one.number], !box.checked));
    const facts = volume(one.volumes);
    const dice = one.dice == null ? "" : ` · Dice ${one.dice.toFixed(2)}`;
    const outcome = one.outcome ? `${one.outcome}${dice} · ` : "";
    const go = made("button", { type: "button", className: "v-go" },
      made("span", { className: "v-name", textContent: one.name || "(no name)" }),
      made("span", { className: "v-volume", textContent: outcome + facts }));
    go.addEventListener("click", () => app.goTo(one.number));
    go.title = app.facts.sets > 1 ? "Go to the largest difference" : "Go to the slice with the largest area";
    const { color, dash } = app.look({ set: 0, number: one.number });
    const line = sample(app.facts.sets > 1 ? one.color : color, dash);
    return { box, go, item: made("li", {}, box, line, go) };
  }

  arrange() {
    const words = this.search.value.trim().toLowerCase();
    this.listed = this.full
      .filter(({ name }) => name.toLowerCase().includes(words))
      .sort(ORDERS[this.order.value] || ORDERS.file);
    this.list.replaceChildren(...this.listed.map(({ number }) => this.rows.get(number).item));
    document.getElementById("v-none").hidden = Boolean(this.listed.length) || !this.full.length;
  }

  update() {
    for (const [number, { box, go, item }] of this.rows) {
      const chosen = number === this.app.selected;
      box.checked = this.app.isVisible(number);
      item.classList.toggle("chosen", chosen);
      if (chosen) go.setAttribute("aria-current", "true"); else go.removeAttribute("aria-current");
      if (chosen) item.scrollIntoView({ block: "nearest" });
    }
  }

  // The next structure of the list, from the chosen one.
  next(by) {
    if (!this.listed.length) return;
    const at = this.listed.findIndex(({ number }) => number === this.app.selected);
    const next = at < 0 ? (by > 0 ? 0 : -1) : (at + by) % this.listed.length;
    this.app.goTo(this.listed.at(next).number);
  }

  async loadFindings() {
    const { app } = this;
    if (app.facts.sets > 1) return;
    let found;
    try {
      found = await json(`${app.base}/findings.json?of=${app.stamp}`);
    } catch (error) {
      this.addNote(`The findings cannot be read: ${error.message}`);
      return;
    }
    if (!found.length) return;
    const box = document.getElementById("v-findings");
    box.hidden = false;
    box.querySelector("ul").append(...found.map((one) => this.finding(one)));
  }

  finding({ severity, text, places }) {
    const links = places.map(({ number, name, pictures }) => {
      const go = made("button", { type: "button", className: "v-link", textContent: name });
      go.addEventListener("click", () => {
        if (!pictures) { this.app.goTo(number); return; }
        this.app.selected = number;
        this.app.hidden.delete(number);
        this.update();
        this.app.goToPictures(pictures);
      });
      return go;
    });
    const words = made("span", { textContent: text });
    const list = links.length ? [made("span", { className: "v-links" }, ...links)] : [];
    return made("li", { className: severity }, made("strong", { textContent: severity }), " ", words, ...list);
  }
}
