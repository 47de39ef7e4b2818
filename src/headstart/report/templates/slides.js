"use strict";
// One slide at a time: keys and touches turn them, the address remembers the place. Without script all stand in a row.
const slides = [...document.querySelectorAll(".slide")];
let at = 0;
function show(next) {
  at = Math.max(0, Math.min(slides.length - 1, next));
  slides.forEach((slide, number) => slide.classList.toggle("shown", number === at));
  if (location.hash !== `#${slides[at].id}`) history.replaceState(null, "", `#${slides[at].id}`);
}
// The address names a slide, or a run in a list of runs: then the slide that holds it is shown.
function fromAddress() {
  const place = document.getElementById(location.hash.slice(1));
  const named = slides.findIndex(slide => slide.contains(place));
  show(named < 0 ? at : named);
}
const turns = {ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, Enter: 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Backspace: -1};
addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Enter" && event.target.closest("a")) return;
  if (event.key in turns) show(at + turns[event.key]);
  else if (event.key === "Home") show(0);
  else if (event.key === "End") show(slides.length - 1);
  else if (event.key === "b" || event.key === "B") show(slides.findIndex(slide => slide.classList.contains("backup")));
  else return;
  event.preventDefault();
});
let touched = null;
addEventListener("touchstart", event => { touched = event.changedTouches[0].clientX; }, {passive: true});
addEventListener("touchend", event => {
  const moved = event.changedTouches[0].clientX - touched;
  if (Math.abs(moved) > 40) show(at + (moved < 0 ? 1 : -1));
}, {passive: true});
addEventListener("hashchange", fromAddress);
// What is too long for a slide is set smaller, down to half.
function fit(slide) {
  const box = slide.querySelector(".on");
  if (!box) return;
  for (let scale = 1; scale > 0.5 && (box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1); scale -= 0.04)
    box.style.fontSize = `${scale}rem`;
}
document.documentElement.classList.add("turning");
for (const slide of slides) {
  slide.classList.add("shown");
  fit(slide);
  slide.classList.remove("shown");
}
fromAddress();
