"use strict";
// Tables: a touched heading sorts (numbers as numbers, absent values last, ties as they stood), a box keeps the rows that
// hold every word of it, and of very many rows the first stand in the page until all are asked for.
const fewForFilter = 8, atOnce = 200;
const words = new Intl.Collator(undefined, {numeric: true});
document.querySelectorAll("table.sortable").forEach(arrange);
function arrange(table) {
  const headings = [...table.tHead.rows[0].cells], body = table.tBodies[0], rows = [...body.rows];
  const sorted = [], line = document.createElement("p"), status = document.createElement("span");
  let order = rows.map((_, at) => at), fits = () => true, whole = rows.length <= atOnce;
  rows.forEach(row => { row.hidden = false; });
  function draw() {
    const fitting = order.filter(fits), drawn = whole ? fitting : fitting.slice(0, atOnce);
    body.replaceChildren(...drawn.map(at => rows[at]));
    status.textContent = drawn.length < rows.length ? ` ${drawn.length} of ${rows.length} rows` : "";
  }
  function values(at) {
    if (sorted[at]) return sorted[at];
    const keys = rows.map(row => row.cells[at].dataset.sort), known = keys.filter(value => value !== undefined);
    const numeric = known.length > 0 && known.every(value => value !== "" && !Number.isNaN(Number(value)));
    return sorted[at] = {numeric, keys: numeric ? keys.map(value => value === undefined ? value : Number(value)) : keys};
  }
  headings.forEach((heading, at) => heading.querySelector("button").addEventListener("click", () => {
    const {numeric, keys} = values(at), before = heading.getAttribute("aria-sort");
    const down = before ? before === "ascending" : numeric && at > 0;
    order.sort((one, other) => {
      const a = keys[one], b = keys[other];
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      const less = numeric ? a - b : words.compare(a, b);
      return down ? -less : less;
    });
    headings.forEach(other => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    draw();
  }));
  addEventListener("beforeprint", () => { whole = true; draw(); });
  if (rows.length < fewForFilter) return;
  const box = document.createElement("input");
  box.type = "search";
  box.placeholder = "Filter rows";
  box.setAttribute("aria-label", "Filter rows of this table");
  status.setAttribute("role", "status");
  line.className = "filter";
  line.append(box, status);
  if (!whole) {
    const more = document.createElement("button");
    more.type = "button";
    more.textContent = "Show all rows";
    more.addEventListener("click", () => { whole = true; more.remove(); draw(); });
    line.append(" ", more);
  }
  table.closest(".box").before(line);
  let texts = null;
  box.addEventListener("input", () => {
    texts ??= rows.map(row => row.textContent.toLowerCase());
    const asked = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    fits = at => asked.every(word => texts[at].includes(word));
    draw();
  });
  if (!whole) draw();
}
// Two methods side by side: the images that they call differently.
const signs = Array.from({length: 92}, (_, at) => String.fromCharCode(35 + at)).filter(sign => !"&<>\\'`".includes(sign)).join("");
const mostShown = 120;
for (const figure of document.querySelectorAll(".pairs")) pairs(figure, JSON.parse(figure.dataset.answers));
function made(name, text, parent) {
  const node = document.createElement(name);
  node.textContent = text;
  parent.append(node);
  return node;
}
function pairs(figure, data) {
  const read = (text, at) => data.width === 1 ? signs.indexOf(text[at])
    : signs.indexOf(text[2 * at]) * signs.length + signs.indexOf(text[2 * at + 1]);
  const name = number => data.classes[number] ?? "another class";
  const line = made("p", "", figure), picks = [0, 1].map(at => {
    const label = made("label", at ? " and " : "", line), pick = made("select", "", label);
    pick.setAttribute("aria-label", at ? "Second method" : "First method");
    data.methods.forEach((method, place) => { made("option", method, pick).value = place; });
    pick.value = at;
    pick.addEventListener("change", show);
    return pick;
  });
  const said = made("p", "", figure), list = made("ul", "", figure);
  said.setAttribute("role", "status");
  function show() {
    const [one, other] = picks.map(pick => data.said[pick.value]);
    const found = data.images.map((_, at) => at).filter(at => read(one, at) !== read(other, at));
    const right = (text, at) => read(text, at) === read(data.truth, at);
    const first = found.filter(at => right(one, at)).length, second = found.filter(at => right(other, at)).length;
    said.textContent = `They differ on ${found.length} of ${data.images.length} images: the first alone is right on ${first}, `
      + `the second alone on ${second}, neither on ${found.length - first - second}.`
      + (found.length > mostShown ? ` The first ${mostShown} are shown.` : "");
    const pictured = found.filter(at => at in data.pictures);
    const order = [...pictured, ...found.filter(at => !(at in data.pictures))].slice(0, mostShown);
    list.replaceChildren(...order.map(at => {
      const item = document.createElement("li");
      if (at in data.pictures) {
        const image = made("img", "", item);
        image.src = data.pictures[at];
        image.alt = data.images[at];
      }
      made("span", `true: ${name(read(data.truth, at))}`, item);
      made("span", `first: ${name(read(one, at))}`, item);
      made("span", `second: ${name(read(other, at))}`, item);
      made("span", data.images[at], item);
      return item;
    }));
  }
  show();
}
// A link to a run opens the folded list that holds it.
function unfold() {
  const place = document.getElementById(location.hash.slice(1));
  const folded = place && place.closest("details");
  if (folded) { folded.open = true; place.scrollIntoView(); }
}
addEventListener("hashchange", unfold);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => { part.open = true; }));
unfold();
