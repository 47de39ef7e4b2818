"use strict";
// Where things lie: the view (what part of the map is seen), the nearest point, what a line drawn round holds.
class View {
  constructor(x, y) {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let at = 0; at < x.length; at++) {
      x0 = Math.min(x0, x[at]); x1 = Math.max(x1, x[at]); y0 = Math.min(y0, y[at]); y1 = Math.max(y1, y[at]);
    }
    Object.assign(this, {x0, x1, y0, y1, width: 1, height: 1, scale: 1, fit: 1, left: 0, top: 0});
  }
  // Pixels of a point: left + x * scale, top - y * scale.
  resize(width, height) {
    const [x, y] = this.at(this.width / 2, this.height / 2), zoom = this.scale / this.fit, first = this.width === 1;
    this.width = width; this.height = height;
    const pad = Math.min(28, width / 12);
    this.fit = Math.min((width - 2 * pad) / (this.x1 - this.x0 || 1), (height - 2 * pad) / (this.y1 - this.y0 || 1));
    if (first) { this.reset(); return; }
    this.scale = this.fit * zoom;
    this.left = width / 2 - x * this.scale; this.top = height / 2 + y * this.scale;
  }
  reset() {
    this.scale = this.fit;
    this.left = this.width / 2 - (this.x0 + this.x1) / 2 * this.scale;
    this.top = this.height / 2 + (this.y0 + this.y1) / 2 * this.scale;
  }
  at(px, py) { return [(px - this.left) / this.scale, (this.top - py) / this.scale]; }
  pixels(x, y) { return [this.left + x * this.scale, this.top - y * this.scale]; }
  pan(dx, dy) {
    const [x0, y0] = this.pixels(this.x0, this.y1), [x1, y1] = this.pixels(this.x1, this.y0), keep = 60;
    this.left += Math.max(keep - x1, Math.min(this.width - keep - x0, dx));
    this.top += Math.max(keep - y1, Math.min(this.height - keep - y0, dy));
  }
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.at(px, py);
    this.scale = Math.min(this.fit * 2000, Math.max(this.fit * 0.5, this.scale * factor));
    this.left = px - x * this.scale; this.top = py + y * this.scale;
    this.pan(0, 0);
  }
  get zoomed() { return this.scale / this.fit; }
}

// Points by the cells of a grid: cell c holds items start[c] .. start[c + 1].
class Grid {
  constructor(x, y, view) {
    this.side = Math.max(1, Math.min(512, Math.round(Math.sqrt(x.length / 4))));
    Object.assign(this, {x, y, x0: view.x0, y0: view.y0, step: Math.max(view.x1 - view.x0, view.y1 - view.y0, 1e-9) / this.side});
    const cells = new Int32Array(x.length), start = this.start = new Int32Array(this.side * this.side + 2);
    for (let at = 0; at < x.length; at++) start[(cells[at] = this.column(x[at], this.x0) + this.side * this.column(y[at], this.y0)) + 2]++;
    for (let cell = 1; cell < start.length; cell++) start[cell] += start[cell - 1];
    this.items = new Int32Array(x.length);
    for (let at = 0; at < x.length; at++) this.items[start[cells[at] + 1]++] = at;
  }
  column(value, from) { return Math.max(0, Math.min(this.side - 1, Math.floor((value - from) / this.step))); }
  // Call with every item in the cells that a box touches.
  each(x0, y0, x1, y1, call) {
    const [left, right] = [this.column(x0, this.x0), this.column(x1, this.x0)];
    for (let row = this.column(y0, this.y0), last = this.column(y1, this.y0); row <= last; row++) {
      for (let at = this.start[row * this.side + left], end = this.start[row * this.side + right + 1]; at < end; at++) call(this.items[at]);
    }
  }
  nearest(x, y, reach, shown) {
    let best = -1, least = reach * reach;
    this.each(x - reach, y - reach, x + reach, y + reach, item => {
      const far = (this.x[item] - x) ** 2 + (this.y[item] - y) ** 2;
      if (far <= least && shown[item]) { least = far; best = item; }
    });
    return best;
  }
}

// Whether a point lies inside a closed line (even-odd rule); line: [x0, y0, x1, y1, ...].
function isInside(line, x, y) {
  let inside = false;
  for (let at = 0, before = line.length - 2; at < line.length; before = at, at += 2) {
    const [xa, ya, xb, yb] = [line[at], line[at + 1], line[before], line[before + 1]];
    if (ya > y !== yb > y && x < (xb - xa) * (y - ya) / (yb - ya) + xa) inside = !inside;
  }
  return inside;
}

// The shown items inside a closed line.
function encircled(grid, line, shown) {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let at = 0; at < line.length; at += 2) {
    x0 = Math.min(x0, line[at]); x1 = Math.max(x1, line[at]); y0 = Math.min(y0, line[at + 1]); y1 = Math.max(y1, line[at + 1]);
  }
  const found = [];
  grid.each(x0, y0, x1, y1, item => { if (shown[item] && isInside(line, grid.x[item], grid.y[item])) found.push(item); });
  return found;
}

// A cell of a table as text that no spreadsheet takes for a formula.
function csvCell(text) {
  const whole = /^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(whole) ? `"${whole.replaceAll('"', '""')}"` : whole;
}
