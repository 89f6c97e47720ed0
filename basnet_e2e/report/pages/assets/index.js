// The list of videos: search, sort, and a small timeline each, drawn when it comes into sight.
import { byId, clamp, classColour } from "./text.js";

const data = JSON.parse(byId("data").textContent);
const rows = [...byId("rows").children].map((line) => ({
  line,
  video: data.videos[Number(line.dataset.video)],
  text: line.querySelector("th").textContent.toLowerCase(),
  classes: data.videos[Number(line.dataset.video)].intervals
    .map(([label]) => data.classes[label].toLowerCase())
    .join("\n"),
}));
const byLine = new Map(rows.map((row) => [row.line, row]));
const highest = Math.max(0, ...rows.flatMap((row) => row.video.intervals.map((each) => each[3]))) || 1;

function draw({ line, video }) {
  const canvas = line.querySelector("canvas");
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  context.scale(ratio, ratio);
  context.fillStyle = style.getPropertyValue("--line");
  context.fillRect(0, height / 2 - 1, width, 2);
  const scale = width / (video.duration || 1);
  for (const [label, start, end, score] of [...video.intervals].reverse()) {
    context.globalAlpha = 0.25 + 0.75 * clamp(score / highest, 0, 1);
    context.fillStyle = classColour(label);
    context.beginPath();
    context.roundRect(start * scale, 5, Math.max((end - start) * scale, 2), height - 10, 3);
    context.fill();
  }
}

const inSight = new Set();
const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) inSight.delete(target);
    else {
      inSight.add(target);
      draw(byLine.get(target));
    }
  }
});
for (const { line } of rows) observer.observe(line);
const redraw = () => inSight.forEach((line) => draw(byLine.get(line)));
document.addEventListener("themechange", redraw);
window.addEventListener("resize", redraw);

function search() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const { line, text, classes } of rows) {
    const fits = words.every((word) => text.includes(word) || classes.includes(word));
    line.hidden = !fits;
    found += Number(fits);
  }
  byId("found").textContent = words.length ? `${found} of ${rows.length}` : "";
  byId("nothing").hidden = found > 0;
}
byId("search").addEventListener("input", search);

const order = { column: "video", direction: 1 };
const CELLS = { duration: 2, intervals: 3, best: 4 };
function compare(a, b) {
  if (order.column === "video") return a.text.localeCompare(b.text, undefined, { numeric: true });
  const value = ({ line }) => Number(line.children[CELLS[order.column]].dataset.value);
  return value(a) - value(b);
}
for (const head of document.querySelectorAll("th[data-column]")) {
  head.querySelector("button").addEventListener("click", () => {
    const { column } = head.dataset;
    order.direction = order.column === column ? -order.direction : column === "video" ? 1 : -1;
    order.column = column;
    for (const each of document.querySelectorAll("th[data-column]")) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order.direction > 0 ? "ascending" : "descending");
    const sorted = [...rows].sort((a, b) => order.direction * compare(a, b));
    byId("rows").append(...sorted.map((row) => row.line));
  });
}
