// Mouse, pen and fingers on the timeline: seek, choose, pan, zoom, hover, and drag while editing.
import { byId, clamp, clockText } from "./text.js";
import { LEAST_SPAN, duration, rankText, say, select, state } from "./state.js";
import { seek } from "./player.js";
import {
  isWhole,
  pan,
  plotLeft,
  plotWidth,
  reveal,
  show,
  span,
  toTime,
  toX,
  zoom,
} from "./view.js";
import { canvases, redraw } from "./drawing.js";
import { hit, laneAt, lanesCanvas } from "./lanes.js";
import { thumbnailAt, thumbnails } from "./strips.js";
import { startDrag } from "./edit.js";

const SLACK = 4; // pixels that a click may move
/** What a click on free space of a lane does beside seeking; a page may have a use for it. */
export const gestures = { place: () => {} };
let gesture = null; // {move(event), end(event)}
const touches = new Map(); // pointer id -> x of fingers that are down
let pinch = null;

const placeOf = (event) => {
  const box = lanesCanvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
};

function scrub(event) {
  seek(toTime(clamp(placeOf(event).x, 0, plotWidth)));
}

function startScrub(event) {
  scrub(event);
  return { move: scrub, end: () => {} };
}

function startOverview(event) {
  const centre = (moved) => {
    const time = (placeOf(moved).x / plotWidth) * duration;
    if (isWhole()) seek(time);
    else show(time - span() / 2, span());
  };
  centre(event);
  return { move: centre, end: () => {} };
}

function startLanes(event) {
  const begin = placeOf(event);
  const found = hit(begin.x, begin.y, event.pointerType === "touch" ? 14 : 6);
  const from = state.from;
  let drag = null;
  let moved = false;
  return {
    move(now) {
      const place = placeOf(now);
      if (!moved && Math.abs(place.x - begin.x) <= SLACK) return;
      if (!moved && state.editing) drag = startDrag(found, begin, laneAt(begin.y));
      moved = true;
      if (drag) drag.move(place);
      else show(from - ((place.x - begin.x) / plotWidth) * span(), span());
    },
    end() {
      if (drag) drag.end();
      else if (!moved) click(found, begin);
    },
  };
}

function click(found, place) {
  if (!found) {
    select(null);
    seek(toTime(place.x));
    gestures.place(laneAt(place.y), toTime(place.x));
    return;
  }
  choose(found.interval);
}

/** Select an interval and bring the player to its start. */
export function choose(interval) {
  select(interval.key);
  reveal(interval.start, interval.end);
  seek(interval.start);
  const { label, start, end } = interval;
  say(`${label}, ${clockText(start)} to ${clockText(end)}, ${rankText(interval)}`);
}

function startPinch() {
  const [a, b] = [...touches.values()];
  pinch = { apart: Math.max(Math.abs(a - b), 20), span: span(), time: toTime((a + b) / 2) };
}

function movePinch() {
  const [a, b] = [...touches.values()];
  const length = clamp((pinch.span * pinch.apart) / Math.max(Math.abs(a - b), 20), LEAST_SPAN, duration);
  show(pinch.time - ((a + b) / 2 / plotWidth) * length, length);
}

function watch(canvas, start) {
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    hideTip();
    if (event.pointerType === "touch") touches.set(event.pointerId, placeOf(event).x);
    if (touches.size === 2) {
      gesture = null;
      startPinch();
    } else {
      gesture = start(event);
    }
  });
  canvas.addEventListener("pointermove", (event) => {
    if (touches.has(event.pointerId)) touches.set(event.pointerId, placeOf(event).x);
    if (pinch && touches.size === 2) movePinch();
    else if (gesture) gesture.move(event);
    else hover(event, canvas);
  });
  const finish = (event) => {
    touches.delete(event.pointerId);
    if (touches.size < 2) pinch = null;
    if (gesture && event.type === "pointerup") gesture.end(event);
    gesture = null;
  };
  canvas.addEventListener("pointerup", finish);
  canvas.addEventListener("pointercancel", finish);
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("wheel", wheel, { passive: false });
}

function wheel(event) {
  const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 240), toTime(clamp(placeOf(event).x, 0, plotWidth)));
  } else if (sideways && !isWhole()) {
    event.preventDefault();
    pan((sideways / plotWidth) * span());
  }
}

// Hovering ---------------------------------------------------------------------------------------

const tip = byId("tip");
const cursor = byId("cursor");

function hover(event, canvas) {
  if (event.pointerType === "touch" || canvas.id === "overview") return;
  const place = placeOf(event);
  const time = toTime(clamp(place.x, 0, plotWidth));
  const found = canvas === lanesCanvas ? hit(place.x, place.y) : null;
  cursor.hidden = false;
  cursor.style.transform = `translateX(${plotLeft + toX(time)}px)`;
  const key = found ? found.interval.key : null;
  if (key !== state.hovered) {
    state.hovered = key;
    redraw("lanes");
  }
  if (canvas === lanesCanvas) canvas.style.cursor = cursorFor(found);
  fillTip(found ? found.interval : null, time);
  placeTip(event.clientX, event.clientY);
}

function cursorFor(found) {
  if (!found) return state.editing ? "crosshair" : "default";
  if (!state.editing) return "pointer";
  return found.part === "body" ? "grab" : "ew-resize";
}

function fillTip(interval, time) {
  byId("tip-label").textContent = interval ? interval.label : "";
  byId("tip-times").textContent = interval
    ? `${clockText(interval.start)} \u2013 ${clockText(interval.end)} (${(interval.end - interval.start).toFixed(2)} s)`
    : clockText(time);
  byId("tip-score").textContent = interval ? rankText(interval) : "";
  const picture = byId("tip-picture");
  picture.hidden = !thumbnails.length;
  if (thumbnails.length) {
    const url = thumbnailAt(interval ? (interval.start + interval.end) / 2 : time).picture.src;
    if (picture.src !== url) picture.src = url;
  }
}

function placeTip(x, y) {
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = clamp(x + 14, 8, Math.max(8, window.innerWidth - width - 8));
  const above = y - height - 14;
  tip.style.transform = `translate(${left}px, ${above < 8 ? y + 20 : above}px)`;
}

function hideTip() {
  tip.hidden = true;
  cursor.hidden = true;
  if (state.hovered !== null) {
    state.hovered = null;
    redraw("lanes");
  }
}

export function watchPointers() {
  for (const canvas of canvases) {
    const start = { lanes: startLanes, overview: startOverview }[canvas.id] || startScrub;
    watch(canvas, start);
  }
}
