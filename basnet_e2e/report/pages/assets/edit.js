// Correcting the result: drag, relabel, delete, add; "save" downloads it. Nothing is sent anywhere.
const fields = { label: byId("edit-label"), start: byId("edit-start"), end: byId("edit-end") };

function setEditing(editing) {
  state.editing = editing;
  byId("edit").setAttribute("aria-pressed", String(editing));
  byId("editor").hidden = !editing;
  byId("save").hidden = !editing;
  emit("edit");
  redraw("lanes");
}

const changed = (key, fieldsOf) =>
  state.intervals.map((each) => (each.key === key ? { ...each, ...fieldsOf } : each));

/** Times within the video and in order, with the precision of a result. */
function bounded(start, end) {
  const first = clamp(toMilliseconds(start), 0, toMilliseconds(duration - LEAST_LENGTH));
  const last = clamp(toMilliseconds(end), toMilliseconds(first + LEAST_LENGTH), duration);
  return { start: first, end: last };
}

function setBorder(border, time) {
  const chosen = selected();
  if (!chosen) return;
  const other = border === "start" ? chosen.end : chosen.start;
  const [start, end] = border === "start" ? [time, other] : [other, time];
  if (end - start < LEAST_LENGTH) {
    say("An interval must end after it starts.");
    return;
  }
  edit(changed(chosen.key, bounded(start, end)));
}

function removeSelected() {
  const chosen = selected();
  if (!chosen) return;
  edit(state.intervals.filter((each) => each !== chosen));
  emit("select");
  say(`${chosen.label} deleted`);
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
function startDrag(found, begin, lane) {
  if (!found && lane === null) return null;
  const before = state.intervals;
  const from = toTime(begin.x);
  const dragged = found ? found.interval : keyed({ label: lane, start: from, end: from, score: 1 });
  const part = found ? found.part : "end";
  const base = found ? before : [...before, dragged];
  state.hidden.delete(dragged.label);
  state.selected = dragged.key;
  return {
    move(place) {
      const by = toTime(place.x) - from;
      state.intervals = base.map((each) => (each === dragged ? moved(dragged, part, by) : each));
      shownCache = null;
      fillEditor();
      redraw("lanes", "overview");
    },
    end() {
      const after = state.intervals;
      state.intervals = before;
      edit(after);
      emit("select");
    },
  };
}

function moved(interval, part, by) {
  const { start, end } = interval;
  if (part === "body") {
    const shift = clamp(by, -start, duration - end);
    return { ...interval, ...bounded(start + shift, end + shift) };
  }
  const [a, b] = part === "start" ? [start + by, end] : [start, end + by];
  return { ...interval, ...bounded(Math.min(a, b), Math.max(a, b)) };
}

// The form ---------------------------------------------------------------------------------------

function fillEditor() {
  const chosen = selected();
  byId("chosen").disabled = !chosen;
  fields.label.value = chosen ? chosen.label : "";
  fields.start.value = chosen ? chosen.start.toFixed(3) : "";
  fields.end.value = chosen ? chosen.end.toFixed(3) : "";
}

function editorChanged() {
  if (!state.editing) return;
  fillEditor();
  byId("undo").disabled = !state.undo.length;
  byId("redo").disabled = !state.redo.length;
  byId("save").textContent = isChanged() ? "Save *" : "Save";
  const names = classNames().map((name) => element("option", { value: name }));
  byId("labels").replaceChildren(...names);
  const hidden = state.intervals.length - shown().length;
  byId("delete-hidden").hidden = !hidden;
  byId("delete-hidden").textContent = `Delete the ${hidden} hidden`;
}

function fieldsChanged() {
  const chosen = selected();
  const label = fields.label.value.trim();
  const start = fields.start.valueAsNumber;
  const end = fields.end.valueAsNumber;
  if (!chosen) return;
  if (!label || !(start >= 0) || !(end <= duration) || !(end - start >= LEAST_LENGTH)) {
    say("Not changed: an interval has a label and ends after it starts, within the video.");
    fillEditor();
    return;
  }
  const same = label === chosen.label && start === chosen.start && end === chosen.end;
  if (!same) edit(changed(chosen.key, { label, ...bounded(start, end) }));
}

function deleteHidden() {
  const kept = new Set(shown());
  edit(state.intervals.filter((each) => kept.has(each)));
}

// Saving -----------------------------------------------------------------------------------------

/** The result with the corrected intervals, as `basnet` writes and reads it. */
function correctedText() {
  const intervals = [...state.intervals]
    .sort((a, b) => b.score - a.score)
    .map(({ source, label, start, end, score }) => ({ ...source, label, start, end, score }));
  return `${JSON.stringify({ ...data.document, corrected: true, intervals }, null, 1)}\n`;
}

function save() {
  const url = URL.createObjectURL(new Blob([correctedText()], { type: "application/json" }));
  const name = String(data.document.video).split("/").pop();
  const link = element("a", { href: url, download: `${name}.corrected.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  state.saved = state.intervals;
  editorChanged();
  say(`${count(state.intervals.length, "interval")} saved`);
}

function watchEditor() {
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
