// What people said of the video that is shown, as the timeline holds it and as the server keeps it.
import { LEAST_LENGTH, data, duration, edit, emit, keyed, replaceIntervals, rules, state } from "./state.js";
import { subtract } from "./merge.js";

export const page = data.studio;

/** `labels` ticked, null where nobody said; `marked`: whether people looked at times. */
const extraOf = ({ labels, spans }) => ({ labels, marked: spans !== null });
state.extra = extraOf(page.annotation);

export const spansOf = (intervals) =>
  intervals.map((each) => [each.label, each.start, each.point ? null : each.end]);

/** The annotation as the server keeps it. */
export function annotation() {
  const { labels, marked } = state.extra;
  const spans = state.intervals.length || marked ? spansOf(state.intervals) : null;
  return { labels, spans };
}

/** Show what somebody else has saved. */
export function take({ labels, spans }) {
  const intervals = (spans || []).map(([label, start, end]) => keyed({ label, start, end }));
  const chosen = state.intervals.find((each) => each.key === state.selected);
  const same = chosen && intervals.find((each) => keyText(each) === keyText(chosen));
  if (same) same.key = chosen.key;
  replaceIntervals([intervals, state.found, extraOf({ labels, spans })]);
}

const keyText = (each) => JSON.stringify([each.label, each.start, each.end, each.point]);
const isReal = (each) => each.label !== "" && !each.point;
const stretch = ([start, end]) => keyed({ label: "", start: round(start), end: round(end) });
const round = (seconds) => Math.round(seconds * 1000) / 1000;

/** Whether every action of the video is marked. */
export function isComplete() {
  const { labels, spans } = annotation();
  if (spans === null) return false;
  if (!spans.length) return labels !== null;
  return spans.some(([label, , end]) => label && end !== null) && spans.every(([label]) => label);
}

/**
 * Whoever marks one interval has not looked at the whole video: the rest becomes unknown, until they
 * say that everything is marked. A class with an interval is ticked.
 */
rules.complete = ([intervals, found, extra]) => {
  const real = intervals.filter(isReal);
  const known = intervals.filter((each) => each.label !== "");
  const holes = real.map((each) => [each.start, each.end]);
  const before = intervals.filter((each) => each.label === "");
  let open = [];
  if (real.length) {
    const first = !extra.marked || (!state.intervals.some(isReal) && !isComplete());
    const base = first && !before.length ? [[0, duration]] : before.map((each) => [each.start, each.end]);
    open = subtract(base, holes);
  } else if (before.some((each) => !state.intervals.includes(each))) {
    open = before.map((each) => [each.start, each.end]); // a stretch that was marked by hand
  }
  const same = before.length === open.length && before.every((each, n) => each.start === round(open[n][0]) && each.end === round(open[n][1]));
  const stretches = same ? before : open.map(stretch).filter((each) => each.end - each.start >= LEAST_LENGTH);
  const named = known.map((each) => each.label);
  const labels = named.length ? [...new Set([...(extra.labels || []), ...named])] : extra.labels;
  const empty = !known.length && !stretches.length;
  const marked = empty ? extra.marked && !state.intervals.some((each) => each.label !== "") : true;
  return [[...known, ...stretches], found, { labels, marked }];
};

/** A finding beside a person's interval of its class is shown, but tells nothing new. */
rules.listed = (each) =>
  !each.found || !state.intervals.some((one) => one.label === each.label && !one.point && one.start < each.end && each.start < one.end);

/** Ticked classes of which nothing is marked. */
export const unmarked = () =>
  (state.extra.labels || []).filter((label) => !state.intervals.some((each) => each.label === label));

/**
 * Tick or untick a class of the whole video. Without it its intervals go too; with another one not
 * everything is marked any more.
 */
export function tick(label, on = !state.extra.labels?.includes(label)) {
  const labels = (state.extra.labels || []).filter((each) => each !== label);
  if (on) labels.push(label);
  const open = on && isComplete() ? reopened() : [];
  const kept = on ? state.intervals : state.intervals.filter((each) => each.label !== label);
  const intervals = [...kept, ...open];
  edit(intervals, state.found, { labels, marked: state.extra.marked && intervals.length > 0 });
  emit("labels");
}

/** All that is not marked, as stretches that nobody looked at. */
function reopened() {
  const known = state.intervals.filter(isReal);
  if (!known.length) return [];
  return subtract([[0, duration]], known.map((each) => [each.start, each.end])).map(stretch);
}

/** Say that nothing else happens, or take that back. */
export function setComplete(complete) {
  const known = state.intervals.filter((each) => each.label !== "");
  const { labels } = state.extra;
  state.undo.push([state.intervals, state.found, state.extra]);
  state.redo = [];
  if (complete) {
    replaceIntervals([known.filter(isReal), state.found, { labels: labels || [], marked: true }]);
  } else {
    replaceIntervals([[...known, ...reopened()], state.found, { labels, marked: known.length > 0 }]);
  }
}

/** Take over intervals that the model found. */
export function accept(chosen) {
  const taken = chosen.filter(
    (one) => !state.intervals.some((each) => each.label === one.label && each.start < one.end && one.start < each.end && !each.point),
  );
  const made = taken.map((each) => ({ ...keyed(each), found: false, score: 1, start: round(each.start), end: round(each.end) }));
  if (made.length) state.selected = made[0].key;
  edit([...state.intervals, ...made]);
}
