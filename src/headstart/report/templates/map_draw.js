"use strict";
// The canvas of the map: marks as pixels, pictures where they fit, names of classes, and above them what moves.
const MARGIN = 24, FEW_IN_VIEW = 250, MOST_PICTURES = 600, SMALL_PICTURE = 44, MOST_NAMED = 20, MANY = 20000, REST_MS = 150;

class Drawing {
  constructor(state) {
    this.state = state;
    this.canvas = document.getElementById("map"); this.paint = this.canvas.getContext("2d", {alpha: false});
    this.over = document.getElementById("over"); this.above = this.over.getContext("2d");
    this.stencils = new Map(); this.waiting = false; this.frames = 0; this.pictured = []; this.movedAt = -1e9; this.quick = false; this.later = 0;
  }
  moved() { this.movedAt = performance.now(); this.soon(); }
  resize() {
    const box = this.canvas.parentElement.getBoundingClientRect(), ratio = this.ratio = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [Math.max(50, Math.floor(box.width)), Math.max(50, Math.floor(box.height))];
    for (const canvas of [this.canvas, this.over]) { canvas.width = width * ratio; canvas.height = height * ratio; }
    this.margin = MARGIN * ratio; this.wide = this.canvas.width + 2 * this.margin; this.high = this.canvas.height + 2 * this.margin;
    this.image = this.paint.createImageData(this.wide, this.high);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.stencils.clear();
    this.state.view.resize(width, height);
    this.soon();
  }
  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }
  radius() {
    const n = this.state.n, first = n > 50000 ? 1.5 : n > 15000 ? 2 : n > 3000 ? 2.8 : n > 600 ? 3.8 : 5;
    return Math.min(8, first * Math.min(2.6, Math.max(1, this.state.view.zoomed) ** 0.4));
  }
  stencil(style, faded) {
    const radius = Math.round(2 * this.radius() * this.ratio) / 2, key = `${style} ${radius} ${faded} ${dark.matches}`;
    if (!this.stencils.has(key)) this.stencils.set(key, cut(stencil(styleOf(style, this.state.numeric), radius, faded), this.wide));
    return this.stencils.get(key);
  }
  recoloured() { this.stencils.clear(); this.named = null; }
  draw() {
    const start = performance.now();
    // Very many marks are drawn without their soft edges while the map moves.
    this.quick = this.state.n > MANY && start - this.movedAt < REST_MS;
    clearTimeout(this.later);
    if (this.quick) this.later = setTimeout(() => this.soon(), REST_MS + 20);
    this.pixels.fill(packed(...theme().paper));
    const inView = this.marks();
    this.paint.putImageData(this.image, -this.margin, -this.margin);
    this.drawPictures(inView);
    if (this.state.names) this.drawNames();
    this.frames++; this.milliseconds = performance.now() - start;
    this.drawAbove();
  }
  // Faded marks first, then the others; gives the shown items in view, in drawing order. The loop that counts:
  // places lie in the order of drawing, and nothing is made in it.
  marks() {
    const {order, placesX, placesY, shown, style, view, n} = this.state, {pixels, wide, high, ratio, margin, quick} = this;
    const bright = this.state.bright(), inView = this.inView ??= new Int32Array(n);
    const scale = view.scale * ratio, left = view.left * ratio + margin + 0.5, top = view.top * ratio + margin + 0.5;
    const edge = margin - 1, right = wide - margin, bottom = high - margin;
    let count = 0;
    for (const faded of bright ? [1, 0] : [0]) {
      const made = [];
      for (let each = 0; each < 256; each++) made.push(null);
      for (let at = 0; at < n; at++) {
        const px = left + placesX[at] * scale, py = top - placesY[at] * scale;
        if (!(px > 14 && py > 14 && px < wide - 14 && py < high - 14)) continue;
        const item = order[at];
        if (shown[item] === 0 || bright !== null && bright[item] === faded) continue;
        const column = px | 0, row = py | 0, own = made[style[item]] ?? (made[style[item]] = this.stencil(style[item], faded === 1));
        if (column > edge && row > edge && column <= right && row <= bottom) inView[count++] = item;
        if (column <= own.reach || row <= own.reach || column >= wide - own.reach || row >= high - own.reach) continue;
        const centre = row * wide + column, solid = own.solid, value = own.value;
        for (let part = 0; part < solid.length; part++) pixels[centre + solid[part]] = value[part];
        if (!quick || solid.length < 4) soften(pixels, centre, own);
      }
    }
    return inView.subarray(0, count);
  }
  drawPictures(inView) {
    const {pictures, view, x, y, mode, style, numeric} = this.state, bright = this.state.bright();
    this.pictured = []; this.lacking = false;
    if (mode === "never" || mode === "near" && inView.length > FEW_IN_VIEW) return;
    const roomy = Math.sqrt(0.3 * view.width * view.height / Math.max(1, inView.length));
    const side = mode === "near" ? Math.min(pictures.tile, Math.max(SMALL_PICTURE, roomy)) : SMALL_PICTURE;
    const taken = new Map(), round = pictures.round(8), step = side + 4;
    this.paint.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    const free = (px, py) => {
      const [column, row] = [Math.floor(px / step), Math.floor(py / step)];
      for (let dx = -1; dx <= 1; dx++) for (let dy = -1; dy <= 1; dy++) {
        const other = taken.get((row + dy) * 4096 + column + dx);
        if (other && Math.abs(other[0] - px) < step && Math.abs(other[1] - py) < step) return false;
      }
      return true;
    };
    const turn = [...inView.filter(item => pictures.isSample(item)).reverse(), ...mode === "near" || !pictures.every ? inView.toReversed() : []];
    for (let at = 0; at < turn.length && this.pictured.length < MOST_PICTURES; at++) {
      const item = turn[at], [px, py] = view.pixels(x[item], y[item]);
      if (bright && !bright[item] || !free(px, py)) continue;
      if (!pictures.draw(this.paint, item, px - side / 2, py - side / 2, side, round, css(styleOf(style[item], numeric).colour))) { this.lacking = true; continue; }
      taken.set(Math.floor(py / step) * 4096 + Math.floor(px / step), [px, py]);
      this.pictured.push({item, left: px - side / 2, top: py - side / 2, side});
    }
    this.paint.setTransform(1, 0, 0, 1, 0, 0);
  }
  // Each class where it is densest, the largest first; what would lie on another name is left out.
  drawNames() {
    this.named ??= densest(this.state);
    const {paint, ratio} = this, placed = [], {paper, ink} = theme();
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.font = "600 13px system-ui, sans-serif"; paint.textAlign = "center"; paint.textBaseline = "middle";
    paint.lineJoin = "round"; paint.lineWidth = 4; paint.strokeStyle = css(paper); paint.fillStyle = css(ink);
    for (const {text, x, y} of this.named) {
      const half = paint.measureText(text).width / 2 + 3;
      let [px, py] = this.state.view.pixels(x, y);
      if (px < -half || px > this.state.view.width + half || py < -9 || py > this.state.view.height + 9) continue;
      px = Math.min(Math.max(px, half), this.state.view.width - half);
      if (placed.some(other => Math.abs(other.px - px) < other.half + half && Math.abs(other.py - py) < 18)) continue;
      placed.push({px, py, half});
      paint.strokeText(text, px, py); paint.fillText(text, px, py);
    }
    paint.setTransform(1, 0, 0, 1, 0, 0);
  }
  // The ring round the touched point and the line being drawn: redrawn alone, the marks stay.
  drawAbove() {
    const {above, ratio, state} = this, {ink, paper} = theme();
    above.setTransform(ratio, 0, 0, ratio, 0, 0);
    above.clearRect(0, 0, this.over.width, this.over.height);
    if (state.touched >= 0) {
      const [px, py] = state.view.pixels(state.x[state.touched], state.y[state.touched]);
      for (const [width, colour] of [[5, paper], [2.5, ink]]) {
        above.lineWidth = width; above.strokeStyle = css(colour);
        above.beginPath(); above.arc(px, py, this.radius() + 4, 0, 7); above.stroke();
      }
    }
    if (state.line.length > 2) {
      above.beginPath();
      for (let at = 0; at < state.line.length; at += 2) above.lineTo(...state.view.pixels(state.line[at], state.line[at + 1]));
      above.closePath();
      above.fillStyle = `rgb(${ink.join(" ")} / .08)`; above.fill();
      above.lineWidth = 1.5; above.setLineDash([6, 4]); above.strokeStyle = css(ink); above.stroke(); above.setLineDash([]);
    }
  }
}

// The mean place of each class within its fullest cell of a coarse grid.
function densest({x, y, column, codes, shown, view}) {
  if (!column || column.numeric || column.values.length > MOST_NAMED) return [];
  const side = 24, cells = new Map(), totals = new Map();
  const step = Math.max(view.x1 - view.x0, view.y1 - view.y0, 1e-9) / side;
  for (let at = 0; at < x.length; at++) {
    if (codes[at] < 0 || !shown[at]) continue;
    const key = codes[at] * 4096 + Math.floor((y[at] - view.y0) / step) * 64 + Math.floor((x[at] - view.x0) / step);
    const cell = cells.get(key) ?? [0, 0, 0];
    cell[0]++; cell[1] += x[at]; cell[2] += y[at];
    cells.set(key, cell);
    totals.set(codes[at], (totals.get(codes[at]) ?? 0) + 1);
  }
  const best = new Map();
  for (const [key, cell] of cells) {
    const code = Math.floor(key / 4096);
    if (cell[0] > (best.get(code)?.[0] ?? 0)) best.set(code, cell);
  }
  const short = text => text.length > 24 ? `${text.slice(0, 23)}\u2026` : text;
  return [...best].sort((one, other) => totals.get(other[0]) - totals.get(one[0]))
    .map(([code, [n, sx, sy]]) => ({text: short(column.values[code]), x: sx / n, y: sy / n}));
}
