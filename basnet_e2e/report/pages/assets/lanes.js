// A lane per class: the intervals that can be edited as bars, below them those to compare with.
import { byId, element, scoreText } from "./text.js";
import {
  colourOf,
  data,
  filterChanged,
  rules,
  selected,
  shown,
  state,
  strength,
  unknown,
} from "./state.js";
import { toX } from "./view.js";
import { drawGrid, painters, paints } from "./drawing.js";

export const narrow = window.matchMedia("(max-width: 860px)");
let isNarrow = narrow.matches; // asked for thousands of times in a frame
narrow.addEventListener("change", () => (isNarrow = narrow.matches));
export const lanesCanvas = byId("lanes");
const laneNames = byId("lane-names");
const BAR = 20; // pixels
const GAP = 6;
const TRUTH = 7;
const FOUND = 12; // a model's intervals, below a person's
const TITLE = 26; // room for the name above a lane on narrow screens

const laneTop = (index) => index * laneHeight() + (isNarrow ? TITLE : 0);
const below = (data.truth ? TRUTH + 3 : 0) + (data.found ? FOUND + 3 : 0);
const laneHeight = () => (isNarrow ? TITLE : 0) + BAR + 2 * GAP + below;
const barTop = (each, top) => top + GAP + (each.found ? BAR + 3 : 0);
const barHeight = (each) => (each.found ? FOUND : BAR);

/** Lane buttons: name, number of intervals shown, and a switch for the class. */
export function buildLanes() {
  const height = laneHeight();
  lanesCanvas.style.height = `${state.lanes.length * height || 96}px`;
  const counts = new Map();
  for (const { label } of shown().filter(rules.listed)) counts.set(label, (counts.get(label) || 0) + 1);
  laneNames.replaceChildren(...state.lanes.map((label, index) => laneButton(label, index, counts)));
  const note = byId("no-lanes");
  note.hidden = state.lanes.length > 0;
  note.textContent = data.none || "No action was found in this video.";
}

function laneButton(label, index, counts) {
  const mark = element("i");
  mark.style.background = mark.style.borderColor = colourOf(label);
  const name = element("span", { dir: "auto" }, label);
  const number = element("small", {}, String(counts.get(label) || 0));
  const button = element(
    "button",
    { type: "button", class: "lane", "aria-pressed": String(!state.hidden.has(label)), title: label },
    mark,
    name,
    number,
  );
  const top = index * laneHeight();
  button.style.top = `${top + (isNarrow ? 1 : GAP - 3)}px`;
  button.style.height = `${isNarrow ? TITLE - 1 : BAR + 6}px`;
  button.style.minHeight = button.style.height;
  button.addEventListener("click", () => {
    if (!state.hidden.delete(label)) state.hidden.add(label);
    filterChanged();
    laneNames.children[index]?.focus();
  });
  return button;
}

painters.set("lanes", (context, width, height) => {
  drawGrid(context, width, height);
  const order = new Map(state.lanes.map((label, index) => [label, index]));
  context.fillStyle = paints.line;
  for (let n = 1; n < state.lanes.length; n++) context.fillRect(0, n * laneHeight(), width, 1);
  for (const each of unknown()) drawUnknown(context, each, height);
  for (const each of state.truth) drawTruth(context, each, laneTop(order.get(each.label)));
  for (const each of shown()) {
    if (each.end >= state.from && each.start <= state.to && order.has(each.label)) {
      drawBar(context, each, barTop(each, laneTop(order.get(each.label))));
    }
  }
  const chosen = selected();
  if (chosen && order.has(chosen.label) && shown().includes(chosen)) {
    drawBar(context, chosen, barTop(chosen, laneTop(order.get(chosen.label))), true);
  }
});

function barExtent(interval) {
  const x = toX(interval.start);
  return [x, Math.max(toX(interval.end) - x, 2)];
}

function drawTruth(context, interval, top) {
  const [x, width] = barExtent(interval);
  context.fillStyle = state.hidden.has(interval.label) ? paints.line : paints.muted;
  context.fillRect(x, top + GAP + BAR + 3, width, TRUTH);
}

/** Slanted lines over all lanes: nobody looked here. */
function drawUnknown(context, stretch, height) {
  const [x, width] = barExtent(stretch);
  if (x > context.canvas.clientWidth || x + width < 0) return;
  const left = Math.max(x, 0);
  const right = Math.min(x + width, context.canvas.clientWidth);
  context.save();
  context.beginPath();
  context.rect(left, 0, right - left, height);
  context.clip();
  context.fillStyle = paints.raised;
  context.fillRect(left, 0, right - left, height);
  context.strokeStyle = stretch.key === state.selected ? paints.accent : paints.line;
  context.lineWidth = 1.5;
  context.beginPath();
  // Laid from the start of the video, so that the lines do not creep while panning.
  const shift = toX(0) % 12;
  for (let at = left - height - ((left - height - shift) % 12); at < right; at += 12) {
    context.moveTo(at, height);
    context.lineTo(at + height, 0);
  }
  context.stroke();
  if (stretch.key === state.selected) context.strokeRect(left + 1, 1, right - left - 2, height - 2);
  context.restore();
}

function drawPoint(context, interval, top, chosen) {
  const x = toX(interval.start);
  context.beginPath();
  context.moveTo(x, top);
  context.lineTo(x + 7, top + BAR / 2);
  context.lineTo(x, top + BAR);
  context.lineTo(x - 7, top + BAR / 2);
  context.closePath();
  context.fillStyle = colourOf(interval.label);
  context.fill();
  context.lineWidth = chosen ? 2 : 1;
  context.strokeStyle = chosen || interval.key === state.hovered ? paints.ink : paints.panel;
  context.stroke();
}

/** What a model found: an outline, fuller for a higher score, so that it is not taken for said. */
function drawFound(context, interval, top, chosen) {
  const [x, width] = barExtent(interval);
  const colour = colourOf(interval.label);
  context.globalAlpha = 0.12 + 0.38 * strength(interval);
  context.fillStyle = colour;
  context.fillRect(x, top, width, FOUND);
  context.globalAlpha = 1;
  if (width < 5 && !chosen) return;
  context.strokeStyle = chosen || interval.key === state.hovered ? paints.ink : colour;
  context.lineWidth = chosen ? 2 : 1;
  context.setLineDash([4, 2]);
  context.strokeRect(x + 0.5, top + 0.5, Math.max(width - 1, 1), FOUND - 1);
  context.setLineDash([]);
}

function drawBar(context, interval, top, chosen = false) {
  if (interval.point) {
    drawPoint(context, interval, top, chosen);
    return;
  }
  if (interval.found) {
    drawFound(context, interval, top, chosen);
    return;
  }
  const [x, width] = barExtent(interval);
  const power = strength(interval);
  const colour = colourOf(interval.label);
  if (width < 5 && !chosen && interval.key !== state.hovered) {
    // Thousands of slivers: round corners would not be seen, but their cost is.
    context.globalAlpha = 0.22 + 0.78 * power;
    context.fillStyle = colour;
    context.fillRect(x, top, width, BAR);
    context.globalAlpha = 1;
    return;
  }
  context.beginPath();
  context.roundRect(x, top, width, BAR, Math.min(4, width / 2));
  context.fillStyle = paints.panel;
  context.fill();
  context.globalAlpha = 0.22 + 0.78 * power;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
  if (interval.key === state.hovered || chosen) {
    context.lineWidth = chosen ? 2 : 1;
    context.strokeStyle = paints.ink;
    context.stroke();
  }
  if (chosen && state.editing) drawHandles(context, x, top, width);
  else if (width > 34 && !data.found) {
    context.font = "600 11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = power > 0.55 ? paints.panel : paints.ink;
    context.fillText(scoreText(interval.score), Math.max(x, 0) + 6, top + BAR / 2 + 0.5);
  }
}

function drawHandles(context, x, top, width) {
  context.fillStyle = paints.ink;
  for (const at of [x - 2, x + width - 2]) {
    context.beginPath();
    context.roundRect(at, top - 3, 4, BAR + 6, 2);
    context.fill();
  }
}

/** The interval at a place of the canvas and the part that was hit, or null. */
export function hit(x, y, tolerance = 6) {
  const label = laneAt(y);
  if (label === null) return null;
  const chosen = selected();
  const place = (y % laneHeight()) - (isNarrow ? TITLE : 0);
  const candidates = shown().filter((each) => {
    const top = barTop(each, 0) - 2;
    const here = !data.found || (place >= top && place <= top + barHeight(each) + 4);
    return each.label === label && here;
  });
  // The chosen one can be grasped even where others lie over it.
  if (chosen && candidates.includes(chosen)) candidates.push(chosen);
  for (const each of candidates.reverse()) {
    const [left, width] = barExtent(each);
    const right = left + width;
    if (x < left - tolerance || x > right + tolerance) continue;
    if (each.point) return { interval: each, part: "body" };
    const edge = Math.min(tolerance, Math.max(width / 4, 2));
    if (Math.abs(x - left) <= edge || x < left) return { interval: each, part: "start" };
    if (Math.abs(x - right) <= edge || x > right) return { interval: each, part: "end" };
    return { interval: each, part: "body" };
  }
  return hitUnknown(x, tolerance);
}

/** The border of a stretch that nobody looked at: its inside is free space. */
function hitUnknown(x, tolerance) {
  for (const each of unknown()) {
    const [left, width] = barExtent(each);
    if (Math.abs(x - left) <= tolerance / 2) return { interval: each, part: "start" };
    if (Math.abs(x - left - width) <= tolerance / 2) return { interval: each, part: "end" };
  }
  return null;
}

export function laneAt(y) {
  const index = Math.floor(y / laneHeight());
  return index >= 0 && index < state.lanes.length ? state.lanes[index] : null;
}
