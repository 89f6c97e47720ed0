// What the page shows: the result, what is filtered, selected and visible, and how it was edited.
import { byId, clamp, classColour, scoreText } from "./text.js";

export const data = JSON.parse(byId("data").textContent);
export const duration = data.document.duration > 0 ? data.document.duration : 1;
export const LEAST_SPAN = Math.min(duration, 0.5); // seconds that fill the axis at the closest zoom
export const LEAST_LENGTH = 0.001; // seconds of an interval, the precision of a result

let nextKey = 0;
/**
 * An interval with a key of its own; `source` keeps the fields that the page does not know. One
 * without an end is a point, one without a label a stretch that nobody looked at.
 */
export const keyed = (source) => ({
  key: nextKey++,
  source,
  label: String(source.label),
  start: source.start,
  end: source.end ?? source.start,
  score: source.score ?? 1,
  point: source.end === null,
  found: false,
});

export const state = {
  intervals: data.document.intervals.map(keyed),
  found: (data.found || []).map((each) => ({ ...keyed(each), found: true })), // not a person's yet
  extra: null, // what else an edit changes and `undo` brings back
  truth: data.truth || [],
  lanes: [...data.lanes],
  hidden: new Set(),
  threshold: -Infinity,
  selected: null,
  hovered: null,
  from: 0,
  to: duration,
  editing: false,
  undo: [],
  redo: [],
  saved: null,
};
state.saved = state.intervals;

const listeners = new Map();
/** Topics: intervals (or their filter), select, view, time, edit. */
export function on(topic, listener) {
  listeners.set(topic, [...(listeners.get(topic) || []), listener]);
}
export function emit(topic) {
  for (const listener of listeners.get(topic) || []) listener();
}

const colourOrder = new Map(Object.entries(data.colours || {}));
/** Colours follow the order in which classes are first named, so that they never change. */
function colourIndex(label) {
  if (!colourOrder.has(label)) colourOrder.set(label, Math.max(-1, ...colourOrder.values()) + 1);
  return colourOrder.get(label);
}
for (const label of [...data.classes, ...data.lanes]) colourIndex(label);
for (const curve of data.curves ? data.curves.classes : []) colourIndex(curve.label);
export const setColour = (label, place) => colourOrder.set(label, place);
export const colourOf = (label) => classColour(colourIndex(label));

let highest = 1;
let shownCache = null;
function measureScores() {
  shownCache = null;
  const scores = [...state.intervals, ...state.found].map((each) => each.score);
  highest = Math.max(0, ...scores) || 1;
}
measureScores();

/** How strong an interval is drawn, in [0, 1]. */
export const strength = (interval) => clamp(interval.score / highest, 0, 1);

/** Intervals that pass the filter, weakest first, so that the surest are drawn on top. */
export function shown() {
  shownCache ||= [...state.intervals, ...state.found]
    .filter(passes)
    .sort((a, b) => a.score - b.score || a.start - b.start);
  return shownCache;
}

/** Whether an interval passes the filter; where a model's are beside them, a person's always do. */
function passes(each) {
  const strong = each.score >= state.threshold || (data.found && !each.found);
  return strong && each.label !== "" && !state.hidden.has(each.label);
}

/** Stretches that nobody looked at. */
export const unknown = () => state.intervals.filter((each) => each.label === "");

export const inTime = () => shown().filter(rules.listed).sort((a, b) => a.start - b.start || a.end - b.end);
export const selected = () =>
  [...state.intervals, ...state.found].find((each) => each.key === state.selected) || null;

export function forgetShown() {
  shownCache = null;
}

export function filterChanged() {
  forgetShown();
  emit("intervals");
}

export function select(key) {
  if (state.selected === key) return;
  state.selected = key;
  emit("select");
}

export function replaceIntervals([intervals, found, extra]) {
  Object.assign(state, { intervals, found, extra });
  const labels = intervals.map((each) => each.label).filter((label) => label !== "");
  state.lanes = [...new Set([...state.lanes, ...labels])];
  const used = new Set([...labels, ...state.truth.map((each) => each.label), ...(data.fixed || [])]);
  state.lanes = state.lanes.filter((label) => used.has(label));
  for (const label of [...state.hidden]) if (!used.has(label)) state.hidden.delete(label);
  if (!selected()) state.selected = null;
  measureScores();
  emit("intervals");
  emit("edit");
}

const snapshot = () => [state.intervals, state.found, state.extra];

/** What an edit brings with it, of `[intervals, found, extra]`; a page may have rules of its own. */
export const rules = { complete: (changed) => changed, listed: () => true, save: null };

/** Put other intervals in place of these; `undo` brings them back. */
export function edit(intervals, found = state.found, extra = state.extra) {
  state.undo.push(snapshot());
  state.redo = [];
  replaceIntervals(rules.complete([intervals, found, extra]));
}

function step(back, forth) {
  if (!back.length) return;
  forth.push(snapshot());
  replaceIntervals(back.pop());
}
export const undo = () => step(state.undo, state.redo);
export const redo = () => step(state.redo, state.undo);
export const isChanged = () => state.saved !== state.intervals;

/** How sure an interval is, or whose it is. */
export function rankText(each) {
  if (each.label === "") return "nobody looked here";
  return data.found && !each.found ? "yours" : `score ${scoreText(each.score)}`;
}

/** Announce to screen readers. */
export function say(text) {
  byId("say").textContent = text;
}
