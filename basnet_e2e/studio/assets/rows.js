// The list of videos. Only rows in sight are in the document, so that thousands stay smooth.
import { byId, clockText, element } from "./text.js";
import { ask } from "./ask.js";
import { colourOfClass } from "./classes.js";

const SPARE = 6; // rows above and below those in sight
const STATES = { unlabelled: "no label", labelled: "labelled", points: "moments", partial: "partly marked", corrected: "corrected" };
const narrow = window.matchMedia("(max-width: 860px)");
const scroll = byId("scroll");
let all = [];
let sorted = [];
let drawn = "";
let revision = 0;
let askedFor = "";
let sortedByHand = false;

const rowHeight = () => (narrow.matches ? 128 : 76);
const textOf = (row) =>
  [row.name, ...row.labels, row.error ? "failed" : "", row.held_out ? "kept for checking" : "", STATES[row.state]].join("\n").toLowerCase();

/** New rows, or rows whose states changed. */
export function changeRows(rows, status) {
  all = rows;
  revision += 1;
  const ranked = rows.some((row) => row.place !== null);
  const sort = byId("sort");
  sort.querySelector('[value="next"]').disabled = !ranked;
  if (ranked && !sortedByHand) sort.value = "next";
  if (!ranked && sort.value === "next") sort.value = "name";
  showRows(status);
}

const ORDER = { unlabelled: 0, labelled: 1, points: 2, partial: 3, corrected: 4 };
const collator = new Intl.Collator(undefined, { numeric: true });
const COMPARE = {
  name: (a, b) => collator.compare(a.name, b.name),
  next: (a, b) => (a.place ?? Infinity) - (b.place ?? Infinity) || ORDER[a.state] - ORDER[b.state],
  state: (a, b) => Boolean(b.error) - Boolean(a.error) || ORDER[a.state] - ORDER[b.state],
  duration: (a, b) => (b.duration || 0) - (a.duration || 0),
};

export function showRows() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = words.length ? all.filter((row) => words.every((word) => textOf(row).includes(word))) : [...all];
  const compare = COMPARE[byId("sort").value];
  sorted = chosen.sort((a, b) => compare(a, b) || collator.compare(a.name, b.name));
  byId("found").textContent = words.length ? `${sorted.length} of ${all.length}` : String(all.length);
  const nothing = byId("nothing");
  nothing.hidden = sorted.length > 0;
  scroll.hidden = !sorted.length;
  nothing.textContent = all.length ? "No video matches these words." : "No videos yet.";
  drawRows();
}

function drawRows() {
  const height = rowHeight();
  const most = Math.max(0, sorted.length * height - scroll.clientHeight); // the list may be shorter now
  const first = Math.max(0, Math.floor(Math.min(scroll.scrollTop, most) / height) - SPARE);
  const last = Math.min(sorted.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / height) + SPARE);
  const mark = `${first} ${last} ${revision} ${byId("search").value} ${byId("sort").value} ${height}`;
  if (mark === drawn) return;
  drawn = mark;
  const focused = document.activeElement?.closest?.("li[data-key]")?.dataset.key;
  const space = (rows) => {
    const made = element("li", { class: "space", "aria-hidden": "true" });
    made.style.height = `${rows * height}px`;
    return made;
  };
  const kept = new Map([...byId("rows").children].map((line) => [line.dataset.mark, line]));
  const lines = sorted.slice(first, last).map((row) => {
    const mark = JSON.stringify([row, colourMark(row)]);
    const line = kept.get(mark) || rowOf(row);
    line.dataset.mark = mark;
    return line;
  });
  byId("rows").replaceChildren(space(first), ...lines, space(sorted.length - last));
  if (focused) byId("rows").querySelector(`li[data-key="${focused}"] a`)?.focus({ preventScroll: true });
  wantPreviews(sorted.slice(first, last));
}

const colourMark = (row) => row.labels.map(colourOfClass).join();

/** The server makes the pictures of what is in sight first. */
function wantPreviews(rows) {
  const keys = rows.filter((row) => row.duration === null && !row.error).map((row) => row.key);
  const text = keys.join();
  if (!keys.length || text === askedFor) return;
  askedFor = text;
  ask("POST", "/api/wanted", { keys }).catch(() => (askedFor = ""));
}

function rowOf(row) {
  const address = `/videos/${row.key}`;
  const strip = row.strip
    ? element("img", { src: `/strips/${row.key}/${row.stamp}.jpg`, alt: "", loading: "lazy", draggable: "false" })
    : element("span", { class: "no-strip" });
  const chips = row.labels.map((label) => {
    const mark = element("i");
    mark.style.background = colourOfClass(label);
    return element("span", { class: "chip" }, mark, element("bdi", {}, label));
  });
  if (!row.labels.length && row.state !== "unlabelled") chips.push(element("span", { class: "chip" }, "none of the classes"));
  const words = row.error || (row.place !== null && row.place < 20 ? row.why : "");
  const made = element(
    "li",
    { "data-key": row.key, class: row.error ? "failed" : null },
    element("a", { href: address, class: "strip", tabindex: "-1", "aria-hidden": "true" }, strip),
    element(
      "div",
      { class: "what" },
      element("a", { href: address, class: "name", title: row.name }, element("bdi", {}, row.name)),
      element("div", { class: "chips" }, ...chips),
      element("p", { class: row.error ? "error" : "why", title: words }, words),
    ),
    element("span", { class: "length" }, row.duration ? clockText(row.duration, 0) : "\u2013"),
    badges(row),
  );
  if (row.error && row.duration === 0) for (const link of made.querySelectorAll("a")) link.removeAttribute("href");
  return made;
}

function badges(row) {
  const made = element("span", { class: "badges" });
  const state = row.error ? "failed" : row.state;
  made.append(element("span", { class: "badge", "data-state": state }, row.error ? "failed" : STATES[row.state]));
  if (row.held_out) made.append(element("span", { class: "badge", title: "The model does not learn from it and is scored on it" }, "for checking"));
  if (row.features === "working") made.append(element("span", { class: "badge busy" }, `features ${Math.round(100 * row.share)} %`));
  return made;
}

export function watchRows() {
  scroll.addEventListener("scroll", drawRows, { passive: true });
  new ResizeObserver(drawRows).observe(scroll);
  narrow.addEventListener("change", drawRows);
  byId("search").addEventListener("input", showRows);
  byId("sort").addEventListener("change", () => {
    sortedByHand = true;
    showRows();
  });
  document.addEventListener("themechange", () => {
    revision += 1;
    drawRows();
  });
}
