"use strict";
// The page: state, colours and legend, hover, zoom, selection, search, CSV. Texts are only ever set as text.
const get = id => document.getElementById(id), SHOWN_IN_LIST = 200, REACH = 14;
const number = new Intl.NumberFormat("en"), plural = n => `${number.format(n)} ${n === 1 ? "image" : "images"}`;

function bytes(text) {
  const raw = atob(text), made = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) made[at] = raw.charCodeAt(at);
  return made.buffer;
}
function element(name, text = "", values = {}) {
  const made = Object.assign(document.createElement(name), values);
  if (text !== "") made.textContent = text;
  return made;
}
// The same order on every visit, without any class always on top.
function shuffled(n) {
  const made = Int32Array.from({length: n}, (_, at) => at);
  for (let at = n - 1, seed = 1; at > 0; at--) {
    seed = Math.imul(seed, 1664525) + 1013904223 >>> 0;
    const other = Math.floor(seed / 4294967296 * (at + 1));
    [made[at], made[other]] = [made[other], made[at]];
  }
  return made;
}

const data = JSON.parse(get("data").textContent), n = data.names.length;
data.sizes = new Uint8Array(bytes(data.sizes));
const columns = data.columns.map(column => ({...column, codes: column.numeric ? new Float32Array(bytes(column.codes)) : new Int32Array(bytes(column.codes))}));
const state = {
  n, x: new Float32Array(bytes(data.x)), y: new Float32Array(bytes(data.y)), order: shuffled(n), shown: new Uint8Array(n).fill(1),
  style: new Uint8Array(n), selected: new Uint8Array(n), nSelected: 0, matches: null, touched: -1, line: [], mode: "near",
  tool: "move", hidden: new Set(), column: null, codes: null, numeric: false, names: false, lit: null,
  bright() { return this.lit; },
};
state.placesX = Float32Array.from(state.order, item => state.x[item]);
state.placesY = Float32Array.from(state.order, item => state.y[item]);
state.view = new View(state.x, state.y);
const grid = new Grid(state.x, state.y, state.view), drawing = new Drawing(state);
state.pictures = new Pictures(data, () => { if (drawing.lacking) drawing.soon(); fillList(); refreshCard(); });

// What is neither selected nor found is faded, while there is a selection or a search.
function light() {
  state.lit = state.nSelected || state.matches ? new Uint8Array(n) : null;
  for (let at = 0; state.lit && at < n; at++) state.lit[at] = (!state.nSelected || state.selected[at]) && (!state.matches || state.matches[at]) ? 1 : 0;
  drawing.soon();
}

const groupOf = code => code < 0 ? NONE : code < state.drawn ? code : REST;
function colourBy(at) {
  const column = state.column = columns[at];
  state.hidden.clear(); state.codes = column.codes; state.numeric = column.numeric;
  state.drawn = column.numeric ? 0 : column.values.length > MOST_DRAWN ? MOST_DRAWN - 1 : column.values.length;
  let [low, high] = [Infinity, -Infinity];
  if (column.numeric) for (const value of column.codes) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  const step = value => Math.min(STEPS - 1, Math.floor((value - low) / (high - low || 1) * STEPS));
  for (let item = 0; item < n; item++) state.style[item] = !column.numeric ? groupOf(column.codes[item]) : Number.isFinite(column.codes[item]) ? step(column.codes[item]) : NONE;
  state.names = get("names").checked = !column.numeric && column.values.length > 1 && column.values.length <= MOST_NAMED && data.named.includes(column.name);
  get("names").disabled = column.numeric || column.values.length > MOST_NAMED;
  state.range = [low, high];
  drawing.recoloured(); legend(); show();
}

function legend() {
  const list = get("legend"), counts = new Map();
  for (const style of state.style) counts.set(state.numeric && style !== NONE ? 0 : style, (counts.get(state.numeric && style !== NONE ? 0 : style) ?? 0) + 1);
  list.replaceChildren();
  get("switches").hidden = state.numeric;
  if (state.numeric && counts.get(0)) list.append(scale());
  const groups = state.numeric ? [] : [...Array(state.drawn).keys()];
  if (!state.numeric) groups.push(REST);
  for (const group of [...groups, NONE]) if (counts.get(group)) list.append(entry(group, counts.get(group)));
}
function nameOf(group) {
  if (group === NONE) return "not known";
  return group === REST ? `${number.format(state.column.values.length - state.drawn)} others` : state.column.values[group];
}
function entry(group, count) {
  const row = element("li"), button = element("button", "", {type: "button", title: nameOf(group)}), mark = element("canvas", "", {className: "mark"});
  mark.setAttribute("aria-hidden", "true");
  drawMark(mark, styleOf(group, state.numeric));
  button.setAttribute("aria-pressed", String(!state.hidden.has(group)));
  button.append(mark, element("span", nameOf(group) || "(no name)", {className: "name"}), element("span", number.format(count), {className: "n"}));
  button.addEventListener("click", () => {
    if (!state.hidden.delete(group)) state.hidden.add(group);
    button.setAttribute("aria-pressed", String(!state.hidden.has(group)));
    show();
  });
  button.dataset.group = group;
  row.append(button);
  return row;
}
function scale() {
  const row = element("li"), band = element("canvas", "", {className: "scale", width: STEPS, height: 1}), paint = band.getContext("2d");
  for (let at = 0; at < STEPS; at++) { paint.fillStyle = css(scaleColour((at + 0.5) / STEPS)); paint.fillRect(at, 0, 1, 1); }
  const ends = element("span", "", {className: "ends"}), short = value => String(Number(value.toPrecision(4)));
  ends.append(element("span", short(state.range[0])), element("span", short(state.range[1])));
  row.append(band, ends);
  return row;
}
function show() {
  for (let at = 0; at < n; at++) state.shown[at] = state.hidden.has(state.style[at]) ? 0 : 1;
  drawing.named = null;
  touch(-1); drawing.soon();
}

// The card of the point under the pointer, or of the one that was touched.
let pinned = false;
function touch(item, px = 0, py = 0, pin = false) {
  const before = state.touched;
  state.touched = item; pinned = pin && item >= 0;
  if (item !== before) { drawing.drawAbove(); fillCard(); }
  if (item >= 0) placeCard(px, py);
}
function fillCard() {
  const card = get("card"), item = state.touched;
  card.hidden = item < 0;
  card.replaceChildren();
  if (item < 0) return;
  const picture = element("canvas", "", {className: "picture", width: 192, height: 192}), facts = element("dl");
  for (const column of columns) {
    const said = saidOf(column, item);
    if (said !== "") facts.append(element("dt", column.name), element("dd", said));
  }
  card.append(picture, element("b", data.names[item]), facts);
  refreshCard();
}
function refreshCard() {
  const picture = get("card").querySelector("canvas.picture");
  if (!picture || state.touched < 0 || picture.dataset.drawn) return;
  const paint = picture.getContext("2d");
  if (state.pictures.draw(paint, state.touched, 0, 0, 192, state.pictures.round(1))) picture.dataset.drawn = "1";
  else if (state.pictures.gone(state.touched)) {
    paint.fillStyle = css(theme().grey); paint.textAlign = "center"; paint.font = "16px sans-serif";
    paint.clearRect(0, 0, 192, 192); paint.fillText("no picture", 96, 100);
  }
}
function placeCard(px, py) {
  const card = get("card"), {width, height} = state.view, wide = card.offsetWidth, high = card.offsetHeight;
  const left = px + 18 + wide < width ? px + 18 : px - 18 - wide;
  card.style.left = `${Math.max(4, Math.min(width - wide - 4, left))}px`;
  card.style.top = `${Math.max(4, Math.min(height - high - 4, py - high / 2))}px`;
}
function saidOf(column, item) {
  const code = column.codes[item];
  if (column.numeric) return Number.isFinite(code) ? String(Number(code.toPrecision(6))) : "";
  return code < 0 ? "" : column.values[code];
}
function found(px, py) {
  const over = drawing.pictured.findLast(({left, top, side}) => px >= left && py >= top && px <= left + side && py <= top + side);
  const near = grid.nearest(...state.view.at(px, py), REACH / state.view.scale, state.shown);
  return over ? over.item : near;
}

// Selecting.
function select(items, keep = false) {
  if (!keep) state.selected.fill(0);
  for (const item of items) state.selected[item] = 1;
  selectionChanged();
}
function selectionChanged() {
  state.nSelected = state.selected.reduce((sum, each) => sum + each, 0);
  light();
  const none = state.nSelected === 0;
  get("count").textContent = none ? "Nothing is selected. Draw a line round images: Lasso, or Shift and drag." : `${number.format(state.nSelected)} of ${plural(n)}`
    + (state.nSelected > SHOWN_IN_LIST ? `; the first ${SHOWN_IN_LIST} are listed` : "");
  get("save").disabled = get("select-none").disabled = none;
  fillNewList();
}
let pending = [];
function chosen() { return [...state.order.keys()].filter(item => state.selected[item]); }
function fillNewList() {
  const list = get("list");
  list.replaceChildren();
  pending = [];
  for (let item = 0; item < n && pending.length < SHOWN_IN_LIST; item++) {
    if (!state.selected[item]) continue;
    const row = element("li", "", {title: data.names[item]}), picture = element("canvas", "", {width: 96, height: 96});
    picture.setAttribute("role", "img"); picture.setAttribute("aria-label", data.names[item]);
    row.append(picture, element("span", data.names[item]));
    row.addEventListener("mouseenter", () => touch(item, ...state.view.pixels(state.x[item], state.y[item])));
    row.addEventListener("mouseleave", () => touch(-1));
    list.append(row);
    pending.push([item, picture.getContext("2d")]);
  }
  fillList();
}
function fillList() {
  const round = state.pictures.round(3);
  pending = pending.filter(([item, paint]) => !state.pictures.draw(paint, item, 0, 0, 96, round) && !state.pictures.gone(item));
}
function saved() {
  const lines = [["path", "x", "y", ...columns.map(column => csvCell(column.name))].join(",")];
  const items = chosen().sort((one, other) => data.names[one] < data.names[other] ? -1 : 1);
  for (const item of items) lines.push([csvCell(data.names[item]), state.x[item], state.y[item], ...columns.map(column => column.numeric ? saidOf(column, item) : csvCell(saidOf(column, item)))].join(","));
  return lines.join("\r\n") + "\r\n";
}
function save() {
  const link = element("a", "", {href: URL.createObjectURL(new Blob([saved()], {type: "text/csv;charset=utf-8"})), download: data.file});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Searching.
function search() {
  const text = get("search").value.trim().toLowerCase();
  let count = 0;
  state.matches = text ? new Uint8Array(n) : null;
  for (let at = 0; text && at < n; at++) if (data.names[at].toLowerCase().includes(text)) { state.matches[at] = 1; count++; }
  get("matches").textContent = text ? plural(count) : "";
  get("select-matches").hidden = count === 0;
  light();
}

// Pointer, wheel and keys.
const pointers = new Map(), map = get("map");
let drag = null;
const spot = event => { const box = map.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
map.addEventListener("pointerdown", event => {
  if (event.button > 0) return;
  try { map.setPointerCapture(event.pointerId); } catch { /* a pointer that is already gone */ }
  pointers.set(event.pointerId, spot(event));
  const draws = pointers.size === 1 && (state.tool !== "move" || event.shiftKey);
  drag = {from: spot(event), moved: false, kind: draws ? (state.tool === "box" && !event.shiftKey ? "box" : "lasso") : "pan"};
  state.line = [];
  if (draws) touch(-1);
});
map.addEventListener("pointermove", event => {
  const [px, py] = spot(event), before = pointers.get(event.pointerId);
  if (!before) { if (!pinned) touch(found(px, py), px, py); return; }
  pointers.set(event.pointerId, [px, py]);
  if (Math.hypot(px - drag.from[0], py - drag.from[1]) > 4) drag.moved = true;
  if (pointers.size === 2) pinch(event.pointerId, before, [px, py]);
  else if (drag.kind === "pan") { if (drag.moved) { touch(-1); map.classList.add("pan"); state.view.pan(px - before[0], py - before[1]); drawing.moved(); } }
  else { encircle(px, py); drawing.drawAbove(); }
});
function pinch(id, before, now) {
  const [, other] = [...pointers].find(([key]) => key !== id);
  const far = ([x, y]) => Math.max(10, Math.hypot(x - other[0], y - other[1]));
  state.view.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  state.view.zoom(far(now) / far(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  drag.kind = "pan"; drag.moved = true; state.line = [];
  touch(-1); drawing.moved();
}
function encircle(px, py) {
  if (drag.kind === "lasso") { if (!state.line.length) state.line.push(...state.view.at(...drag.from)); state.line.push(...state.view.at(px, py)); return; }
  const [x0, y0] = state.view.at(...drag.from), [x1, y1] = state.view.at(px, py);
  state.line = [x0, y0, x1, y0, x1, y1, x0, y1];
}
function released(event) {
  if (!pointers.delete(event.pointerId) || !drag) return;
  map.classList.remove("pan");
  if (drag.kind !== "pan" && drag.moved && event.type === "pointerup") select(encircled(grid, state.line, state.shown), get("add").checked || event.ctrlKey || event.metaKey);
  else if (!drag.moved && event.type === "pointerup") { const [px, py] = spot(event), item = found(px, py); touch(item, px, py, item >= 0 && !(pinned && item === state.touched)); }
  state.line = [];
  drawing.drawAbove();
}
map.addEventListener("pointerup", released);
map.addEventListener("pointercancel", released);
map.addEventListener("pointerleave", () => { if (!pinned && !pointers.size) touch(-1); });
map.addEventListener("wheel", event => {
  event.preventDefault();
  const [px, py] = spot(event), lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
  state.view.zoom(Math.exp(-0.0018 * Math.max(-400, Math.min(400, event.deltaY * lines))), px, py);
  touch(-1); drawing.moved();
}, {passive: false});
function zoom(factor) { state.view.zoom(factor); touch(-1); drawing.soon(); }
const whole = () => { state.view.reset(); touch(-1); drawing.soon(); };
const KEYS = {
  ArrowLeft: () => state.view.pan(60, 0), ArrowRight: () => state.view.pan(-60, 0), ArrowUp: () => state.view.pan(0, 60), ArrowDown: () => state.view.pan(0, -60),
  "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: whole,
};
map.addEventListener("keydown", event => {
  if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  KEYS[event.key](); touch(-1); drawing.soon();
});
addEventListener("keydown", event => { if (event.key === "Escape") { touch(-1); take("move"); } });

function take(tool) {
  state.tool = tool;
  for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  map.classList.toggle("draw", tool !== "move");
}
const press = (id, call) => get(id).addEventListener("click", call);
for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => take(button.dataset.tool));
press("closer", () => zoom(1.5)); press("farther", () => zoom(1 / 1.5)); press("reset", whole); press("save", save);
press("select-none", () => select([]));
press("select-shown", () => select([...state.order].filter(item => state.shown[item]), get("add").checked));
press("invert", () => { state.selected.forEach((each, at) => { state.selected[at] = 1 - each; }); selectionChanged(); });
press("select-matches", () => select([...state.order].filter(item => state.matches && state.matches[item]), get("add").checked));
press("show-all", () => { state.hidden.clear(); legend(); show(); });
press("hide-all", () => { for (const button of document.querySelectorAll("#legend button")) state.hidden.add(Number(button.dataset.group)); legend(); show(); });
get("search").addEventListener("input", search);
get("mode").addEventListener("change", event => { state.mode = event.target.value; drawing.soon(); });
get("names").addEventListener("change", event => { state.names = event.target.checked; drawing.soon(); });
get("colour").addEventListener("change", event => colourBy(Number(event.target.value)));
columns.forEach((column, at) => get("colour").append(element("option", column.name, {value: String(at)})));
dark.addEventListener("change", () => { drawing.recoloured(); legend(); drawing.soon(); });
new ResizeObserver(() => drawing.resize()).observe(get("frame"));
drawing.resize();
get("colour").value = String(data.first);
colourBy(data.first);
selectionChanged();
// For scripts of one's own, and the tests: where an image is drawn, what is selected, how long the last frame took.
window.headstartMap = {
  pixels: name => { const at = data.names.indexOf(name); return at < 0 ? null : state.view.pixels(state.x[at], state.y[at]); },
  selected: () => chosen().map(item => data.names[item]),
  frame: () => ({number: drawing.frames, milliseconds: drawing.milliseconds, pictures: drawing.pictured.length, waiting: drawing.waiting}),
};
