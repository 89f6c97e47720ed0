// The table of intervals. Only rows in sight are in the document, so that thousands stay smooth.
import { byId, cellText, clamp, clockText, count, element, scoreText } from "./text.js";
import { colourOf, data, rules, say, shown, state, strength, unknown } from "./state.js";
import { choose } from "./pointer.js";

const ROW = 35; // pixels, border included; the style sheet agrees
const SPARE = 8; // rows above and below those in sight
const rowsScroll = byId("rows-scroll");
const rowsBody = byId("rows");
const collator = new Intl.Collator();
const order = { column: "start", direction: 1 };
let sorted = [];
let drawn = "";

const VALUES = {
  label: (each) => each.label.toLowerCase(),
  start: (each) => each.start,
  end: (each) => each.end,
  length: (each) => each.end - each.start,
  score: (each) => each.score,
};

function sortRows() {
  const value = VALUES[order.column];
  const compare =
    order.column === "label"
      ? (a, b) => collator.compare(a.label, b.label)
      : (a, b) => value(a) - value(b);
  sorted = [...shown().filter(rules.listed), ...unknown()].sort((a, b) => order.direction * compare(a, b) || a.start - b.start);
}

export function tableChanged() {
  sortRows();
  drawn = "";
  drawRows();
  const all = state.intervals.length + state.found.filter(rules.listed).length;
  byId("total").textContent = String(all);
  byId("shown").textContent = sorted.length === all ? "" : `${sorted.length} of ${all}`;
  byId("table").setAttribute("aria-rowcount", String(sorted.length + 1));
  byId("table").hidden = !sorted.length;
  const note = byId("no-rows");
  note.hidden = sorted.length > 0;
  note.textContent = all
    ? "Every interval is hidden: lower the score or show more classes."
    : data.none || "No action was found in this video.";
}

/** Put the rows in sight into the document; the others are two spaces above and below. */
function drawRows() {
  // The table may be shorter than when it was scrolled.
  const most = Math.max(0, sorted.length * ROW - rowsScroll.clientHeight);
  const first = Math.max(0, Math.floor(Math.min(rowsScroll.scrollTop, most) / ROW) - SPARE);
  const last = Math.min(
    sorted.length,
    Math.ceil((rowsScroll.scrollTop + rowsScroll.clientHeight) / ROW) + SPARE,
  );
  const mark = `${first} ${last} ${state.selected}`;
  if (mark === drawn) return;
  drawn = mark;
  const focused = rowsBody.contains(document.activeElement)
    ? document.activeElement.closest("tr").dataset.key
    : null;
  const rows = sorted.slice(first, last).map((each, n) => row(each, first + n));
  rowsBody.replaceChildren(
    space(first * ROW),
    ...rows,
    space((sorted.length - last) * ROW),
  );
  if (focused !== null) focusRow(focused);
}

function focusRow(key) {
  const button = rowsBody.querySelector(`tr[data-key="${key}"] button`);
  if (button) button.focus({ preventScroll: true });
  else rowsScroll.focus({ preventScroll: true });
}

function space(height) {
  const cell = element("td", { colspan: "5" });
  cell.style.height = `${height}px`;
  return element("tr", { class: "space", "aria-hidden": "true" }, cell);
}

function row(each, index) {
  const mark = element("i", { "aria-hidden": "true" });
  mark.style.background = each.label ? colourOf(each.label) : "";
  const name = element("span", { dir: "auto" }, each.label || "not looked at");
  const button = element("button", { type: "button", title: each.label }, mark, name);
  const level = element("i");
  level.style.width = `${Math.round(strength(each) * 100)}%`;
  level.style.background = mark.style.background;
  const bar = element("span", { class: "meter", "aria-hidden": "true" }, level);
  const made = element(
    "tr",
    {
      "data-key": String(each.key),
      "aria-rowindex": String(index + 2),
      class: each.key === state.selected ? "selected" : each.found ? "found" : null,
      "aria-current": each.key === state.selected ? "true" : null,
    },
    element("td", {}, button),
    element("td", { class: "number" }, clockText(each.start)),
    element("td", { class: "number" }, each.point ? "" : clockText(each.end)),
    element("td", { class: "number length" }, each.point ? "" : (each.end - each.start).toFixed(2)),
    data.found && !each.found
      ? element("td", { class: "number score" }, each.label ? "you" : "")
      : element("td", { class: "number score" }, bar, scoreText(each.score)),
  );
  made.addEventListener("click", () => choose(each));
  return made;
}

export function showSelectedRow() {
  const at = sorted.findIndex((each) => each.key === state.selected);
  if (at >= 0) {
    const top = at * ROW;
    const room = rowsScroll.clientHeight - ROW; // below the head
    if (top < rowsScroll.scrollTop) rowsScroll.scrollTop = top;
    else if (top + ROW > rowsScroll.scrollTop + room) rowsScroll.scrollTop = top + ROW - room;
  }
  drawRows();
}

function sortBy(column) {
  order.direction = order.column === column ? -order.direction : column === "score" ? -1 : 1;
  order.column = column;
  for (const head of document.querySelectorAll("th[data-column]")) {
    if (head.dataset.column !== column) head.removeAttribute("aria-sort");
    else head.setAttribute("aria-sort", order.direction > 0 ? "ascending" : "descending");
  }
  tableChanged();
}

/** Move the choice up or down in the table's own order. */
function tableKey(event) {
  const down = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const at = sorted.findIndex((each) => each.key === state.selected);
  if (!down || !sorted.length || event.target.closest("th")) return;
  event.preventDefault();
  choose(sorted[at < 0 ? 0 : clamp(at + down, 0, sorted.length - 1)]);
  focusRow(state.selected);
}

function tableText() {
  const lines = sorted.map((each) =>
    [cellText(each.label), each.start.toFixed(3), each.end.toFixed(3), each.score.toFixed(6)].join("\t"),
  );
  return ["label\tstart\tend\tscore", ...lines].join("\n") + "\n";
}

async function copyTable() {
  const text = tableText();
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // browsers that refuse the clipboard to pages from disk
  }
  byId("copy").textContent = "Copied";
  say(`${count(sorted.length, "interval")} copied`);
  setTimeout(() => (byId("copy").textContent = "Copy"), 1600);
}

function copyBySelection(text) {
  const area = element("textarea", { class: "hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function watchTable() {
  for (const head of document.querySelectorAll("th[data-column]")) {
    head.querySelector("button").addEventListener("click", () => sortBy(head.dataset.column));
  }
  byId("copy").addEventListener("click", copyTable);
  rowsScroll.addEventListener("scroll", drawRows, { passive: true });
  rowsScroll.addEventListener("keydown", tableKey);
  new ResizeObserver(drawRows).observe(rowsScroll);
}
