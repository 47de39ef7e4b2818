"use strict";
// The label page. What is shown is `rows` of cells; the server keeps every label before it answers.
// Names of classes and files are only ever put into text, never into markup.
const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"];
let state = null, classes = [], rows = [], at = [0, 0], selected = new Set(), waiting = Promise.resolve(), asking = 0, nShown = 0;

async function ask(path, body) {
  const answer = await fetch(path, body === undefined ? {} : {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  const kind = answer.headers.get("content-type") || "";
  const value = kind.includes("json") ? await answer.json() : {detail: await answer.text()};
  if (!answer.ok) throw new Error(typeof value.detail === "string" ? value.detail : "the request was not understood");
  return value;
}

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

// One thing at a time, in the order of the keys; what fails is said and changes nothing here.
function inTurn(task) {
  waiting = waiting.then(task).catch(error => say(
    error instanceof TypeError ? "Not kept: Headstart no longer answers. Start the same command again; earlier labels are on disk." : `Not kept: ${error.message}`, true));
  return waiting;
}

// ---- what is shown ---------------------------------------------------------------------------------------
function learn(value) {
  state = value;
  $("done").textContent = value.n_labelled.toLocaleString("en");
  $("all").textContent = value.n.toLocaleString("en");
  $("skipped").textContent = value.n_skipped ? `, ${value.n_skipped.toLocaleString("en")} skipped` : "";
  $("progress").max = value.n;
  $("progress").value = value.n_labelled + value.n_skipped;
  const model = value.model;
  let said = "Suggestions come once two classes have a label.";
  if (model) {
    const ms = Math.max(1, Math.round(model.seconds * 1000));
    said = `Suggestions from ${model.n.toLocaleString("en")} labels, fitted in ${ms} ms.`;
    if (!model.calibrated) said += " Confidence is rough until every class has two labels.";
  }
  $("model").textContent = value.trouble ? `Not refitted: ${value.trouble}` : said;
  document.querySelectorAll("#classes .count").forEach((count, n) => { count.textContent = value.counts[n]; });
}

function drawClasses() {
  const place = $("classes");
  place.replaceChildren();
  classes.slice(0, DIGITS.length).forEach((name, n) => {
    const button = element("button");
    button.type = "button";
    button.title = name;
    button.tabIndex = -1;
    button.append(element("kbd", "", DIGITS[n]), element("span", "name", name), element("span", "count", state.counts[n]));
    button.addEventListener("click", () => give(name, targets()));
    place.append(button);
  });
  const more = element("button", "");
  more.type = "button";
  more.id = "more";
  const rest = classes.length - DIGITS.length;
  more.append(element("kbd", "", "/"), rest > 0 ? `${rest.toLocaleString("en")} more classes` : "find a class");
  more.addEventListener("click", openSearch);
  place.append(more);
}

function drawCell(cell) {
  const place = cell.element;
  place.classList.toggle("labelled", cell.label !== null);
  place.classList.toggle("skipped", cell.skipped);
  place.setAttribute("aria-selected", selected.has(cell.row));
  const said = place.querySelector(".said"), meter = place.querySelector("progress");
  said.replaceChildren();
  const sure = cell.confidence === null ? "" : `${Math.floor(cell.confidence * 100)} %`;
  let words = "no suggestion yet";
  if (cell.label !== null) { said.append(element("b", "", cell.label)); words = `labelled ${cell.label}`; }
  else if (cell.skipped) { said.append(element("i", "", "skipped")); words = "skipped"; }
  else if (cell.suggestion !== null) {
    said.append(element("i", "", cell.suggestion));
    words = `suggested ${cell.suggestion}, ${sure}`;
  }
  meter.value = cell.confidence ?? 0;
  place.querySelector(".meter span").textContent = sure;
  place.title = cell.label ?? cell.suggestion ?? cell.path;
  place.setAttribute("aria-label", `${cell.path}: ${words}`);
}

function drawRows() {
  const grid = $("grid");
  grid.replaceChildren();
  const columns = Math.max(1, ...rows.map(row => row.length));
  rows.forEach((row, y) => {
    const line = element("div", "row");
    line.setAttribute("role", "row");
    line.style.setProperty("--columns", columns);
    const pick = element("button", "", y + 1);
    pick.type = "button";
    pick.tabIndex = -1;
    pick.title = "Select this row";
    pick.setAttribute("aria-label", `Select row ${y + 1}`);
    pick.addEventListener("click", () => { go(y, 0); toggle(row); });
    line.append(pick);
    row.forEach((cell, x) => {
      const place = element("div", "cell");
      place.setAttribute("role", "gridcell");
      place.tabIndex = -1;
      place.dataset.row = cell.row;
      const image = element("img");
      image.src = address(cell);
      image.alt = "";
      image.draggable = false;
      const meter = element("div", "meter"), bar = element("progress");
      bar.max = 1;
      bar.setAttribute("aria-hidden", "true");
      meter.append(bar, element("span"));
      place.append(image, element("div", "said"), meter);
      place.addEventListener("click", event => { go(y, x); if (event.shiftKey || event.ctrlKey || event.metaKey) toggle([cell]); });
      place.addEventListener("dblclick", openLarge);
      cell.element = place;
      drawCell(cell);
      line.append(place);
    });
    grid.append(line);
  });
  const empty = $("empty");
  empty.hidden = rows.length > 0;
  if (!rows.length) {
    empty.textContent = $("order").value === "labelled" ? "Nothing has a label yet." :
      "Every image has a label or was skipped. Press O for the order “labelled” to look at them again, or finish.";
  }
}

function go(y, x) {
  if (!rows.length) return;
  y = Math.max(0, Math.min(rows.length - 1, y));
  x = Math.max(0, Math.min(rows[y].length - 1, x));
  at = [y, x];
  document.querySelectorAll(".row").forEach((row, n) => row.classList.toggle("now", n === y));
  cells().forEach(cell => { cell.element.tabIndex = -1; });
  const place = rows[y][x].element;
  place.tabIndex = 0;
  place.focus({preventScroll: true});
  place.scrollIntoView({block: "nearest"});
}

const cells = () => rows.flat();
const here = () => rows.length ? rows[at[0]][at[1]] : null;
const address = cell => `/image/${cell.row}/${cell.digest}`;
const targets = () => selected.size ? cells().filter(cell => selected.has(cell.row)) : here() ? [here()] : [];

function toggle(some) {
  const all = some.every(cell => selected.has(cell.row));
  some.forEach(cell => { if (all) selected.delete(cell.row); else selected.add(cell.row); drawCell(cell); });
}

function deselect() {
  const before = new Set(selected);
  selected.clear();
  cells().forEach(cell => { if (before.has(cell.row)) drawCell(cell); });
}

// ---- what is done ----------------------------------------------------------------------------------------
// Labels given since the question are not touched.
function renewSuggestions(found) {
  renew(found.map(({row, suggestion, confidence}) => ({row, suggestion, confidence})));
}

function renew(found) {
  const known = new Map(cells().map(cell => [cell.row, cell]));
  let n = 0;
  for (const cell of found) {
    const old = known.get(cell.row);
    if (old) { Object.assign(old, cell); drawCell(old); n += 1; }
  }
  return n;
}

// The page shows a label at once, so that fast keys meet the next image; one that cannot be kept is taken off again.
function send(labels, words, some) {
  const before = some.map(cell => ({cell, label: cell.label, skipped: cell.skipped}));
  some.forEach(cell => {
    const label = labels[cell.row];
    Object.assign(cell, {label: label || null, skipped: label === ""});
    drawCell(cell);
  });
  const done = advance(some);
  return inTurn(async () => {
    let value;
    try {
      value = await ask("/label", {labels});
    } catch (error) {
      before.forEach(({cell, label, skipped}) => { Object.assign(cell, {label, skipped}); drawCell(cell); });
      throw error;
    }
    learn(value);
    say(done ? `${words}. All images shown are done: press N for the next ones.` : words);
    refresh();
  });
}

function give(label, some) {
  if (!some.length) return;
  const labels = {};
  some.forEach(cell => { labels[cell.row] = label; });
  const what = some.length === 1 ? "1 image" : `${some.length} images`;
  const words = label === null ? `${what}: label taken away` : label === "" ? `${what} skipped` : `${what}: ${label}`;
  deselect();
  return send(labels, words, some);
}

function accept(some) {
  const known = some.filter(cell => cell.suggestion !== null && cell.label === null);
  if (!known.length) { say("There is no suggestion to accept here."); return; }
  const labels = {};
  known.forEach(cell => { labels[cell.row] = cell.suggestion; });
  const names = [...new Set(Object.values(labels))];
  deselect();
  return send(labels, `accepted for ${known.length === 1 ? "1 image" : `${known.length} images`}: ${names.slice(0, 4).join(", ")}`, known);
}

// After a label: the next image without one, from here on, then from the start. True where there is none.
function advance(some) {
  const open = cell => cell.label === null && !cell.skipped;
  if (!some.includes(here()) || open(here())) return false;
  const list = cells(), from = list.indexOf(here());
  const next = [...list.slice(from), ...list.slice(0, from)].find(open);
  if (next) {
    const y = rows.findIndex(row => row.includes(next));
    go(y, rows[y].indexOf(next));
  }
  return !next && $("order").value !== "labelled";
}

// The model's new word on the images shown, as soon as it has one.
async function refresh() {
  const mine = ++asking;
  try {
    while (mine === asking && state.model_version < state.version) {
      const wanted = cells().map(cell => cell.row).join(",");
      const value = await ask(`/suggestions.json?rows=${wanted}&after=${state.model_version}`);
      if (mine !== asking) return;
      learn(value);
      renewSuggestions(value.cells);
      if (value.trouble) return;
    }
  } catch (error) {
    say(`No suggestions: ${error.message}`, true);
  }
}

function undo() {
  return inTurn(async () => {
    const value = await ask("/undo", {});
    learn(value);
    if (!value.cells.length) { say("There is nothing to undo."); return; }
    if (!renew(value.cells)) show([value.cells]);
    const first = cells().find(cell => cell.row === value.cells[0].row);
    const y = rows.findIndex(row => row.includes(first));
    if (y >= 0) go(y, rows[y].indexOf(first));
    say(`Undone for ${value.cells.length === 1 ? "1 image" : `${value.cells.length} images`}.`);
    refresh();
  });
}

function show(found) {
  asking += 1;
  rows = found;
  selected.clear();
  at = [0, 0];
  drawRows();
  go(0, 0);
  nShown += 1;
}

function next() {
  return inTurn(async () => {
    const wide = innerWidth < 736 ? 120 : 140;
    const columns = Math.max(3, Math.min(12, Math.floor((innerWidth - 70) / wide)));
    const high = Math.max(2, Math.min(8, Math.ceil((innerHeight - 200) / (wide + 45))));
    const value = await ask(`/batch.json?order=${$("order").value}&rows=${high}&columns=${columns}`);
    learn(value);
    show(value.rows);
    say(value.rows.length ? `${cells().length} images, each row alike. Press ? for the keys.` : "");
    refresh();
  });
}

function turnOrder() {
  const list = $("order");
  list.selectedIndex = (list.selectedIndex + 1) % list.options.length;
  next();
}

function finish() {
  return inTurn(async () => {
    const value = await ask("/finish", {});
    say(`Finished: ${value.n_labelled} labels in ${value.table}. This page can be closed.`);
    document.body.dataset.finished = "yes";
  });
}

// ---- a large view ----------------------------------------------------------------------------------------
function openLarge() {
  if (!here()) return;
  $("large-image").src = `${address(here())}?large=true`;
  $("large-text").textContent = here().path;
  $("large").showModal();
}

for (const id of ["search", "large", "help"]) $(id).addEventListener("close", () => { if (rows.length) go(...at); });
$("help-close").addEventListener("click", () => $("help").close());
$("help-button").addEventListener("click", () => $("help").showModal());
$("undo").addEventListener("click", undo);
$("next").addEventListener("click", next);
$("finish").addEventListener("click", finish);
$("order").addEventListener("change", () => { $("order").blur(); next(); });

// ---- keys ------------------------------------------------------------------------------------------------
const MOVES = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
function onKey(event) {
  const key = event.key;
  if ($("large").open && (key.toLowerCase() === "v" || key === " ")) { $("large").close(); event.preventDefault(); return; }
  if (document.querySelector("dialog[open]") || event.altKey) return;
  const target = event.target;
  if (target.closest("select, input") || ((key === "Enter" || key === " ") && target.closest("button"))) return;
  if (event.ctrlKey || event.metaKey) {
    if (key.toLowerCase() === "z" && !event.shiftKey) { undo(); event.preventDefault(); }
    return;
  }
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code);
  const row = rows[at[0]] || [];
  if (digit) {
    const name = classes[DIGITS.indexOf(digit[1])];
    if (name === undefined) say(`There is no class ${digit[1]}.`); else give(name, event.shiftKey ? row : targets());
  } else if (key in MOVES) go(at[0] + MOVES[key][0], at[1] + MOVES[key][1]);
  else if (key === "Home") go(at[0], 0);
  else if (key === "End") go(at[0], row.length - 1);
  else if (key === "Enter") accept(event.shiftKey ? row : targets());
  else if (key === " ") { if (here()) toggle([here()]); }
  else if (key === "Escape") deselect();
  else if (key === "Backspace" || key === "Delete") give(null, targets());
  else if (key === "/") openSearch();
  else if (key === "?") $("help").showModal();
  else {
    const keys = {r: () => toggle(row), a: () => toggle(cells()), s: () => give("", targets()), x: () => give(null, targets()),
      u: undo, n: next, o: turnOrder, v: openLarge};
    const act = keys[key.toLowerCase()];
    if (!act) return;
    act();
  }
  event.preventDefault();
}
document.addEventListener("keydown", onKey);

inTurn(async () => {
  const value = await ask("/state.json");
  classes = value.classes;
  learn(value);
  drawClasses();
  next();
});
