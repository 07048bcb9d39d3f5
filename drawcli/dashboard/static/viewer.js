// The viewer: structures on images, in planes that fill the window. The state is in `app`; views draw
// it, the list and the input change it.
"use strict";
import { Pictures, json } from "./viewer-data.js";
import { listen } from "./viewer-input.js";
import { Panel } from "./viewer-list.js";
import { View, dashed } from "./viewer-plane.js";

const PLANES = ["axial", "coronal", "sagittal"];
const SETS = ["#5ac8ff", "#ffbe46"];
const NAMES = ["delivered", "clinical"];
const CLINICAL = [7, 4];
const MOST_ZOOM = 40;
const PHONE = "(max-width: 48rem)";

class App {
  constructor(root, facts) {
    const { base, stamp } = root.dataset;
    Object.assign(this, { root, facts, base, stamp, names: NAMES });
    this.stage = document.getElementById("stage");
    const counts = Object.fromEntries(PLANES.map((one) => [one, facts.planes[one].positions.length]));
    this.pictures = new Pictures(
      (plane, index) => `${base}/${plane}/${index}.bin?of=${stamp}`,
      counts,
      () => this.redraw(),
      (error) => this.trouble(error),
    );
    this.rows = new Map(facts.structures.map((one) => [one.number, one]));
    this.dashes = dashed(facts.structures);
    this.hidden = new Set();
    this.selected = null;
    this.options = { cross: true, fill: false, differences: true, bySet: true, beside: false, thick: 2 };
    this.layout = matchMedia(PHONE).matches ? "one" : "three";
    this.main = "axial";
    this.active = "axial";
    this.mode = matchMedia("(pointer: coarse)").matches ? "slices" : "cross";
    this.zoom = 1;
    this.directions = {};
    this.cross = [0, 0, 0];
    for (const plane of PLANES) {
      const { normal, positions } = facts.planes[plane];
      this.cross[normal] = positions[facts.start[plane]];
    }
    this.centre = this.middle();
    this.preset(0);
    this.views = [];
  }

  // The middle of the images, in the frame.
  middle() {
    const point = [0, 0, 0];
    for (const { region, right, down } of Object.values(this.facts.planes)) {
      point[right[0]] = (region[0] + region[2]) / 2 * right[1];
      point[down[0]] = (region[1] + region[3]) / 2 * down[1];
    }
    return point;
  }

  // The picture nearest to the crosshair.
  index(plane) {
    const { positions, normal } = this.facts.planes[plane];
    let best = 0;
    for (let n = 1; n < positions.length; n++) {
      if (Math.abs(positions[n] - this.cross[normal]) < Math.abs(positions[best] - this.cross[normal])) best = n;
    }
    return best;
  }

  // Changes of the state; each is followed by a redraw.
  show(plane, index) {
    const { positions, normal } = this.facts.planes[plane];
    const at = Math.min(Math.max(index, 0), positions.length - 1);
    this.directions[plane] = Math.sign(at - this.index(plane)) || this.directions[plane] || 1;
    this.cross[normal] = positions[at];
    this.active = plane;
    this.redraw();
  }

  step(plane, by) { this.show(plane, this.index(plane) + by); }

  moveCross(point) { this.cross = point; this.redraw(); }

  async goTo(number) {
    this.selected = number;
    this.hidden.delete(number);
    const row = this.rows.get(number);
    this.panel.update();
    if (!row.slices.some(Boolean)) { this.redraw(); return; }
    try {
      this.goToPictures(await json(`${this.base}/structures/${number}.json?of=${this.stamp}`));
      this.say(`${row.name}: axial ${this.index("axial") + 1}`);
    } catch (error) { this.trouble(error); }
  }

  goToPictures(place) {
    for (const plane of PLANES) {
      const { normal, positions } = this.facts.planes[plane];
      this.cross[normal] = positions[place[plane]];
    }
    if (this.zoom > 1) this.centre = [...this.cross];
    this.redraw();
  }

  setWindow(low, high, name = "") {
    const inverse = this.window ? this.window.inverse : this.facts.inverse;
    const top = Math.max(high, low + 1e-3);
    this.window = { low, high: top, inverse, name, key: `${low}/${top}/${inverse}` };
    const at = this.facts.windows.findIndex((one) => one[0] === name);
    document.getElementById("v-window").value = at < 0 ? "own" : at;
    this.redraw();
  }

  preset(number) {
    const found = this.facts.windows[number];
    if (found) this.setWindow(found[1], found[2], found[0]);
  }

  nextWindow() {
    const at = this.facts.windows.findIndex(([name]) => name === this.window.name);
    this.preset((at + 1) % this.facts.windows.length);
  }

  // Move level and width by parts of the width.
  shiftWindow(level, width) {
    const { low, high } = this.window;
    const half = (high - low) / 2 * Math.exp(width);
    const middle = (low + high) / 2 + (high - low) * level;
    this.setWindow(middle - half, middle + half);
  }

  invert() {
    this.window.inverse = !this.window.inverse;
    this.setWindow(this.window.low, this.window.high, this.window.name);
  }

  windowText() {
    const { low, high, name } = this.window;
    const round = (value) => Math.abs(value) < 20 && high - low < 100 ? value.toFixed(1) : Math.round(value);
    return `${name ? `${name}  ` : ""}L ${round((low + high) / 2)} W ${round(high - low)}`;
  }

  zoomBy(factor, point) {
    const before = this.zoom;
    this.zoom = Math.min(Math.max(before * factor, 1), MOST_ZOOM);
    const part = before / this.zoom;
    if (point) this.centre = this.centre.map((value, n) => point[n] + (value - point[n]) * part);
    if (this.zoom === 1) this.centre = this.middle();
    this.redraw();
  }

  pan(plane, right, down) {
    const { right: [axis, sign], down: [other, turn] } = this.facts.planes[plane];
    this.centre[axis] += right * sign;
    this.centre[other] += down * turn;
    this.redraw();
  }

  reset() {
    this.zoom = 1;
    this.centre = this.middle();
    this.window.inverse = this.facts.inverse;
    this.preset(0);
  }

  toggle(option, value = !this.options[option]) {
    this.options[option] = value;
    if (option === "beside") this.arrange();
    this.redraw();
    this.controls();
  }

  setMode(mode) { this.mode = mode; this.controls(); }

  isVisible(number) { return !this.hidden.has(number); }

  hide(numbers, hidden) {
    for (const number of numbers) if (hidden) this.hidden.add(number); else this.hidden.delete(number);
    this.panel.update();
    this.redraw();
  }

  // The colour and dashes of an outline.
  look({ set, number }) {
    if (this.facts.sets > 1) {
      const color = this.options.bySet ? SETS[set] : this.rows.get(number).color;
      return { color, dash: set ? CLINICAL : [] };
    }
    return { color: this.rows.get(number).color, dash: this.dashes.get(number) };
  }

  // Views: one plane, or one large and two small; two of the same plane for sets side by side.
  arrange(layout = this.layout, main = this.main) {
    Object.assign(this, { layout, main, active: main });
    const every = [...Array(this.facts.sets).keys()];
    const beside = this.options.beside && every.length > 1;
    const wanted = beside ? every.map((set) => [main, [set]])
      : layout === "one" ? [[main, every]]
        : [main, ...PLANES.filter((one) => one !== main)].map((plane) => [plane, every]);
    this.stage.className = `v-stage ${beside ? "beside" : layout}`;
    this.stage.replaceChildren();
    this.views = wanted.map(([plane, sets]) => this.add(plane, sets));
    for (const view of this.views) view.resize();
    this.controls();
    this.redraw();
  }

  add(plane, sets) {
    const figure = document.getElementById("view").content.firstElementChild.cloneNode(true);
    const canvas = figure.querySelector("canvas");
    const slider = figure.querySelector("input");
    const view = new View(this, canvas, plane, sets);
    Object.assign(view, { figure, slider, tip: figure.querySelector(".v-tip") });
    figure.dataset.plane = plane;
    slider.max = this.facts.planes[plane].positions.length - 1;
    slider.setAttribute("aria-label", `${plane} picture`);
    slider.addEventListener("input", () => this.show(plane, Number(slider.value)));
    this.stage.append(figure);
    this.watching.observe(canvas);
    listen(this, view);
    return view;
  }

  controls() {
    for (const one of document.querySelectorAll("[data-pressed]")) {
      const [kind, value] = one.dataset.pressed.split(":");
      const is = kind === "layout" ? this.layout === value && !this.options.beside
        : kind === "plane" ? this.main === value
          : kind === "mode" ? this.mode === value : this.options[value];
      one.setAttribute("aria-pressed", String(Boolean(is)));
    }
    this.root.dataset.mode = this.mode;
    this.root.classList.toggle("by-set", this.facts.sets > 1 && this.options.bySet);
    document.getElementById("v-thick").value = this.options.thick;
  }

  redraw() {
    if (this.drawing || !this.views) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      for (const view of this.views) this.update(view);
    });
  }

  update(view) {
    const { plane, figure, slider, canvas } = view;
    const drawn = view.draw();
    const index = this.index(plane);
    const count = view.facts.positions.length;
    slider.value = index;
    slider.setAttribute("aria-valuetext", `${index + 1} of ${count}`);
    figure.classList.toggle("waits", !drawn);
    figure.classList.toggle("active", plane === this.active && this.views.length > 1);
    if (!drawn) return;
    canvas.setAttribute("aria-label", `${plane} picture ${index + 1} of ${count}, ${view.where()}`);
    figure.dataset.at = index;
    if (!this.started) {
      this.started = true;
      performance.mark("viewer-first-picture");
      document.getElementById("v-wait").hidden = true;
    }
    this.pictures.prefetch(plane, index, this.directions[plane]);
  }

  // A sentence for a screen reader.
  say(text) { document.getElementById("v-say").textContent = text; }

  trouble(error) {
    document.getElementById("v-wait").hidden = true;
    const box = document.getElementById("v-trouble");
    box.hidden = false;
    box.querySelector("span").textContent = error.message;
  }
}

const start = async (root) => {
  const { base, stamp } = root.dataset;
  let app;
  try {
    app = new App(root, await json(`${base}/facts.json?of=${stamp}`));
  } catch (error) {
    App.prototype.trouble(error);
    throw error;
  }
  root.app = app; // for whoever looks at it in the browser's tools
  app.watching = new ResizeObserver(() => {
    for (const view of app.views) view.resize();
    app.redraw();
  });
  app.panel = new Panel(app);
  app.arrange();
  listen(app);
  await app.panel.loadFindings();
};

start(document.getElementById("viewer"));
