// One view: a picture of a plane in grey, with outlines, crosshair, letters and scale.
"use strict";

const DASHES = [[], [7, 4], [1.5, 3.5], [10, 3, 1.5, 3], [16, 5], [6, 3, 1.5, 3, 1.5, 3]];
const SETS = ["#5ac8ff", "#ffbe46"]; // delivered, clinical: as in the pictures of differences
const REMOVED = "rgba(90, 160, 255, .5)";
const ADDED = "rgba(255, 190, 70, .5)";
const CROSS = { false: "rgba(190, 245, 200, .8)", true: "rgba(20, 110, 60, .8)" }; // by inverse
const DARK = 90; // colours below this brightness get a light rim
const BARS = [10, 20, 50, 100, 200, 500]; // mm
const NEAR = 5; // pixels from a line

export const rgb = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
const brightness = ([red, green, blue]) => 0.3 * red + 0.6 * green + 0.1 * blue;
export const rim = (color) => brightness(rgb(color)) > DARK ? "#000" : "#fff";

// Structures of nearly the same colour are told apart by the dashes of their lines.
export const dashed = (structures) => {
  const like = (one, other) => rgb(one).every((value, n) => Math.abs(value - rgb(other)[n]) < 28);
  const seen = [];
  return new Map(structures.map(({ number, color }) => {
    const before = seen.filter((other) => like(color, other)).length;
    seen.push(color);
    return [number, DASHES[before % DASHES.length]];
  }));
};

export class View {
  constructor(app, canvas, plane, sets) {
    this.app = app;
    this.canvas = canvas;
    this.plane = plane;
    this.sets = sets; // whose outlines are drawn
    this.facts = app.facts.planes[plane];
    this.ctx = canvas.getContext("2d");
    this.grey = document.createElement("canvas");
    this.ratio = 1;
    this.shown = null; // the picture on the canvas
  }

  resize() {
    this.ratio = devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = Math.max(1, Math.round(clientWidth * this.ratio));
    this.canvas.height = Math.max(1, Math.round(clientHeight * this.ratio));
  }

  // Pixels of the canvas for a millimetre, and the millimetres at its top left corner.
  fit() {
    const [left, top, right, bottom] = this.facts.region;
    const { width, height } = this.canvas;
    const scale = Math.min(width / (right - left), height / (bottom - top)) * this.app.zoom;
    const [x, y] = this.flat(this.app.centre);
    this.scale = scale;
    this.left = x - width / 2 / scale;
    this.top = y - height / 2 / scale;
  }

  flat(point) {
    const { right: [right, sign], down: [down, other] } = this.facts;
    return [point[right] * sign, point[down] * other];
  }

  // A point of the frame moved to a position on this view, given in CSS pixels.
  placed(x, y, point) {
    const { right: [right, sign], down: [down, other] } = this.facts;
    const moved = [...point];
    moved[right] = (this.left + x * this.ratio / this.scale) * sign;
    moved[down] = (this.top + y * this.ratio / this.scale) * other;
    return moved;
  }

  draw() {
    const picture = this.app.pictures.get(this.plane, this.app.index(this.plane));
    this.shown = picture || this.shown;
    this.fit();
    const { ctx, canvas } = this;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.fillStyle = this.app.window.inverse ? "#fff" : "#000";
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    if (!this.shown) return null;
    this.drawGrey();
    this.drawLines();
    if (this.app.options.cross) this.drawCross();
    this.drawWords();
    return picture;
  }

  drawGrey() {
    const { shown, ctx, scale } = this;
    const key = `${shown.plane}/${shown.index}/${this.app.window.key}`;
    if (this.greyOf !== key) {
      this.greyOf = key;
      this.paint(shown);
    }
    const [across, down] = shown.step;
    ctx.imageSmoothingEnabled = true;
    ctx.imageSmoothingQuality = "high";
    ctx.drawImage(
      this.grey,
      (shown.start[0] - across / 2 - this.left) * scale,
      (shown.start[1] - down / 2 - this.top) * scale,
      shown.wide * across * scale,
      shown.high * down * scale,
    );
  }

  // The grey levels are those of `Window.grey`.
  paint({ wide, high, pixels, scale, offset }) {
    const { low, high: top, inverse } = this.app.window;
    const steps = 255 / Math.max(top - low, 1e-6);
    const levels = new Uint32Array(0x10000);
    for (let value = 0; value < levels.length; value++) {
      const level = Math.min(Math.max((value * scale + offset - low) * steps, 0), 255) | 0;
      const shade = inverse ? 255 - level : level;
      levels[value] = 0xff000000 | shade << 16 | shade << 8 | shade;
    }
    this.grey.width = wide;
    this.grey.height = high;
    const image = new ImageData(wide, high);
    const out = new Uint32Array(image.data.buffer);
    for (let at = 0; at < out.length; at++) out[at] = levels[pixels[at]];
    this.grey.getContext("2d").putImageData(image, 0, 0);
  }

  at(path) {
    const there = new Path2D();
    const { scale, left, top } = this;
    there.addPath(path, new DOMMatrix([scale, 0, 0, scale, -left * scale, -top * scale]));
    return there;
  }

  drawLines() {
    const { app, ctx, shown } = this;
    this.lines = shown.lines
      .filter(({ set, number }) => this.sets.includes(set) && app.isVisible(number))
      .map((one) => ({ ...one, there: this.at(one.path) }));
    if (app.facts.sets > 1 && app.options.differences) this.shade();
    const last = this.lines.filter(({ number }) => number === app.selected);
    for (const one of [...this.lines.filter(({ number }) => number !== app.selected), ...last]) {
      const { color, dash } = app.look(one);
      const wide = (app.options.thick + (one.number === app.selected ? 1 : 0)) * this.ratio;
      if (app.options.fill) {
        ctx.globalAlpha = 0.22;
        ctx.fillStyle = color;
        ctx.fill(one.there, "evenodd");
        ctx.globalAlpha = 1;
      }
      ctx.lineJoin = "round";
      ctx.globalAlpha = 0.65;
      ctx.strokeStyle = rim(color);
      ctx.lineWidth = wide + 1.6 * this.ratio;
      ctx.stroke(one.there);
      ctx.globalAlpha = 1;
      ctx.setLineDash(dash.map((part) => part * Math.max(wide, 1.5 * this.ratio)));
      ctx.strokeStyle = color;
      ctx.lineWidth = wide;
      ctx.stroke(one.there);
      ctx.setLineDash([]);
    }
  }

  // What is in the clinical structure only is amber, what is in the delivered one only is blue.
  shade() {
    const { ctx, canvas, shown } = this;
    const numbers = new Set(shown.lines.map(({ number }) => number));
    for (const number of numbers) {
      if (!this.app.isVisible(number)) continue;
      const [a, b] = [0, 1].map((set) => {
        const one = shown.lines.find((line) => line.set === set && line.number === number);
        return one ? this.at(one.path) : new Path2D();
      });
      for (const [inside, outside, color] of [[a, b, REMOVED], [b, a, ADDED]]) {
        const beyond = new Path2D();
        beyond.rect(0, 0, canvas.width, canvas.height);
        beyond.addPath(outside);
        ctx.save();
        ctx.clip(beyond, "evenodd");
        ctx.fillStyle = color;
        ctx.fill(inside, "evenodd");
        ctx.restore();
      }
    }
  }

  drawCross() {
    const { ctx, canvas, scale, ratio } = this;
    const [x, y] = this.flat(this.app.cross);
    const [h, v] = [(x - this.left) * scale, (y - this.top) * scale];
    const gap = 14 * ratio;
    ctx.strokeStyle = CROSS[this.app.window.inverse];
    ctx.lineWidth = ratio;
    ctx.beginPath();
    for (const [x1, y1, x2, y2] of [
      [0, v, h - gap, v], [h + gap, v, canvas.width, v],
      [h, 0, h, v - gap], [h, v + gap, h, canvas.height],
    ]) {
      ctx.moveTo(x1, y1);
      ctx.lineTo(x2, y2);
    }
    ctx.stroke();
  }

  drawWords() {
    const { ctx, canvas: { width, height }, ratio, shown, facts, app } = this;
    const edge = 8 * ratio;
    const write = (text, x, y, align, base, size = 13) => {
      ctx.font = `${size * ratio}px system-ui, "Segoe UI", Roboto, sans-serif`;
      ctx.textAlign = align;
      ctx.textBaseline = base;
      ctx.lineJoin = "round";
      ctx.lineWidth = 3 * ratio;
      ctx.strokeStyle = app.window.inverse ? "#fff" : "#000";
      ctx.fillStyle = app.window.inverse ? "#10151b" : "#f4f2e4";
      ctx.strokeText(text, x, y);
      ctx.fillText(text, x, y);
    };
    const { letters } = facts;
    write(letters.left, edge, height / 2, "left", "middle", 15);
    write(letters.right, width - edge, height / 2, "right", "middle", 15);
    write(letters.top, width / 2, edge, "center", "top", 15);
    write(letters.bottom, width / 2, height - edge, "center", "bottom", 15);
    const who = app.facts.sets > 1 && this.sets.length === 1 ? ` · ${app.names[this.sets[0]]}` : "";
    const title = `${this.plane[0].toUpperCase()}${this.plane.slice(1)} ${shown.index + 1}/${facts.positions.length}`;
    write(title + who, edge, edge, "left", "top");
    write(this.where(), width - edge, height - edge, "right", "bottom");
    if (width > 460 * ratio) write(app.windowText(), width - edge, edge, "right", "top");
    const mm = BARS.find((one) => one * this.scale >= 56 * ratio) || BARS.at(-1);
    ctx.lineWidth = 2 * ratio;
    ctx.strokeStyle = app.window.inverse ? "#10151b" : "#f4f2e4";
    ctx.strokeRect(edge, height - edge - ratio, mm * this.scale, 0);
    write(`${mm / 10} cm`, edge, height - edge - 5 * ratio, "left", "bottom", 12);
  }

  // The position of the picture on the canvas: letters and mm, as in the preview.
  where() {
    const mm = this.facts.positions[this.shown.index];
    return `${this.facts.along[mm >= 0 ? 1 : 0]} ${Math.abs(mm).toFixed(1)} mm`;
  }

  // The structures at a position: on their line, or inside.
  under(x, y) {
    const { ctx, ratio } = this;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.lineWidth = 2 * NEAR * ratio;
    const hit = [x * ratio, y * ratio];
    const lines = this.lines || [];
    const close = lines.filter(({ there }) => ctx.isPointInStroke(there, ...hit));
    return close.length ? close : lines.filter(({ there }) => ctx.isPointInPath(there, ...hit, "evenodd"));
  }

  // The value of the image at a position; null outside.
  value(x, y) {
    const { shown, ratio, scale } = this;
    if (!shown) return null;
    const at = [x, y].map((css, n) => {
      const mm = [this.left, this.top][n] + css * ratio / scale;
      return Math.round((mm - shown.start[n]) / shown.step[n]);
    });
    if (at[0] < 0 || at[1] < 0 || at[0] >= shown.wide || at[1] >= shown.high) return null;
    return shown.pixels[at[1] * shown.wide + at[0]] * shown.scale + shown.offset;
  }
}
