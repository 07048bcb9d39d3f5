// Mouse, touch, wheel and keys. Every function has a key; `?` shows them.
"use strict";

const PLANES = ["axial", "coronal", "sagittal"];
const FAR = 10; // pictures
const CLICK = 4; // pixels: a shorter move is no drag
const STEP_PX = 6; // of a drag through the pictures
const TYPED = "input[type=search], select, textarea, dialog *";
const OF_SLIDERS = ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End"];

// Listen to a view; without one, to the page.
export const listen = (app, view) => view ? new Pointer(app, view) : listenToPage(app);

class Pointer {
  constructor(app, view) {
    Object.assign(this, { app, view, down: new Map() });
    const { canvas, figure } = view;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this.release(event));
    }
    canvas.addEventListener("pointerleave", () => { view.tip.hidden = true; });
    canvas.addEventListener("wheel", (event) => this.turn(event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.enlarge());
    canvas.addEventListener("focus", () => { app.active = view.plane; app.redraw(); });
    figure.querySelector(".v-large").addEventListener("click", () => this.enlarge());
  }

  enlarge() {
    const { app, view } = this;
    const alone = app.layout === "one";
    app.arrange(alone ? "three" : "one", view.plane);
  }

  at({ clientX, clientY }) {
    const box = this.view.canvas.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  }

  press(event) {
    const { app, view } = this;
    view.canvas.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, this.at(event));
    this.moved = 0;
    this.rest = 0;
    app.active = view.plane;
    view.tip.hidden = true;
    this.kind = event.button === 2 ? "window" : event.button === 1 || event.shiftKey ? "pan" : app.mode;
    if (event.button === 1) event.preventDefault();
    if (this.kind === "cross" && event.pointerType === "mouse") this.cross(event);
  }

  cross(event) {
    this.app.moveCross(this.view.placed(...this.at(event), this.app.cross));
  }

  move(event) {
    const before = this.down.get(event.pointerId);
    if (!before) { this.hover(event); return; }
    const now = this.at(event);
    if (this.down.size > 1) {
      this.pinch(event.pointerId, before, now);
    } else {
      const [right, down] = [now[0] - before[0], now[1] - before[1]];
      this.moved += Math.hypot(right, down);
      if (this.moved > CLICK) this.drag(event, right, down);
    }
    this.down.set(event.pointerId, now);
  }

  drag(event, right, down) {
    const { app, view } = this;
    if (this.kind === "cross") this.cross(event);
    else if (this.kind === "window") app.shiftWindow(down / 400, right / 200);
    else if (this.kind === "pan") this.pan(right, down);
    else {
      this.rest += down;
      const steps = Math.trunc(this.rest / STEP_PX);
      this.rest -= steps * STEP_PX;
      if (steps) app.step(view.plane, steps);
    }
  }

  pan(right, down) {
    const { view } = this;
    const part = view.ratio / view.scale;
    this.app.pan(view.plane, -right * part, -down * part);
  }

  // Two fingers: zoom by their distance, pan by their middle.
  pinch(moving, before, now) {
    const other = [...this.down].find(([id]) => id !== moving)[1];
    const away = (point) => Math.max(Math.hypot(point[0] - other[0], point[1] - other[1]), 1);
    const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
    this.moved = CLICK + 1;
    this.app.zoomBy(away(now) / away(before), this.view.placed(...middle, this.app.centre));
    this.view.fit();
    this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }

  release(event) {
    const { app } = this;
    const tapped = this.down.delete(event.pointerId) && this.moved <= CLICK && !this.down.size;
    if (event.type !== "pointerup" || !tapped) return;
    if (event.pointerType !== "mouse") {
      this.cross(event);
      this.hover(event);
    } else if (event.button === 0) {
      this.cross(event);
      const [found] = this.view.under(...this.at(event));
      app.selected = found ? found.number : null;
      app.panel.update();
    }
  }

  turn(event) {
    const { app, view } = this;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      const point = view.placed(...this.at(event), app.centre);
      app.zoomBy(Math.exp(-event.deltaY / 300), point);
      return;
    }
    const lines = event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
    this.wheel = (Math.sign(lines) === Math.sign(this.wheel) ? this.wheel : 0) + lines;
    const steps = Math.trunc(this.wheel) || (Math.abs(event.deltaY) >= 40 ? Math.sign(lines) : 0);
    if (!steps) return;
    this.wheel = 0;
    app.step(view.plane, Math.sign(steps));
  }

  // The names of the structures at the pointer, and the value there.
  hover(event) {
    const { app, view } = this;
    if (event.buttons && event.pointerType === "mouse") return;
    const [x, y] = this.at(event);
    const value = view.value(x, y);
    const lines = view.under(x, y).map(({ set, number }) => {
      const { name } = app.rows.get(number);
      return app.facts.sets > 1 ? `${name} (${app.names[set]})` : name;
    });
    const { tip } = view;
    tip.hidden = value === null && !lines.length;
    if (tip.hidden) return;
    const unit = app.facts.unit ? ` ${app.facts.unit}` : "";
    if (value !== null) lines.push(`${Math.abs(value) < 100 ? Number(value.toPrecision(3)) : Math.round(value)}${unit}`);
    tip.replaceChildren(...lines.map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    const { clientWidth, clientHeight } = view.canvas;
    tip.style.left = `${Math.min(x + 14, clientWidth - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.min(y + 14, clientHeight - tip.offsetHeight - 4)}px`;
  }
}

const keysOf = (app) => {
  const step = (by) => () => app.step(app.active, by);
  const pan = (right, down) => () => {
    const view = app.views.find(({ plane }) => plane === app.active) || app.views[0];
    const part = 40 * view.ratio / view.scale;
    app.pan(view.plane, right * part, down * part);
  };
  const plane = (name) => () => app.arrange(app.layout, name);
  const thick = (by) => () => {
    app.options.thick = Math.min(Math.max(app.options.thick + by, 1), 6);
    app.controls();
    app.redraw();
  };
  const every = () => app.facts.structures.map(({ number }) => number);
  const last = Infinity;
  return {
    ArrowUp: step(-1), ArrowDown: step(1), ArrowLeft: step(-1), ArrowRight: step(1),
    PageUp: step(-FAR), PageDown: step(FAR), Home: step(-last), End: step(last),
    "Shift+ArrowLeft": pan(-1, 0), "Shift+ArrowRight": pan(1, 0),
    "Shift+ArrowUp": pan(0, -1), "Shift+ArrowDown": pan(0, 1),
    1: plane("axial"), 2: plane("coronal"), 3: plane("sagittal"),
    Enter: () => app.arrange(app.layout === "one" ? "three" : "one", app.active),
    t: () => app.arrange(app.layout === "one" ? "three" : "one", app.active),
    "+": () => app.zoomBy(1.25, app.cross), "=": () => app.zoomBy(1.25, app.cross),
    "-": () => app.zoomBy(0.8, app.cross),
    "[": () => app.shiftWindow(0, -0.1), "]": () => app.shiftWindow(0, 0.1),
    ",": () => app.shiftWindow(-0.05, 0), ".": () => app.shiftWindow(0.05, 0),
    w: () => app.nextWindow(), i: () => app.invert(), r: () => app.reset(),
    x: () => app.toggle("cross"), f: () => app.toggle("fill"),
    l: thick(1), k: thick(-1),
    n: () => app.panel.next(1), p: () => app.panel.next(-1),
    h: () => app.selected !== null && app.hide([app.selected], app.isVisible(app.selected)),
    a: () => app.hide(every(), false),
    o: () => {
      if (app.selected === null) return;
      app.hide(every(), true);
      app.hide([app.selected], false);
    },
    d: () => app.facts.sets > 1 && app.toggle("differences"),
    b: () => app.facts.sets > 1 && app.toggle("beside"),
    c: () => app.facts.sets > 1 && app.toggle("bySet"),
    "/": () => document.getElementById("v-find").focus(),
    "?": () => document.getElementById("v-help").showModal(),
  };
};

const listenToPage = (app) => {
  const keys = keysOf(app);
  addEventListener("keydown", (event) => {
    const { target, key, ctrlKey, metaKey, altKey, shiftKey } = event;
    if (ctrlKey || metaKey || altKey) return;
    const isSlider = target.matches("input[type=range]") && OF_SLIDERS.includes(key);
    if (key === "Escape" && target.id === "v-find") { target.value = ""; target.blur(); app.panel.arrange(); return; }
    if (target.matches(TYPED) || isSlider || (key === "Enter" && target.matches("button, a, summary"))) return;
    const name = shiftKey && key.startsWith("Arrow") ? `Shift+${key}` : key.length > 1 ? key : key.toLowerCase();
    const act = keys[name];
    if (!act) return;
    event.preventDefault();
    act();
  });
  const press = (id, act) => document.getElementById(id)?.addEventListener("click", act);
  for (const one of document.querySelectorAll("[data-pressed]")) {
    const [kind, value] = one.dataset.pressed.split(":");
    one.addEventListener("click", () => {
      if (kind === "layout") {
        app.options.beside = false;
        app.arrange(app.layout === value ? "one" : value);
      } else if (kind === "plane") app.arrange(app.layout, value);
      else if (kind === "mode") app.setMode(value);
      else app.toggle(value);
    });
  }
  const windows = document.getElementById("v-window");
  windows.replaceChildren(...app.facts.windows.map(([name], n) => new Option(name, n)), new Option("own", "own"));
  windows.querySelector("[value=own]").disabled = true;
  windows.addEventListener("change", () => app.preset(Number(windows.value)));
  const thick = document.getElementById("v-thick");
  thick.addEventListener("input", () => { app.options.thick = Number(thick.value); app.redraw(); });
  press("v-in", () => app.zoomBy(1.25));
  press("v-out", () => app.zoomBy(0.8));
  press("v-reset", () => app.reset());
  press("v-keys", () => document.getElementById("v-help").showModal());
  press("v-all", () => keys.a());
  press("v-no", () => app.hide(app.facts.structures.map(({ number }) => number), true));
  press("v-panel", ({ currentTarget }) => {
    const open = app.root.classList.toggle("no-panel");
    currentTarget.setAttribute("aria-pressed", String(!open));
  });
};
