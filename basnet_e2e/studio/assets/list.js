// All videos of the studio: what to do next, the list, classes, features, training and export.
import "./theme.js";
import { byId, clockText, count, element } from "./text.js";
import { ask, attempt, follow, hideNote, note, toast } from "./ask.js";
import { showClasses, watchClasses } from "./classes.js";
import { showGuide, watchGuide } from "./guide.js";
import { changeRows, showRows, watchRows } from "./rows.js";
import { showTraining, watchTraining } from "./runs.js";

let status = null;
const rows = new Map(); // key -> row, in the order of the names
let next = () => {};

async function act(address, body) {
  const done = await attempt(() => ask("POST", address, body));
  next();
  return done;
}

function changed(found) {
  status = found.status;
  for (const row of found.rows) rows.set(row.key, row);
  const keys = new Set(found.keys);
  for (const key of rows.keys()) if (!keys.has(key)) rows.delete(key);
  showClasses(status);
  changeRows(found.keys.map((key) => rows.get(key)).filter(Boolean), status);
  showFacts();
  showGuide(status, [...rows.values()]);
  showFeatures(status.features);
  showTraining(status);
  byId("project").textContent = status.project;
  if (status.problem) note("problem", status.problem);
  else hideNote("problem");
  const lost = status.strangers.length;
  if (lost) note("strangers", `${count(lost, "name")} in your files ${lost === 1 ? "means" : "mean"} no video here: ${status.strangers.slice(0, 3).join(", ")}.`);
  else hideNote("strangers");
}

function showFacts() {
  const all = [...rows.values()];
  const seconds = all.reduce((sum, row) => sum + (row.duration || 0), 0);
  const done = all.filter((row) => row.state === "corrected").length;
  const labelled = all.filter((row) => row.state !== "unlabelled").length;
  const facts = [
    ["Videos", String(all.length)],
    ["Length", clockText(seconds, 0)],
    ["Labelled", String(labelled)],
    ["Corrected", String(done)],
  ];
  byId("facts").replaceChildren(
    ...facts.map(([name, value]) => element("li", {}, element("span", {}, name), ` ${value}`)),
  );
}

function showFeatures(features) {
  const bar = byId("features-bar");
  const share = features.of ? features.done / features.of : 0;
  bar.firstElementChild.style.width = `${100 * share}%`;
  bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  byId("pause").hidden = features.done + features.failed >= features.of && !features.error;
  byId("pause").textContent = features.paused ? "Resume" : features.running ? "Pause" : "Try again";
  const made = `${features.how.backbone}, ${features.how.streams.join(" and ")}`;
  const parts = [`${features.done} of ${count(features.of, "video")}`];
  if (features.failed) parts.push(`${features.failed} failed`);
  if (features.paused) parts.push("paused");
  else if (features.running && features.left !== null) parts.push(`${clockText(features.left, 0)} left`);
  else if (features.running) parts.push("working");
  if (features.pace) parts.push(`${features.pace}\u00d7 real time`);
  byId("features-words").textContent = `${parts.join(", ")}. Made by ${made}.${features.error && !features.running ? ` Stopped: ${features.error}` : ""}`;
}

byId("pause").addEventListener("click", () => {
  const working = status && status.features.running && !status.features.paused;
  act("/api/features", { paused: working });
});

for (const button of byId("formats").querySelectorAll("button")) {
  button.addEventListener("click", async () => {
    byId("exported").textContent = "Writing\u2026";
    const done = await attempt(() => ask("POST", "/api/exports", { format: button.dataset.format }));
    byId("exported").textContent = done ? `Written to ${done.path}` : "";
    if (done && done.url) element("a", { href: done.url, download: "" }).click();
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") byId("leave").open = false;
});
document.addEventListener("click", (event) => {
  if (!byId("leave").contains(event.target)) byId("leave").open = false;
});

watchClasses(act, toast);
watchGuide(act);
watchRows();
watchTraining(act);
next = follow("0.0", changed);
showRows();
