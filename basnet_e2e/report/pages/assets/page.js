// Connects the parts of the page: what is redrawn after which change.
import { byId } from "./text.js";
import { LEAST_SPAN, duration, filterChanged, on, state } from "./state.js";
import { isPlaying, now, openVideo } from "./player.js";
import { isWhole, measureAxis, placePlayhead, show, span, zoom } from "./view.js";
import { readPaints, redraw } from "./drawing.js";
import { buildLanes, narrow } from "./lanes.js";
import { watchPointers } from "./pointer.js";
import { neighbour, onKey } from "./keys.js";
import { showSelectedRow, tableChanged, watchTable } from "./table.js";
import { editorChanged, fillEditor, watchEditor } from "./edit.js";

const threshold = byId("threshold");

function setUpThreshold() {
  const scores = [...state.intervals, ...state.found].map((each) => each.score);
  const low = Math.floor(Math.min(0, ...scores) * 100) / 100;
  const high = Math.max(0.01, Math.ceil(Math.max(0, ...scores) * 100) / 100);
  Object.assign(threshold, { min: low, max: high, step: 0.01, value: low });
  threshold.disabled = !scores.length;
  threshold.addEventListener("input", () => {
    // At its lowest the slider hides nothing, whatever the rounding.
    state.threshold = threshold.value === threshold.min ? -Infinity : threshold.valueAsNumber;
    thresholdText();
    filterChanged();
  });
  thresholdText();
}

function thresholdText() {
  byId("threshold-text").textContent = threshold.valueAsNumber.toFixed(2);
}

function measure() {
  measureAxis();
  buildLanes();
  redraw();
}

function viewChanged() {
  byId("fit").disabled = byId("zoom-out").disabled = isWhole();
  byId("zoom-in").disabled = span() <= LEAST_SPAN + 1e-9;
  redraw();
}

function recolour() {
  readPaints();
  buildLanes();
  tableChanged();
  redraw();
}

let drawnClasses = ""; // the curves change only with the classes
on("intervals", () => {
  buildLanes();
  tableChanged();
  editorChanged();
  redraw("lanes", "overview");
  const classes = JSON.stringify([state.lanes, [...state.hidden]]);
  if (classes !== drawnClasses) redraw("activation");
  drawnClasses = classes;
});
on("select", () => {
  showSelectedRow();
  fillEditor();
  redraw("lanes");
});
on("edit", editorChanged);
on("view", viewChanged);
on("time", () => {
  if (isPlaying() && now() > state.to && !isWhole()) show(now(), span());
  placePlayhead();
});
document.addEventListener("themechange", recolour);
document.addEventListener("keydown", onKey);
byId("previous").addEventListener("click", () => neighbour(-1));
byId("next").addEventListener("click", () => neighbour(1));
byId("zoom-in").addEventListener("click", () => zoom(1.6));
byId("zoom-out").addEventListener("click", () => zoom(1 / 1.6));
byId("fit").addEventListener("click", () => show(0, duration));
narrow.addEventListener("change", measure);

setUpThreshold();
watchPointers();
watchTable();
watchEditor();
openVideo();
recolour();
viewChanged();
new ResizeObserver(measure).observe(byId("axis"));
