// A lane per class: detections as bars, annotated intervals below them.
const narrow = window.matchMedia("(max-width: 860px)");
let isNarrow = narrow.matches; // asked for thousands of times in a frame
narrow.addEventListener("change", () => (isNarrow = narrow.matches));
const lanesCanvas = byId("lanes");
const laneNames = byId("lane-names");
const BAR = 20; // pixels
const GAP = 6;
const TRUTH = 7;
const TITLE = 26; // room for the name above a lane on narrow screens

const laneTop = (index) => index * laneHeight() + (isNarrow ? TITLE : 0);
const laneHeight = () => (isNarrow ? TITLE : 0) + BAR + 2 * GAP + (data.truth ? TRUTH + 3 : 0);

/** Lane buttons: name, number of intervals shown, and a switch for the class. */
function buildLanes() {
  const height = laneHeight();
  lanesCanvas.style.height = `${state.lanes.length * height || 96}px`;
  const counts = new Map();
  for (const { label } of shown()) counts.set(label, (counts.get(label) || 0) + 1);
  laneNames.replaceChildren(...state.lanes.map((label, index) => laneButton(label, index, counts)));
  const note = byId("no-lanes");
  note.hidden = state.lanes.length > 0;
  note.textContent = "No action was found in this video.";
}

function laneButton(label, index, counts) {
  const mark = element("i");
  mark.style.background = mark.style.borderColor = colourOf(label);
  const name = element("span", { dir: "auto" }, label);
  const number = element("small", {}, String(counts.get(label) || 0));
  const button = element(
    "button",
    { type: "button", class: "lane", "aria-pressed": String(!state.hidden.has(label)), title: label },
    mark,
    name,
    number,
  );
  const top = index * laneHeight();
  button.style.top = `${top + (isNarrow ? 1 : GAP - 3)}px`;
  button.style.height = `${isNarrow ? TITLE - 1 : BAR + 6}px`;
  button.style.minHeight = button.style.height;
  button.addEventListener("click", () => {
    if (!state.hidden.delete(label)) state.hidden.add(label);
    filterChanged();
    laneNames.children[index]?.focus();
  });
  return button;
}

painters.set("lanes", (context, width, height) => {
  drawGrid(context, width, height);
  const order = new Map(state.lanes.map((label, index) => [label, index]));
  context.fillStyle = paints.line;
  for (let n = 1; n < state.lanes.length; n++) context.fillRect(0, n * laneHeight(), width, 1);
  for (const each of state.truth) drawTruth(context, each, laneTop(order.get(each.label)));
  for (const each of shown()) {
    if (each.end >= state.from && each.start <= state.to) {
      drawBar(context, each, laneTop(order.get(each.label)) + GAP);
    }
  }
  const chosen = selected();
  if (chosen && order.has(chosen.label) && shown().includes(chosen)) {
    drawBar(context, chosen, laneTop(order.get(chosen.label)) + GAP, true);
  }
});

function barExtent(interval) {
  const x = toX(interval.start);
  return [x, Math.max(toX(interval.end) - x, 2)];
}

function drawTruth(context, interval, top) {
  const [x, width] = barExtent(interval);
  context.fillStyle = state.hidden.has(interval.label) ? paints.line : paints.muted;
  context.fillRect(x, top + GAP + BAR + 3, width, TRUTH);
}

function drawBar(context, interval, top, chosen = false) {
  const [x, width] = barExtent(interval);
  const power = strength(interval);
  const colour = colourOf(interval.label);
  if (width < 5 && !chosen && interval.key !== state.hovered) {
    // Thousands of slivers: round corners would not be seen, but their cost is.
    context.globalAlpha = 0.22 + 0.78 * power;
    context.fillStyle = colour;
    context.fillRect(x, top, width, BAR);
    context.globalAlpha = 1;
    return;
  }
  context.beginPath();
  context.roundRect(x, top, width, BAR, Math.min(4, width / 2));
  context.fillStyle = paints.panel;
  context.fill();
  context.globalAlpha = 0.22 + 0.78 * power;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
  if (interval.key === state.hovered || chosen) {
    context.lineWidth = chosen ? 2 : 1;
    context.strokeStyle = paints.ink;
    context.stroke();
  }
  if (chosen && state.editing) drawHandles(context, x, top, width);
  else if (width > 34) {
    context.font = "600 11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = power > 0.55 ? paints.panel : paints.ink;
    context.fillText(scoreText(interval.score), Math.max(x, 0) + 6, top + BAR / 2 + 0.5);
  }
}

function drawHandles(context, x, top, width) {
  context.fillStyle = paints.ink;
  for (const at of [x - 2, x + width - 2]) {
    context.beginPath();
    context.roundRect(at, top - 3, 4, BAR + 6, 2);
    context.fill();
  }
}

/** The interval at a place of the canvas and the part that was hit, or null. */
function hit(x, y, tolerance = 6) {
  const label = laneAt(y);
  if (label === null) return null;
  const chosen = selected();
  const candidates = shown().filter((each) => each.label === label);
  // The chosen one can be grasped even where others lie over it.
  if (chosen && candidates.includes(chosen)) candidates.push(chosen);
  for (const each of candidates.reverse()) {
    const [left, width] = barExtent(each);
    const right = left + width;
    if (x < left - tolerance || x > right + tolerance) continue;
    const edge = Math.min(tolerance, Math.max(width / 4, 2));
    if (Math.abs(x - left) <= edge || x < left) return { interval: each, part: "start" };
    if (Math.abs(x - right) <= edge || x > right) return { interval: each, part: "end" };
    return { interval: each, part: "body" };
  }
  return null;
}

function laneAt(y) {
  const index = Math.floor(y / laneHeight());
  return index >= 0 && index < state.lanes.length ? state.lanes[index] : null;
}
