// Canvases: sharp on any screen, drawn at most once per frame.
import { byId, clamp, clockText } from "./text.js";
import { state } from "./state.js";
import { placePlayhead, plotWidth, span, toX } from "./view.js";

export const canvases = ["ruler", "frames", "lanes", "activation", "foreground", "overview"]
  .map(byId)
  .filter(Boolean);
export const painters = new Map(); // id -> function (context, width, height)
export const paints = {}; // colours of the theme as canvases need them
const stale = new Set(); // ids of the canvases that the next frame draws

export function readPaints() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["panel", "raised", "ink", "muted", "line", "accent", "page"]) {
    paints[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

/** Draw some canvases, or all, before the next frame. */
export function redraw(...names) {
  if (!stale.size) requestAnimationFrame(drawStale);
  for (const name of names.length ? names : canvases.map((each) => each.id)) stale.add(name);
}

function drawStale() {
  for (const canvas of canvases) if (stale.has(canvas.id)) paint(canvas);
  stale.clear();
  placePlayhead();
}

function paint(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = plotWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.globalAlpha = 1;
  context.clearRect(0, 0, width, height);
  painters.get(canvas.id)(context, width, height);
}

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
/** Seconds between labelled ticks, so that labels stand at least 72 pixels apart. */
function tickStep(width) {
  const least = (span() / width) * 72;
  return STEPS.find((each) => each >= least) || STEPS.at(-1);
}

function ticks(width) {
  const apart = tickStep(width);
  const found = [];
  for (let n = Math.ceil(state.from / apart - 1e-9); n * apart <= state.to + 1e-9; n++) {
    found.push(n * apart);
  }
  return found;
}

export function drawGrid(context, width, height) {
  context.fillStyle = paints.line;
  for (const time of ticks(width)) context.fillRect(Math.round(toX(time)), 0, 1, height);
}

painters.set("ruler", (context, width, height) => {
  const apart = tickStep(width);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const time of ticks(width)) {
    const x = Math.round(toX(time));
    context.fillStyle = paints.line;
    context.fillRect(x, height - 8, 1, 8);
    context.fillStyle = paints.muted;
    const text = clockText(time, apart < 1 ? 1 : 0);
    const room = context.measureText(text).width;
    context.fillText(text, clamp(x - room / 2, 2, width - room - 2), height / 2 - 3);
  }
});
