// Correcting the result: drag, relabel, delete, add; "save" downloads it. Nothing is sent anywhere.
import { byId, clamp, count, element, toMilliseconds } from "./text.js";
import {
  LEAST_LENGTH,
  data,
  duration,
  edit,
  emit,
  forgetShown,
  isChanged,
  keyed,
  redo,
  rules,
  say,
  selected,
  shown,
  state,
  undo,
} from "./state.js";
import { now } from "./player.js";
import { toTime } from "./view.js";
import { redraw } from "./drawing.js";

const fields = { label: byId("edit-label"), start: byId("edit-start"), end: byId("edit-end") };

export function setEditing(editing) {
  state.editing = editing;
  byId("edit").setAttribute("aria-pressed", String(editing));
  byId("editor").hidden = !editing;
  byId("save").hidden = !editing;
  emit("edit");
  redraw("lanes");
}

/** Change the selected interval; one that a model found becomes a person's. */
function change(chosen, fieldsOf) {
  const after = { ...chosen, score: chosen.found ? 1 : chosen.score, ...fieldsOf, found: false };
  if (!chosen.found) edit(state.intervals.map((each) => (each === chosen ? after : each)));
  else edit([...state.intervals, after], without(chosen));
}

const without = (found) => state.found.filter((each) => each.key !== found.key);

/** Times within the video and in order, with the precision of a result. */
export function bounded(start, end) {
  const first = clamp(toMilliseconds(start), 0, toMilliseconds(duration - LEAST_LENGTH));
  const last = clamp(toMilliseconds(end), toMilliseconds(first + LEAST_LENGTH), duration);
  return { start: first, end: last };
}

export function setBorder(border, time) {
  const chosen = selected();
  if (!chosen || chosen.point) return;
  const other = border === "start" ? chosen.end : chosen.start;
  const [start, end] = border === "start" ? [time, other] : [other, time];
  if (end - start < LEAST_LENGTH) {
    say("An interval must end after it starts.");
    return;
  }
  change(chosen, bounded(start, end));
}

export function removeSelected() {
  const chosen = selected();
  if (!chosen) return;
  edit(
    state.intervals.filter((each) => each !== chosen),
    without(chosen),
  );
  emit("select");
  say(`${chosen.label || "unknown stretch"} deleted`);
}

/** A new interval has the score of annotated ones. */
function add(label, start, end) {
  const made = keyed({ label, start, end, score: 1 });
  Object.assign(made, bounded(start, end));
  state.hidden.delete(label);
  state.selected = made.key;
  edit([...state.intervals, made]);
  emit("select");
  return made;
}

function addHere() {
  const chosen = selected();
  const label = (chosen && chosen.label) || state.lanes[0] || classNames()[0] || "action";
  const start = Math.min(now(), Math.max(0, duration - 2));
  add(label, start, Math.min(duration, start + 2));
  fields.label.focus();
  fields.label.select();
}

function classNames() {
  return [...new Set([...state.lanes, ...Object.keys(data.document.classes || {})])];
}

/** Drag what was hit, or a new interval over free space; one step to undo. */
export function startDrag(found, begin, lane) {
  if (!found && lane === null) return null;
  const before = [state.intervals, state.found];
  const from = toTime(begin.x);
  const taken = found ? found.interval : keyed({ label: lane, start: from, end: from, score: 1 });
  const dragged = taken.found ? { ...taken, found: false, score: 1 } : taken;
  const part = found ? found.part : "end";
  const base = before[0].includes(dragged) ? before[0] : [...before[0], dragged];
  state.found = without(taken);
  state.hidden.delete(dragged.label);
  state.selected = dragged.key;
  return {
    move(place) {
      const by = toTime(place.x) - from;
      state.intervals = base.map((each) => (each === dragged ? moved(dragged, part, by) : each));
      forgetShown();
      fillEditor();
      redraw("lanes", "overview");
    },
    end() {
      const after = [state.intervals, state.found];
      [state.intervals, state.found] = before;
      edit(...after);
      emit("select");
    },
  };
}

function moved(interval, part, by) {
  const { start, end } = interval;
  if (part === "body" || interval.point) {
    const shift = clamp(by, -start, duration - end);
    const at = toMilliseconds(start + shift);
    const place = interval.point ? { start: at, end: at } : bounded(start + shift, end + shift);
    return { ...interval, ...place };
  }
  const [a, b] = part === "start" ? [start + by, end] : [start, end + by];
  return { ...interval, ...bounded(Math.min(a, b), Math.max(a, b)) };
}

// The form ---------------------------------------------------------------------------------------

export function fillEditor() {
  const chosen = selected();
  byId("chosen").disabled = !chosen;
  fields.label.value = chosen ? chosen.label : "";
  fields.start.value = chosen ? chosen.start.toFixed(3) : "";
  fields.end.value = chosen ? chosen.end.toFixed(3) : "";
  fields.end.disabled = Boolean(chosen && chosen.point);
}

export function editorChanged() {
  if (!state.editing) return;
  fillEditor();
  byId("undo").disabled = !state.undo.length;
  byId("redo").disabled = !state.redo.length;
  byId("save").textContent = isChanged() ? "Save *" : "Save";
  const names = classNames().map((name) => element("option", { value: name }));
  byId("labels").replaceChildren(...names);
  const kept = new Set(shown());
  const hidden = state.intervals.filter((each) => !kept.has(each) && each.label !== "").length;
  byId("delete-hidden").hidden = !hidden;
  byId("delete-hidden").textContent = `Delete the ${hidden} hidden`;
}

function fieldsChanged() {
  const chosen = selected();
  const label = fields.label.value.trim();
  const start = fields.start.valueAsNumber;
  const end = fields.end.valueAsNumber;
  if (!chosen) return;
  if (chosen.point) {
    const at = toMilliseconds(clamp(start, 0, duration));
    if (label && start >= 0) change(chosen, { label, start: at, end: at });
    else fillEditor();
    return;
  }
  if (!label || !(start >= 0) || !(end <= duration) || !(end - start >= LEAST_LENGTH)) {
    say("Not changed: an interval has a label and ends after it starts, within the video.");
    fillEditor();
    return;
  }
  const same = label === chosen.label && start === chosen.start && end === chosen.end;
  if (!same) change(chosen, { label, ...bounded(start, end) });
}

function deleteHidden() {
  const kept = new Set(shown());
  edit(state.intervals.filter((each) => kept.has(each) || each.label === ""));
}

// Saving -----------------------------------------------------------------------------------------

/** The result with the corrected intervals, as `basnet` writes and reads it. */
function correctedText() {
  const intervals = [...state.intervals]
    .sort((a, b) => b.score - a.score)
    .map(({ source, label, start, end, score }) => ({ ...source, label, start, end, score }));
  return `${JSON.stringify({ ...data.document, corrected: true, intervals }, null, 1)}\n`;
}

export function save() {
  if (rules.save) {
    rules.save();
    return;
  }
  const url = URL.createObjectURL(new Blob([correctedText()], { type: "application/json" }));
  const name = String(data.document.video).split("/").pop();
  const link = element("a", { href: url, download: `${name}.corrected.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  state.saved = state.intervals;
  editorChanged();
  say(`${count(state.intervals.length, "interval")} saved`);
}

export function watchEditor() {
  byId("edit").addEventListener("click", () => setEditing(!state.editing));
  byId("save").addEventListener("click", save);
  byId("add").addEventListener("click", addHere);
  byId("undo").addEventListener("click", undo);
  byId("redo").addEventListener("click", redo);
  byId("delete").addEventListener("click", removeSelected);
  byId("delete-hidden").addEventListener("click", deleteHidden);
  byId("start-here").addEventListener("click", () => setBorder("start", now()));
  byId("end-here").addEventListener("click", () => setBorder("end", now()));
  byId("editor").addEventListener("submit", (event) => event.preventDefault());
  for (const field of Object.values(fields)) field.addEventListener("change", fieldsChanged);
  window.addEventListener("beforeunload", (event) => {
    if (isChanged()) event.preventDefault();
  });
}
