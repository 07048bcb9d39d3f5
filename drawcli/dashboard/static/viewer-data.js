// The pictures of the viewer: fetched, decoded, kept in memory up to a limit, and those beside the
// present one fetched ahead.
"use strict";

const AHEAD = [1, 2, -1, 3, 4, -2]; // pictures in the direction of the last move
const DESK_BYTES = 192e6;
const PHONE_BYTES = 64e6;
const AT_ONCE = 2; // requests: the server answers three, other tabs included

export class Refused extends Error {}

const asked = async (address) => {
  let answer;
  try {
    answer = await fetch(address, { redirect: "error" });
  } catch {
    throw new Refused("No connection to the server.");
  }
  if (answer.ok) return answer;
  const text = answer.status === 401 ? "Log in again." : await answer.text();
  throw new Refused(text.replace(/^drawcli: /, "").trim());
};

export const json = async (address) => (await asked(address)).json();

// A picture as `raw_picture` packs it; its outlines are paths in mm, to the right and down.
const decoded = (buffer, plane, index) => {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder("ascii").decode(new Uint8Array(buffer, 4, length)));
  const [wide, high] = head.size;
  const pixels = new Uint16Array(buffer, 4 + length, wide * high);
  let at = (4 + length + 2 * wide * high + 3) & ~3;
  const lines = head.lines.map(([set, number, counts]) => {
    const path = new Path2D();
    for (const count of counts) {
      const points = new Float32Array(buffer, at, 2 * count);
      at += 8 * count;
      for (let n = 0; n < points.length; n += 2) path.lineTo(points[n], points[n + 1]);
      path.closePath();
    }
    return { set, number, path };
  });
  const { start, step, scale, offset } = head;
  return { plane, index, wide, high, start, step, scale, offset, pixels, lines, bytes: buffer.byteLength };
};

export class Pictures {
  constructor(address, counts, arrived, failed) {
    this.address = address; // of a picture, from plane and index
    this.counts = counts; // pictures of each plane
    this.arrived = arrived;
    this.failed = failed;
    this.kept = new Map(); // the oldest first
    this.bytes = 0;
    this.most = matchMedia("(pointer: coarse)").matches ? PHONE_BYTES : DESK_BYTES;
    this.wanted = new Map(); // plane -> the newest index that is asked for
    this.ahead = [];
    this.running = new Set();
  }

  // Return a picture that is here; else ask for it: a newer request of its plane replaces it.
  get(plane, index) {
    const key = `${plane}/${index}`;
    const found = this.kept.get(key);
    if (found) {
      this.kept.delete(key);
      this.kept.set(key, found);
      this.wanted.delete(plane);
    } else {
      this.wanted.set(plane, index);
      this.pump();
    }
    return found;
  }

  prefetch(plane, index, direction) {
    const last = this.counts[plane] - 1;
    const others = this.ahead.filter((one) => one[0] !== plane);
    const own = AHEAD.map((step) => [plane, index + step * (direction || 1)])
      .filter(([, at]) => at >= 0 && at <= last && !this.kept.has(`${plane}/${at}`));
    this.ahead = [...own, ...others];
    this.pump();
  }

  pump() {
    while (this.running.size < AT_ONCE) {
      const next = this.next();
      if (!next) return;
      this.load(...next);
    }
  }

  next() {
    for (const [plane, index] of this.wanted) {
      if (!this.running.has(`${plane}/${index}`)) {
        this.wanted.delete(plane);
        return [plane, index];
      }
    }
    while (this.ahead.length) {
      const [plane, index] = this.ahead.shift();
      const key = `${plane}/${index}`;
      if (!this.kept.has(key) && !this.running.has(key)) return [plane, index];
    }
    return null;
  }

  async load(plane, index) {
    const key = `${plane}/${index}`;
    this.running.add(key);
    try {
      const buffer = await (await asked(this.address(plane, index))).arrayBuffer();
      this.keep(key, decoded(buffer, plane, index));
      this.arrived(plane, index);
    } catch (error) {
      this.wanted.clear();
      this.ahead = [];
      this.failed(error);
    } finally {
      this.running.delete(key);
      this.pump();
    }
  }

  keep(key, picture) {
    this.kept.set(key, picture);
    this.bytes += picture.bytes;
    for (const [oldest, one] of this.kept) {
      if (this.bytes <= this.most || oldest === key) break;
      this.kept.delete(oldest);
      this.bytes -= one.bytes;
    }
  }
}
