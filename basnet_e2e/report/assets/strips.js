// What runs along the axis beside the lanes: frames, activation, foreground weight, overview.
const thumbnails = data.thumbnails.map((each) => {
  const picture = new Image();
  picture.addEventListener("load", () => redraw("frames"));
  picture.src = pictureUrl(each);
  return { time: each.time, picture };
});

const MOST_FILLED = 6; // curves; more areas over each other only darken
const curves = data.curves && {
  centres: new Float32Array(bytesOf(data.curves.centres).buffer),
  classes: data.curves.classes.map(({ label, values }) => ({ label, values: bytesOf(values) })),
  foreground: data.curves.foreground && bytesOf(data.curves.foreground),
};

for (const each of document.querySelectorAll('[data-row="frames"]')) each.hidden = !thumbnails.length;

painters.set("frames", (context, width, height) => {
  const first = thumbnails.find((each) => each.picture.naturalWidth);
  if (!first) return;
  const room = height - 8;
  const wide = (first.picture.naturalWidth / first.picture.naturalHeight) * room;
  // Slots are laid from the start of the video, so that pictures do not jump while panning.
  const apart = (wide + 3) * (span() / width);
  for (let slot = Math.floor(state.from / apart); slot * apart < state.to; slot++) {
    const { picture } = thumbnailAt((slot + 0.5) * apart);
    if (picture.naturalWidth) context.drawImage(picture, toX(slot * apart), 4, wide, room);
  }
});

function thumbnailAt(time) {
  let low = 0;
  let high = thumbnails.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    const between = (thumbnails[middle].time + thumbnails[middle + 1].time) / 2;
    if (time <= between) high = middle;
    else low = middle + 1;
  }
  return thumbnails[low];
}

/** Index of the first row at or after a time. */
function rowAt(time) {
  let low = 0;
  let high = curves.centres.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curves.centres[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Trace a curve of bytes; where several rows share a pixel, their highest is drawn. */
function trace(context, values, height) {
  const first = Math.max(0, rowAt(state.from) - 1);
  const stop = Math.min(values.length, rowAt(state.to) + 2);
  const pad = 5;
  const y = (value) => pad + (1 - value / 255) * (height - 2 * pad);
  let column = NaN;
  let best = 0;
  context.beginPath();
  // A value holds beyond the first and the last centre.
  context.moveTo(first === 0 ? toX(0) : toX(curves.centres[first]), y(values[first]));
  for (let row = first; row < stop; row++) {
    const x = Math.round(toX(curves.centres[row]));
    if (x === column) {
      best = Math.max(best, values[row]);
      continue;
    }
    if (!Number.isNaN(column)) context.lineTo(column, y(best));
    column = x;
    best = values[row];
  }
  if (!Number.isNaN(column)) context.lineTo(column, y(best));
  if (stop === values.length) context.lineTo(toX(duration), y(values[stop - 1]));
}

function fillBelow(context, height, colour, alpha) {
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.strokeStyle = colour;
  context.stroke();
  context.globalAlpha = 1;
  if (!alpha) return;
  context.lineTo(toX(Math.min(state.to, duration)), height);
  context.lineTo(toX(state.from), height);
  context.closePath();
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
}

painters.set("activation", (context, width, height) => {
  drawGrid(context, width, height);
  const lanes = new Set(state.lanes);
  const visible = curves.classes.filter((curve) => !state.hidden.has(curve.label));
  const alpha = visible.length > MOST_FILLED ? 0 : 0.1;
  // Classes without an interval stay faint behind the others.
  for (const curve of visible.reverse()) {
    context.globalAlpha = lanes.has(curve.label) ? 1 : 0.35;
    trace(context, curve.values, height);
    fillBelow(context, height, colourOf(curve.label), lanes.has(curve.label) ? alpha : 0);
  }
});

painters.set("foreground", (context, width, height) => {
  drawGrid(context, width, height);
  trace(context, curves.foreground, height);
  fillBelow(context, height, paints.muted, 0.16);
  context.setLineDash([3, 4]);
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, height / 2);
  context.lineTo(width, height / 2);
  context.stroke();
  context.setLineDash([]);
});

painters.set("overview", (context, width, height) => {
  const scale = width / duration;
  for (const each of shown()) {
    context.globalAlpha = 0.2 + 0.6 * strength(each);
    context.fillStyle = colourOf(each.label);
    context.fillRect(each.start * scale, 7, Math.max((each.end - each.start) * scale, 1), height - 14);
  }
  context.globalAlpha = 1;
  if (isWhole()) return;
  const left = state.from * scale;
  const room = Math.max(span() * scale, 6);
  context.fillStyle = paints.accent;
  context.globalAlpha = 0.16;
  context.fillRect(left, 1, room, height - 2);
  context.globalAlpha = 1;
  context.strokeStyle = paints.accent;
  context.lineWidth = 1.5;
  context.strokeRect(left + 0.75, 1.75, Math.max(room - 1.5, 1), height - 3.5);
});
