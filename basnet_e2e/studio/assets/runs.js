// Training: start, watch, stop; what each run learnt from, and what it was worth.
import { byId, clamp, clockText, count, element } from "./text.js";

const percent = (value) => `${(100 * value).toFixed(0)} %`;
let chart = null; // what is drawn: {loss, live, of}
let shownRuns = "";

export function showTraining(status) {
  const { training, known } = status;
  const { run } = training;
  const training_ = training.running && run.kind === "train";
  byId("train").hidden = training.running;
  byId("train").disabled = !known.can_train;
  byId("train").textContent = training.model ? "Train again" : "Train";
  byId("train").title = known.can_train ? "" : "Label videos of two classes, or of one class and some without it";
  byId("stop").hidden = !training.running;
  byId("stop").disabled = training.stopping;
  byId("continue").hidden = !training.can_resume;
  byId("restore").hidden = !training.previous || training.running;
  byId("check").hidden = !training.model || training.running || known.corrected < 1;
  const share = run.look ? run.look.done / run.look.of : run.step ? run.step / run.of : 0;
  const bar = byId("training-bar");
  bar.hidden = !training.running;
  bar.firstElementChild.style.width = `${100 * share}%`;
  bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  byId("training-words").textContent = words(training, known);
  const curve = run.loss && run.loss.length > 1 && (training_ || run.stopped || run.end);
  byId("chart").hidden = byId("chart-legend").hidden = !curve;
  chart = curve ? run : null;
  drawChart();
  showRuns(training.runs);
}

function words(training, known) {
  const { run } = training;
  if (training.running) {
    if (training.stopping) return "Stopping; progress so far is kept.";
    if (run.kind === "check") return "Scoring the model on the videos kept for checking.";
    if (run.look) return `The model is looking at every video: ${run.look.done} of ${run.look.of}.`;
    if (!run.step) return run.kind === "look" ? "The model is looking at every video." : "Reading features\u2026";
    const live = run.live.at(-1)?.[1] || {};
    const parts = [`Step ${run.step} of ${run.of}`, `${clockText(run.left, 0)} left`, `loss ${run.loss.at(-1)[1].toFixed(2)}`];
    if (live.recognition !== undefined) parts.push(`labels recognised ${percent(live.recognition)}`);
    if (live.map !== undefined) parts.push(`mAP ${percent(live.map)}`);
    return `${parts.join(", ")}.`;
  }
  if (training.error) return training.error;
  if (run.stopped && training.can_resume) return "Stopped. Continue picks up where it stopped; Train starts over with everything known now.";
  if (run.kind === "check" && run.end && !run.end.after) return "No corrected video is left to check on: tick \u201cKeep for checking\u201d on one.";
  if (training.runs.length) return "";
  return known.can_train ? "No model yet." : "Needs labelled videos of two classes, or of one class and some without it.";
}

function showRuns(runs) {
  const mark = JSON.stringify(runs);
  if (mark === shownRuns) return;
  shownRuns = mark;
  const last = runs.at(-1);
  if (!last) {
    byId("runs").replaceChildren();
    return;
  }
  const made = [learnt(last), ...score(last)];
  if (runs.length > 1) {
    const earlier = runs.slice(0, -1).reverse().map((run) => element("li", {}, lineOf(run)));
    made.push(element("details", {}, element("summary", {}, count(earlier.length, "earlier run")), element("ul", { class: "earlier" }, ...earlier)));
  }
  byId("runs").replaceChildren(...made);
}

function learnt({ known, seconds }) {
  const parts = [count(known.videos, "labelled video")];
  if (known.points) parts.push(count(known.points, "moment"));
  if (known.intervals) parts.push(count(known.intervals, "interval"));
  if (known.corrected) parts.push(`${known.corrected} corrected`);
  return element("p", {}, `Learnt from ${parts.join(", ")}, in ${clockText(seconds, 0)}.`);
}

/** Before and after, on the videos kept for checking. */
function score(run) {
  const after = run.checked || run.after;
  if (!after) {
    return [element("p", { class: "muted" }, "How good is it? Keep a corrected video for checking, and the next run is scored on it.")];
  }
  const before = run.checked ? null : run.before;
  const made = element("div", { class: "scores" });
  if (before) made.append(box("before", before));
  made.append(box(before ? "after" : "now", after));
  const rows = Object.entries(after.classes).map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row" }, element("bdi", {}, name)), element("td", {}, before && before.classes[name] !== undefined ? percent(before.classes[name]) : ""), element("td", {}, percent(value))),
  );
  const table = element("table", { class: "per-class" }, element("caption", { class: "hidden" }, "mAP of each class before and after"), element("tbody", {}, ...rows));
  const videos = count(after.videos, "corrected video");
  return [
    made,
    element("details", {}, element("summary", {}, "By class"), table),
    element("p", { class: "muted" }, `Average mAP on ${videos} that the model did not learn from.`),
  ];
}

const box = (name, found) =>
  element("div", {}, element("small", {}, name), element("b", {}, percent(found.average)), element("small", {}, `${percent(found.half)} at IoU .5`));

function lineOf({ known, after, loss }) {
  const parts = [count(known.videos, "label"), count(known.intervals, "interval"), `loss ${loss.toFixed(2)}`];
  if (after) parts.push(`mAP ${percent(after.average)}`);
  return parts.join(", ");
}

// The curves -----------------------------------------------------------------------------------------

const LINES = [
  ["loss", "loss", "--muted"],
  ["recognition", "labels recognised", "--accent"],
  ["map", "mAP", "--danger"],
];

function drawChart() {
  const canvas = byId("chart");
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!chart || !width) return;
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  context.scale(ratio, ratio);
  context.fillStyle = style.getPropertyValue("--line");
  for (const share of [0, 0.5, 1]) context.fillRect(0, 4 + share * (height - 9), width, 1);
  const most = Math.max(...chart.loss.map(([, value]) => value)) || 1;
  const series = { loss: chart.loss.map(([step, value]) => [step, value / most]) };
  for (const name of ["recognition", "map"]) {
    series[name] = chart.live.filter(([, live]) => name in live).map(([step, live]) => [step, live[name]]);
  }
  const legend = [];
  for (const [name, text, colour] of LINES) {
    if (!series[name].length) continue;
    context.strokeStyle = context.fillStyle = style.getPropertyValue(colour);
    context.lineWidth = name === "loss" ? 1 : 2;
    context.beginPath();
    for (const [step, value] of series[name]) {
      const [x, y] = [(step / chart.of) * width, 4 + (1 - clamp(value, 0, 1)) * (height - 9)];
      context.lineTo(x, y);
      if (name !== "loss") context.fillRect(x - 2, y - 2, 4, 4);
    }
    context.stroke();
    const mark = element("i");
    mark.style.background = `var(${colour})`;
    legend.push(element("li", {}, mark, text));
  }
  byId("chart-legend").replaceChildren(...legend);
}

export function watchTraining(act) {
  for (const name of ["train", "continue", "stop", "check", "restore"]) {
    byId(name).addEventListener("click", () => act("/api/training", { do: name === "train" ? "start" : name }));
  }
  document.addEventListener("themechange", drawChart);
  new ResizeObserver(drawChart).observe(byId("chart"));
}
