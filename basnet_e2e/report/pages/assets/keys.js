// The keyboard. Keys act everywhere but where a control uses them itself.
import { clamp } from "./text.js";
import { duration, inTime, redo, select, state, undo } from "./state.js";
import { now, seek, toggle } from "./player.js";
import { reveal, show, zoom } from "./view.js";
import { choose } from "./pointer.js";
import { removeSelected, save, setBorder, setEditing } from "./edit.js";

const FIELDS = 'input:not([type="range"]), select, textarea';

/** Next (+1) or previous (-1) interval in time that passes the filter. */
export function neighbour(direction) {
  const order = inTime();
  if (!order.length) return;
  const at = order.findIndex((each) => each.key === state.selected);
  if (at >= 0) {
    choose(order[clamp(at + direction, 0, order.length - 1)]);
    return;
  }
  const time = now();
  const later = order.filter((each) => each.start > time + 1e-3);
  const earlier = order.filter((each) => each.start < time - 1e-3);
  choose((direction > 0 ? later[0] : earlier.at(-1)) || order[direction > 0 ? order.length - 1 : 0]);
}

function stepOf(event) {
  if (event.shiftKey) return 10;
  return event.altKey ? 0.04 : 1;
}

function seekAndShow(time) {
  seek(time);
  reveal(clamp(time, 0, duration));
}

export const KEYS = {
  ArrowLeft: (event) => seekAndShow(now() - stepOf(event)),
  ArrowRight: (event) => seekAndShow(now() + stepOf(event)),
  Home: () => seekAndShow(0),
  End: () => seekAndShow(duration),
  " ": toggle,
  p: () => neighbour(-1),
  n: () => neighbour(1),
  "+": () => zoom(1.6),
  "=": () => zoom(1.6),
  "-": () => zoom(1 / 1.6),
  0: () => show(0, duration),
  e: () => setEditing(!state.editing),
  Escape: () => select(null),
};
const EDIT_KEYS = {
  i: () => setBorder("start", now()),
  o: () => setBorder("end", now()),
  Delete: removeSelected,
  Backspace: removeSelected,
};

function isUsedByControl(event) {
  const target = event.target;
  if (target.closest(FIELDS)) return true;
  const own = target.closest("button, summary, a, video");
  if (own && (event.key === " " || event.key === "Enter")) return true;
  const moves = event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End";
  if (target.matches('input[type="range"], video')) return moves;
  return moves && target.id === "rows-scroll" && !/Left|Right/.test(event.key);
}

export function onKey(event) {
  if ((event.ctrlKey || event.metaKey) && state.editing) {
    const key = event.key.toLowerCase();
    const inField = event.target.closest(FIELDS);
    if (key === "s") save();
    else if (key === "z" && !inField) (event.shiftKey ? redo : undo)();
    else if (key === "y" && !inField) redo();
    else return;
    event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || isUsedByControl(event)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const action = KEYS[key] || (state.editing ? EDIT_KEYS[key] : null);
  if (!action) return;
  event.preventDefault();
  action(event);
}
