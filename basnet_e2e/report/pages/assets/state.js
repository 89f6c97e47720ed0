// What the page shows: the result, what is filtered, selected and visible, and how it was edited.
const data = JSON.parse(byId("data").textContent);
const duration = data.document.duration > 0 ? data.document.duration : 1;
const LEAST_SPAN = Math.min(duration, 0.5); // seconds that fill the axis at the closest zoom
const LEAST_LENGTH = 0.001; // seconds of an interval, the precision of a result

let nextKey = 0;
/** An interval with a key of its own; `source` keeps the fields that the page does not know. */
const keyed = (source) => ({
  key: nextKey++,
  source,
  label: String(source.label),
  start: source.start,
  end: source.end,
  score: source.score,
});

const state = {
  intervals: data.document.intervals.map(keyed),
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
function on(topic, listener) {
  listeners.set(topic, [...(listeners.get(topic) || []), listener]);
}
function emit(topic) {
  for (const listener of listeners.get(topic) || []) listener();
}

const colourOrder = new Map();
/** Colours follow the order in which classes are first named, so that they never change. */
function colourIndex(label) {
  if (!colourOrder.has(label)) colourOrder.set(label, colourOrder.size);
  return colourOrder.get(label);
}
for (const label of [...data.classes, ...data.lanes]) colourIndex(label);
for (const curve of data.curves ? data.curves.classes : []) colourIndex(curve.label);
const colourOf = (label) => classColour(colourIndex(label));

let highest = 1;
let shownCache = null;
function measureScores() {
  shownCache = null;
  highest = Math.max(...[0, ...state.intervals.map((each) => each.score)]) || 1;
}
measureScores();

/** How strong an interval is drawn, in [0, 1]. */
const strength = (interval) => clamp(interval.score / highest, 0, 1);

/** Intervals that pass the filter, weakest first, so that the surest are drawn on top. */
function shown() {
  shownCache ||= state.intervals
    .filter((each) => each.score >= state.threshold && !state.hidden.has(each.label))
    .sort((a, b) => a.score - b.score || a.start - b.start);
  return shownCache;
}

const inTime = () => [...shown()].sort((a, b) => a.start - b.start || a.end - b.end);
const selected = () => state.intervals.find((each) => each.key === state.selected) || null;

function filterChanged() {
  shownCache = null;
  emit("intervals");
}

function select(key) {
  if (state.selected === key) return;
  state.selected = key;
  emit("select");
}

function replaceIntervals(intervals) {
  state.intervals = intervals;
  for (const { label } of intervals) if (!state.lanes.includes(label)) state.lanes.push(label);
  const used = new Set([...intervals, ...state.truth].map((each) => each.label));
  state.lanes = state.lanes.filter((label) => used.has(label));
  for (const label of [...state.hidden]) if (!used.has(label)) state.hidden.delete(label);
  if (!selected()) state.selected = null;
  measureScores();
  emit("intervals");
  emit("edit");
}

/** Put other intervals in place of these; `undo` brings them back. */
function edit(intervals) {
  state.undo.push(state.intervals);
  state.redo = [];
  replaceIntervals(intervals);
}

function step(back, forth) {
  if (!back.length) return;
  forth.push(state.intervals);
  replaceIntervals(back.pop());
}
const undo = () => step(state.undo, state.redo);
const redo = () => step(state.redo, state.undo);
const isChanged = () => state.saved !== state.intervals;

/** Tell those who cannot see the page. */
function say(text) {
  byId("say").textContent = text;
}
