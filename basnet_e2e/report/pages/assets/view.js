// Which part of the video the axis shows, and where a second lies on it.
import { byId, clamp, clockText } from "./text.js";
import { LEAST_SPAN, duration, emit, rankText, shown, state } from "./state.js";
import { now } from "./player.js";

const axis = byId("axis");
const tracks = byId("tracks");
export let plotWidth = 1; // CSS pixels
export let plotLeft = 0; // kept, since asking costs a layout of the page

export function measureAxis() {
  plotWidth = Math.max(axis.clientWidth, 1);
  plotLeft = axis.offsetLeft + axis.clientLeft;
}

export const toX = (time) => ((time - state.from) / (state.to - state.from)) * plotWidth;
export const toTime = (x) => state.from + (x / plotWidth) * (state.to - state.from);
export const span = () => state.to - state.from;
export const isWhole = () => span() >= duration - 1e-9;

export function show(from, length) {
  const kept = clamp(length, LEAST_SPAN, duration);
  state.from = clamp(from, 0, duration - kept);
  state.to = state.from + kept;
  emit("view");
}

/** Zoom by a factor, with the second at `time` staying where it is. */
export function zoom(factor, time = clamp(now(), state.from, state.to)) {
  const length = clamp(span() / factor, LEAST_SPAN, duration);
  show(time - ((time - state.from) / span()) * length, length);
}

export const pan = (seconds) => show(state.from + seconds, span());

/** Move the visible part, if need be, so that an interval is in it. */
export function reveal(start, end = start) {
  if (start >= state.from && end <= state.to) return;
  const length = Math.max(span(), (end - start) * 1.2);
  show((start + end) / 2 - length / 2, length);
}

export function placePlayhead() {
  const x = toX(now());
  const head = byId("playhead");
  head.hidden = x < -1 || x > plotWidth + 1;
  head.style.transform = `translateX(${plotLeft + x}px)`;
  byId("now").textContent = clockText(now(), 1);
  axis.setAttribute("aria-valuenow", now().toFixed(3));
  axis.setAttribute("aria-valuetext", spokenTime(now()));
}

/** A time with what happens then. */
function spokenTime(time) {
  const there = shown()
    .filter((each) => each.start <= time && time < each.end)
    .reverse()
    .map((each) => `${each.label}, ${rankText(each)}`);
  return [clockText(time, 1), ...there.slice(0, 3)].join("; ");
}
