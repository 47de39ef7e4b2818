"use strict";
// Marks: colour and shape of a class (Okabe and Ito's colours, told apart by the colour-blind), drawn as small
// stencils straight into the pixels of the map: 100,000 of them in a few milliseconds, without a graphics card.
const COLOURS = [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [150, 118, 70], [120, 100, 200]];
const SHAPES = ["circle", "square", "triangle", "diamond", "cross"];
const MOST_DRAWN = COLOURS.length * SHAPES.length, STEPS = 32, REST = 250, NONE = 251;
const CIVIDIS = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [254, 232, 56]];
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => dark.matches ? {paper: [23, 25, 28], ink: [228, 229, 231], grey: [120, 126, 134]} : {paper: [254, 254, 253], ink: [27, 29, 33], grey: [150, 155, 162]};
const css = colour => `rgb(${colour.map(Math.round).join(" ")})`;
const mixed = (one, other, share) => one.map((value, at) => value * (1 - share) + other[at] * share);

function scaleColour(share) {
  const at = Math.min(CIVIDIS.length - 1.001, Math.max(0, share) * (CIVIDIS.length - 1)), low = Math.floor(at);
  return mixed(CIVIDIS[low], CIVIDIS[low + 1], at - low);
}

// Style numbers: a class its own number, numbers their step, everything past the drawn ones grey.
function styleOf(number, numeric) {
  if (number === NONE || number === REST) return {colour: theme().grey, shape: number === NONE ? "dot" : "circle"};
  if (numeric) return {colour: scaleColour((number + 0.5) / STEPS), shape: "circle"};
  const colour = COLOURS[number % COLOURS.length];
  return {colour: dark.matches ? mixed(colour, [255, 255, 255], 0.2) : colour, shape: SHAPES[number % SHAPES.length]};
}

// Signed distance, about, from the edge of a shape of radius 1 (inside is negative).
function outside(shape, x, y) {
  if (shape === "square") return Math.max(Math.abs(x), Math.abs(y)) - 0.88;
  if (shape === "diamond") return (Math.abs(x) + Math.abs(y) - 1.2) * 0.75;
  if (shape === "triangle") return Math.max(y - 0.75, 0.866 * Math.abs(x) - 0.5 * y - 0.62);
  if (shape === "cross") {
    const u = Math.abs(x + y) * 0.7071, v = Math.abs(x - y) * 0.7071;
    return Math.min(Math.max(u - 0.36, v - 1.1), Math.max(v - 0.36, u - 1.1));
  }
  return Math.hypot(x, y) - (shape === "dot" ? 0.7 : 1);
}

// A stencil: where it covers and with what; the rim parts marks that lie on one another.
function stencil(style, radius, faded) {
  const {paper, ink} = theme(), fill = faded ? mixed(style.colour, paper, 0.78) : style.colour;
  const rim = radius >= 2.5 && !faded ? mixed(fill, dark.matches ? paper : ink, 0.45) : fill, reach = Math.ceil(radius * 1.3 + 1);
  const parts = {dx: [], dy: [], rgb: [], alpha: [], reach};
  for (let dy = -reach; dy <= reach; dy++) for (let dx = -reach; dx <= reach; dx++) {
    let inside = 0, edge = 0;
    for (let part = 0; part < 16; part++) {
      const x = dx + (part % 4 - 1.5) / 4, y = dy + ((part >> 2) - 1.5) / 4;
      const far = outside(style.shape, x / radius, y / radius) * radius;
      if (far <= 0) { inside++; if (far > -0.9) edge++; }
    }
    if (!inside) continue;
    parts.dx.push(dx); parts.dy.push(dy); parts.alpha.push(inside / 16);
    parts.rgb.push(mixed(fill, rim, 0.8 * edge / inside));
  }
  return parts;
}

const packed = (r, g, b) => (255 << 24 | b << 16 | g << 8 | r) >>> 0;

// A stencil for pictures of one width: offsets of whole pixels with their value, and of part ones with theirs.
function cut(parts, width) {
  const solid = [], soft = [];
  parts.dx.forEach((dx, at) => (parts.alpha[at] > 0.98 ? solid : soft).push(at));
  const offset = at => parts.dy[at] * width + parts.dx[at], whole = at => parts.rgb[at].map(Math.round);
  return {
    parts, reach: parts.reach,
    solid: Int32Array.from(solid, offset), value: Uint32Array.from(solid, at => packed(...whole(at))),
    soft: Int32Array.from(soft, offset), alpha: Float32Array.from(soft, at => parts.alpha[at]),
    red: Float32Array.from(soft, at => parts.rgb[at][0]), green: Float32Array.from(soft, at => parts.rgb[at][1]),
    blue: Float32Array.from(soft, at => parts.rgb[at][2]),
  };
}

// The part pixels of a stencil at a whole pixel, mixed with what lies there.
function soften(pixels, centre, {soft, alpha, red, green, blue}) {
  for (let at = 0; at < soft.length; at++) {
    const place = centre + soft[at], under = pixels[place], share = alpha[at], rest = 1 - share;
    pixels[place] = packed((under & 255) * rest + red[at] * share, (under >>> 8 & 255) * rest + green[at] * share, (under >>> 16 & 255) * rest + blue[at] * share);
  }
}

// A mark on a small canvas of its own, for the legend.
function drawMark(canvas, style) {
  const ratio = Math.min(2, devicePixelRatio || 1), side = 16 * ratio;
  canvas.width = canvas.height = side;
  const paint = canvas.getContext("2d"), image = paint.createImageData(side, side);
  const parts = stencil(style, 5.5 * ratio, false);
  parts.dx.forEach((dx, at) => {
    const place = 4 * ((side / 2 + parts.dy[at]) * side + side / 2 + dx);
    image.data.set([...parts.rgb[at].map(Math.round), Math.round(255 * parts.alpha[at])], place);
  });
  paint.putImageData(image, 0, 0);
}
