"use strict";
// Pictures: tiles of a few sheets, each fetched when first wanted; the longest unused are let go.
class Pictures {
  constructor(data, changed) {
    this.sheets = data.sheets; this.tile = data.tile; this.side = data.per_row; this.sizes = data.sizes;
    this.every = data.every; this.most = 12;
    this.open = new Map(); this.changed = changed;
  }
  // One round of drawing may use so many sheets that what others use stays open.
  round(most) { return {used: new Set(), most: this.sheets.length <= this.most ? this.most : most}; }
  // With very many sheets the last one shows every so manieth image, for pictures all over the map.
  isSample(item) { return this.every > 0 && item % this.every === 0; }
  // Its sheet and place [image, x, y, width, height]; null while it is on its way or where there is none.
  find(item, round) {
    const [width, height] = [this.sizes[2 * item], this.sizes[2 * item + 1]];
    if (!width) return null;
    const each = this.side * this.side, sample = this.isSample(item);
    const number = sample ? this.sheets.length - 1 : Math.floor(item / each), at = sample ? item / this.every : item % each;
    if (!round.used.has(number) && round.used.size >= round.most) return null;
    round.used.add(number);
    let image = this.open.get(number);
    if (image) this.open.delete(number);
    else {
      image = new Image();
      image.addEventListener("load", () => { image.ready = true; this.changed(); });
      image.addEventListener("error", () => { image.failed = true; this.changed(); });
      image.src = this.sheets[number];
    }
    this.open.set(number, image);
    while (this.open.size > this.most) this.open.delete(this.open.keys().next().value);
    return image.ready ? [image, at % this.side * this.tile + 1, Math.floor(at / this.side) * this.tile + 1, width, height] : null;
  }
  gone(item) {
    const image = this.open.get(this.isSample(item) ? this.sheets.length - 1 : Math.floor(item / (this.side * this.side)));
    return !this.sizes[2 * item] || Boolean(image && image.failed);
  }
  // Draw into a box, whole and centred; false while there is nothing to draw.
  draw(paint, item, left, top, side, round, frame) {
    const found = this.find(item, round);
    if (!found) return false;
    const [image, x, y, width, height] = found, scale = side / Math.max(width, height);
    const [w, h] = [width * scale, height * scale], [px, py] = [left + (side - w) / 2, top + (side - h) / 2];
    if (frame) { paint.fillStyle = frame; paint.fillRect(px - 2, py - 2, w + 4, h + 4); }
    paint.drawImage(image, x, y, width, height, px, py, w, h);
    return true;
  }
}
