"use strict";
// Find a class by name, for as many as there are. Loaded before label.js, whose `classes`, `targets` and `give` it uses.
const $ = id => document.getElementById(id);
const MOST_FOUND = 50;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

let found = [], chosen = 0, wanted = [];
function openSearch() {
  if ($("search").open) return;
  wanted = targets();
  $("search-text").value = "";
  $("search").showModal();
  look();
}

function look() {
  const text = $("search-text").value.trim().toLowerCase();
  const starts = [], holds = [];
  for (const name of classes) {
    const where = name.toLowerCase().indexOf(text);
    if (where === 0) starts.push(name); else if (where > 0) holds.push(name);
    if (starts.length >= MOST_FOUND) break;
  }
  found = [...starts, ...holds].slice(0, MOST_FOUND);
  chosen = 0;
  drawFound();
}

function drawFound() {
  const list = $("search-list");
  list.replaceChildren();
  found.forEach((name, n) => {
    const item = element("li", "", name);
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", n === chosen);
    item.addEventListener("click", () => { chosen = n; take(); });
    list.append(item);
  });
  list.children[chosen]?.scrollIntoView({block: "nearest"});
}

function take() {
  if (!found.length) return;
  const name = found[chosen];
  $("search").close();
  give(name, wanted);
}

$("search-text").addEventListener("input", look);
$("search-text").addEventListener("keydown", event => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    chosen = Math.max(0, Math.min(found.length - 1, chosen + (event.key === "ArrowDown" ? 1 : -1)));
    drawFound();
  } else if (event.key === "Enter") take();
  else return;
  event.preventDefault();
});
