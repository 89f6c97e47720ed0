// One video of the studio: the report's page, with labels, marks of all kinds and a model's findings.
import "./theme.js";
import { byId, count, element, toMilliseconds } from "./text.js";
import { colourOf, data, edit, emit, filterChanged, keyed, on, redo, rules, say, select, selected, setColour, shown, state, undo } from "./state.js";
import { giveSource, now, remedies, video } from "./player.js";
import { redraw } from "./drawing.js";
import { gestures } from "./pointer.js";
import { KEYS, neighbour } from "./keys.js";
import { bounded, setEditing } from "./edit.js";
import { ask, attempt, follow, hideNote, note } from "./ask.js";
import { accept, isComplete, page, setComplete, tick, unmarked } from "./annotation.js";
import { isPending, refresh } from "./saving.js";
import "./page.js";

const ROUND = 5; // corrections after which training again pays
const HOLD = 350; // milliseconds from which a key counts as held
let classes = data.classes;

// Classes of the whole video -----------------------------------------------------------------------

function showTicks() {
  const ticked = state.extra.labels || [];
  const buttons = classes.map((label, index) => {
    const mark = element("i");
    mark.style.background = mark.style.borderColor = colourOf(label);
    const button = element(
      "button",
      { type: "button", class: "tick", "aria-pressed": String(ticked.includes(label)), title: label },
      mark,
      element("span", { dir: "auto" }, label),
    );
    if (index < 9) button.append(element("kbd", {}, String(index + 1)));
    button.addEventListener("click", () => tickAt(index));
    return button;
  });
  const nothing = element("button", { type: "button", class: "tick none", "aria-pressed": String(state.extra.labels?.length === 0) }, "None of these");
  nothing.addEventListener("click", sayNothing);
  const focused = [...byId("ticks").children].indexOf(document.activeElement);
  byId("ticks").replaceChildren(...buttons, ...(classes.length ? [nothing] : []));
  byId("ticks").children[focused]?.focus();
  byId("ticks").hidden = !classes.length;
}

function tickAt(index) {
  const label = classes[index];
  if (!label) return;
  const lost = state.intervals.filter((each) => each.label === label).length;
  const on = !state.extra.labels?.includes(label);
  tick(label, on);
  if (!on && lost) note("lost", `${count(lost, "mark")} of ${label} removed too.`, ["Undo", () => { hideNote("lost"); undo(); }]);
  say(`${label} ${on ? "ticked" : "unticked"}`);
}

function sayNothing() {
  const already = state.extra.labels?.length === 0;
  edit(already ? state.intervals : [], state.found, { labels: already ? null : [], marked: false });
}

byId("add-class").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = byId("new-class").value.trim();
  if (!name) return;
  if (await attempt(() => ask("POST", "/api/classes", { do: "add", name }))) {
    byId("new-class").value = "";
    await ask("GET", "/api/changes?since=0.0").then(changed);
    const at = classes.indexOf(name.replace(/\s+/g, " ").normalize());
    if (at >= 0 && !state.extra.labels?.includes(classes[at])) tickAt(at);
  }
});

// Marks --------------------------------------------------------------------------------------------

gestures.place = (label, time) => {
  if (label === null || isComplete()) return;
  const inside = (each) => each.label !== "" && !each.point && each.start <= time && time < each.end;
  const open = state.intervals.filter((each) => each.label === "" && each.start <= time && time < each.end);
  const partial = state.intervals.some((each) => each.label === "");
  if (state.intervals.some(inside) || (partial && !open.length)) return;
  const at = toMilliseconds(time);
  const made = keyed({ label, start: at, end: null });
  state.selected = made.key;
  edit([...state.intervals, made]);
  emit("select");
  say(`${label} at ${at.toFixed(1)} seconds`);
};

let held = null; // {key, label, from, since, made}
function keyDown(event) {
  if (event.repeat || held || event.ctrlKey || event.metaKey || event.altKey) return false;
  const index = "123456789".indexOf(event.key);
  if (index < 0 || !classes[index]) return false;
  held = { key: event.key, label: classes[index], from: now(), since: performance.now() };
  byId("ticks").children[index]?.classList.add("held");
  return true;
}

function keyUp(event) {
  if (!held || event.key !== held.key) return;
  const { label, from, since } = held;
  held = null;
  for (const each of byId("ticks").children) each.classList.remove("held");
  const to = now();
  if (performance.now() - since < HOLD || to - from < 0.05) {
    tickAt(classes.indexOf(label));
    return;
  }
  const made = { ...keyed({ label, start: from, end: to }), ...bounded(from, to) };
  state.selected = made.key;
  edit([...state.intervals, made]);
  emit("select");
  say(`${label} marked`);
}

let unknownFrom = null;
function markUnknown() {
  if (unknownFrom === null) {
    unknownFrom = now();
    note("unknown", "Go to the end of the stretch that you did not look at and press U again.", ["Cancel", endUnknown]);
    return;
  }
  const [start, end] = [Math.min(unknownFrom, now()), Math.max(unknownFrom, now())];
  endUnknown();
  if (end - start < 0.05) return;
  const made = { ...keyed({ label: "", start, end }), ...bounded(start, end) };
  const cut = state.intervals.filter((each) => each.end <= made.start || each.start >= made.end);
  edit([...cut, made]);
}

function endUnknown() {
  unknownFrom = null;
  hideNote("unknown");
}

// Finding and accepting ----------------------------------------------------------------------------

const visible = () => shown().filter((each) => each.found && rules.listed(each));

function acceptSelected() {
  const chosen = selected();
  if (!chosen || !chosen.found) return;
  accept([chosen]);
  say(`${chosen.label} accepted`);
}

function acceptAll() {
  const found = visible();
  if (!found.length && !page.looked) return;
  accept(found);
  const [left] = unmarked();
  if (left) {
    note("left", `${left} is ticked but not marked: mark when it happens, or untick it.`, ["Close", () => hideNote("left")]);
    return;
  }
  setComplete(true);
  state.undo.pop(); // both are one step
  say(`${count(found.length, "interval")} accepted; the video is corrected`);
}

function showTools() {
  const chosen = selected();
  byId("accepting").hidden = false;
  byId("accept").hidden = byId("accept-all").hidden = !page.looked;
  byId("accept").disabled = !(chosen && chosen.found);
  byId("accept-all").disabled = !page.looked || (isComplete() && !visible().length);
  const complete = byId("complete");
  const done = isComplete();
  const any = state.intervals.some((each) => each.label !== "" && !each.point);
  const left = unmarked();
  complete.setAttribute("aria-pressed", String(done));
  complete.textContent = done ? "\u2713 Everything is marked" : any || left.length ? "Everything is marked" : "Nothing happens";
  complete.disabled = !done && left.length > 0;
  complete.title = complete.disabled ? `First mark when ${left[0]} happens, or untick it` : "No other action happens in this video (M)";
  const points = state.intervals.some((each) => each.point);
  const words = done ? "corrected" : any ? "partly marked" : points ? "moments marked" : state.extra.labels ? "labelled" : "no label yet";
  byId("state").textContent = words;
  byId("state").dataset.state = words.split(" ")[0];
  byId("edit-note").textContent = hint(done, any);
}

function hint(done, any) {
  if (!classes.length) return "Add a class above: name something that happens in your videos.";
  if (done) return "Drag an interval or its borders to correct it. What you change is saved at once.";
  if (any) return "Mark the other actions too, then press \u201cEverything is marked\u201d. Until then the slanted parts count as not looked at.";
  if (page.looked && visible().length) return "Correct what the model found: drag a border, accept what is right, delete what is wrong. Then press \u201cEverything is marked\u201d.";
  return "Ticks are enough to start with. Drag across a lane to mark an interval, or click to mark a moment.";
}

function toggleComplete() {
  if (!byId("complete").disabled) setComplete(!isComplete());
}

// Playing ------------------------------------------------------------------------------------------

const SPEEDS = [1, 2, 4, 8];
function setSpeed(speed) {
  video.playbackRate = video.defaultPlaybackRate = speed;
  for (const button of byId("speeds").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === speed));
  }
  try {
    sessionStorage.setItem("basnet-speed", String(speed));
  } catch {
    // It holds for this video alone.
  }
}

function changeSpeed(by) {
  const at = SPEEDS.indexOf(video.playbackRate) + by;
  if (SPEEDS[at]) setSpeed(SPEEDS[at]);
}

let asked = false;
remedies.play = async (words) => {
  if (asked) return;
  asked = true;
  for (;;) {
    const found = await attempt(() => ask("POST", `/api/videos/${page.key}/proxy`, {}));
    if (!found || found.error) {
      words.textContent = `This video cannot be played: ${found ? found.error : "no answer"}. The timeline and frames still work.`;
      return;
    }
    if (found.ready) break;
    const share = found.of ? ` ${Math.round((100 * found.done) / found.of)} %` : "";
    words.textContent = `This browser cannot play the file; making a copy that it can play\u2026${share}`;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  giveSource(`/media/${page.key}/proxy`);
};

// Joined -------------------------------------------------------------------------------------------

function goOn() {
  if (isPending()) setTimeout(goOn, 50);
  else window.location.assign(byId("next-video").href);
}

delete KEYS.e;
delete KEYS.p;
Object.assign(KEYS, {
  n: goOn,
  p: () => neighbour(-1),
  f: () => neighbour(1),
  a: acceptAll,
  m: toggleComplete,
  u: markUnknown,
  Enter: acceptSelected,
  Escape: () => (unknownFrom === null ? select(null) : endUnknown()),
  ">": () => changeSpeed(1),
  "<": () => changeSpeed(-1),
});

function changed({ rows, status }) {
  const own = rows.find((each) => each.key === page.key);
  if (own) {
    attempt(() => refresh(own.version));
    byId("held-out").checked = own.held_out;
  }
  const names = status.classes.map((each) => each.name);
  if (JSON.stringify(names) !== JSON.stringify(classes)) {
    data.classes = data.fixed = classes = names;
    for (const { name, colour } of status.classes) setColour(name, colour);
    state.lanes = [...names];
    filterChanged();
    emit("intervals");
    showTicks();
  }
  const run = status.training.runs.at(-1);
  const gained = run ? status.known.corrected - run.corrected : 0;
  if (gained >= ROUND && !status.training.running) note("round", `${gained} videos corrected since the model was trained: train again.`, ["All videos", () => window.location.assign("/")]);
  else hideNote("round");
  if (status.problem) note("problem", status.problem);
  else hideNote("problem");
}

on("edit", () => {
  showTicks();
  showTools();
});
on("select", showTools);
on("intervals", showTools);
setEditing(true);
byId("save").hidden = true;
byId("threshold").closest("label").hidden = !page.looked;
byId("next").title = "Following interval (F)";
byId("accept").addEventListener("click", acceptSelected);
byId("accept-all").addEventListener("click", acceptAll);
byId("complete").addEventListener("click", toggleComplete);
byId("next-video").addEventListener("click", (event) => {
  event.preventDefault();
  goOn();
});
byId("held-out").checked = page.held_out;
byId("held-out").addEventListener("change", (event) => {
  attempt(() => ask("PUT", `/api/videos/${page.key}/held-out`, { held_out: event.target.checked }));
});
for (const button of byId("speeds").querySelectorAll("button")) {
  button.addEventListener("click", () => setSpeed(Number(button.dataset.speed)));
}
document.addEventListener("keydown", (event) => {
  if (!event.target.closest("input, select, textarea") && keyDown(event)) event.preventDefault();
});
document.addEventListener("keyup", keyUp);
window.addEventListener("blur", () => (held = null));
try {
  setSpeed(Number(sessionStorage.getItem("basnet-speed")) || 1);
} catch {
  setSpeed(1);
}
showTicks();
showTools();
redraw();
follow(page.revision, changed);
