"use strict";
// Sort a table by a touched heading: numbers as numbers, absent values last, ties as they stood.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const key = (row, at) => row.cells[at].dataset.sort;
  headings.forEach((heading, at) => heading.querySelector("button").addEventListener("click", () => {
    const rows = [...table.tBodies[0].rows];
    const known = rows.map(row => key(row, at)).filter(value => value !== undefined);
    const numeric = known.length > 0 && known.every(value => value !== "" && !Number.isNaN(Number(value)));
    const before = heading.getAttribute("aria-sort");
    const down = before ? before === "ascending" : numeric && at > 0;
    rows.sort((one, other) => {
      const a = key(one, at), b = key(other, at);
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      const order = numeric ? Number(a) - Number(b) : a.localeCompare(b, undefined, {numeric: true});
      return down ? -order : order;
    });
    headings.forEach(other => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...rows);
  }));
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
