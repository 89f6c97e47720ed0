// What runs along the axis beside the lanes: frames, activation, foreground weight, overview.
import { colourOf, data, duration, shown, state, strength } from "./state.js";
import { bytesOf, pictureUrl } from "./player.js";
import { isWhole, span, toX } from "./view.js";
import { drawGrid, painters, paints, redraw } from "./drawing.js";

export const thumbnails = data.thumbnails.map((each) => {
  const picture = new Image();
  picture.addEventListener("load", () => redraw("frames"));
  picture.src = pictureUrl(each);
  return { time: each.time, picture };
});

const MOST_FILLED = 6; // curves; more areas over each other only darken
const curves = data.curves && {
  centres: new Float32Array(bytesOf(data.curves.centres).buffer),
  classes: data.curves.classes.map(({ label, values }) => ({ label, values: bytesOf(values) })),
  foreground: data.curves.foreground && bytesOf(data.curves.foreground),
};

for (const each of document.querySelectorAll('[data-row="frames"]')) each.hidden = !thumbnails.length;

painters.set("frames", (context, width, height) => {
  const first = thumbnails.find((each) => each.picture.naturalWidth);
  if (!first) return;
  const room = height - 8;
  const wide = (first.picture.naturalWidth / first.picture.naturalHeight) * room;
  // Slots are laid from the start of the video, so that pictures do not jump while panning.
  const apart = (wide + 3) * (span() / width);
  for (let slot = Math.floor(state.from / apart); slot * apart < state.to; slot++) {
    const { picture } = thumbnailAt((slot + 0.5) * apart);
    if (picture.naturalWidth) context.drawImage(picture, toX(slot * apart), 4, wide, room);
  }
});

export function thumbnailAt(time) {
  let low = 0;
  let high = thumbnails.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    const between = (thumbnails[middle].time + thumbnails[middle + 1].time) / 2;
    if (time <= between) high = middle;
    else low = middle + 1;
  }
  return thumbnails[low];
}

/** Index of the first row at or after a time. */
function rowAt(time) {
  let low = 0;
  let high = curves.centres.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curves.centres[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

const curveY = (value, height) => 5 + (1 - value / 255) * (height - 10);

/** Rows of a curve that can be seen, and one on each side: first and one past last. */
function rowsInSight(values) {
  return [Math.max(0, rowAt(state.from) - 1), Math.min(values.length, rowAt(state.to) + 2)];
}

/** Draw a curve of bytes, filled below where `alpha` is not 0. */
function drawCurve(context, values, width, height, colour, alpha) {
  const [first, stop] = rowsInSight(values);
  context.fillStyle = context.strokeStyle = colour;
  if (stop - first > width / 2) drawColumns(context, values, first, stop, height, alpha);
  else drawLine(context, values, first, stop, height, alpha);
}

/**
 * Where rows are as dense as pixels, a bar for each column of pixels from its lowest to its highest
 * value: the same picture as a line, at a fraction of the cost.
 */
function drawColumns(context, values, first, stop, height, alpha) {
  const strong = context.globalAlpha;
  let column = Math.round(toX(curves.centres[first]));
  let low = values[first];
  let high = low;
  for (let row = first + 1; row <= stop; row++) {
    const x = row < stop ? Math.round(toX(curves.centres[row])) : NaN;
    if (x !== column) {
      const top = curveY(high, height);
      context.fillRect(column, top - 0.75, 1, curveY(low, height) - top + 1.5);
      if (alpha) {
        context.globalAlpha = alpha;
        context.fillRect(column, top, 1, height - top);
        context.globalAlpha = strong;
      }
      if (row < stop) low = high = values[row - 1]; // joined to its neighbour
      column = x;
    }
    low = Math.min(low, values[row]);
    high = Math.max(high, values[row]);
  }
}

function drawLine(context, values, first, stop, height, alpha) {
  const strong = context.globalAlpha;
  context.beginPath();
  // A value holds beyond the first and the last centre.
  context.moveTo(toX(first ? curves.centres[first] : 0), curveY(values[first], height));
  for (let row = first; row < stop; row++) {
    context.lineTo(toX(curves.centres[row]), curveY(values[row], height));
  }
  if (stop === values.length) context.lineTo(toX(duration), curveY(values[stop - 1], height));
  context.lineWidth = 1.5;
  context.lineJoin = "bevel";
  context.stroke();
  if (!alpha) return;
  context.lineTo(toX(Math.min(state.to, duration)), height);
  context.lineTo(toX(state.from), height);
  context.closePath();
  context.globalAlpha = alpha;
  context.fill();
  context.globalAlpha = strong;
}

painters.set("activation", (context, width, height) => {
  drawGrid(context, width, height);
  const lanes = new Set(state.lanes);
  const visible = curves.classes.filter((curve) => !state.hidden.has(curve.label));
  const alpha = visible.filter(({ label }) => lanes.has(label)).length > MOST_FILLED ? 0 : 0.1;
  // Classes without an interval stay faint behind the others.
  for (const curve of visible.reverse()) {
    context.globalAlpha = lanes.has(curve.label) ? 1 : 0.35;
    const area = lanes.has(curve.label) ? alpha : 0;
    drawCurve(context, curve.values, width, height, colourOf(curve.label), area);
  }
});

painters.set("foreground", (context, width, height) => {
  drawGrid(context, width, height);
  drawCurve(context, curves.foreground, width, height, paints.muted, 0.16);
  context.strokeStyle = paints.muted;
  context.setLineDash([3, 4]);
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, height / 2);
  context.lineTo(width, height / 2);
  context.stroke();
  context.setLineDash([]);
});

painters.set("overview", (context, width, height) => {
  const scale = width / duration;
  for (const each of shown()) {
    context.globalAlpha = 0.2 + 0.6 * strength(each);
    context.fillStyle = colourOf(each.label);
    context.fillRect(each.start * scale, 7, Math.max((each.end - each.start) * scale, 1), height - 14);
  }
  context.globalAlpha = 1;
  if (isWhole()) return;
  const left = state.from * scale;
  const room = Math.max(span() * scale, 6);
  context.fillStyle = paints.accent;
  context.globalAlpha = 0.16;
  context.fillRect(left, 1, room, height - 2);
  context.globalAlpha = 1;
  context.strokeStyle = paints.accent;
  context.lineWidth = 1.5;
  context.strokeRect(left + 0.75, 1.75, Math.max(room - 1.5, 1), height - 3.5);
});
