// Every change goes to the server at once; the page says "Saved" when it is on the disk.
import { byId } from "./text.js";
import { on, rules, say, state } from "./state.js";
import { Refused, ask, hideNote, note } from "./ask.js";
import { annotation, page, take } from "./annotation.js";
import { merge } from "./merge.js";

const RETRY = 2000; // milliseconds
let base = page.annotation; // what the server has, as far as this page knows
let version = page.version;
let sending = false;
let retry = null;

const text = (one) => JSON.stringify(one);
/** Whether there is something that is not on the disk yet. */
export const isPending = () => sending || text(annotation()) !== text(base);

function show(words, kind) {
  const saved = byId("saved");
  saved.textContent = words;
  saved.dataset.kind = kind;
}

async function send() {
  clearTimeout(retry);
  if (sending) return;
  const mine = annotation();
  if (text(mine) === text(base)) {
    state.saved = state.intervals;
    show("Saved", "saved");
    return;
  }
  sending = true;
  show("Saving\u2026", "saving");
  try {
    const found = await ask("PUT", `/api/videos/${page.key}`, mine, { "If-Match": `"${version}"` });
    version = found.version;
    base = mine;
    // The server may have put it in order; what it keeps differs in nothing else.
    if (text(annotation()) === text(mine)) {
      base = found.annotation;
      take(found.annotation);
    }
    hideNote("saving");
  } catch (error) {
    if (error instanceof Refused && error.status === 409 && error.answer.annotation) {
      resolve(mine, error.answer);
    } else {
      show("Not saved", "failed");
      note("saving", `Not saved yet: ${error instanceof Refused ? error.message : "the studio does not respond"}.`);
      retry = setTimeout(send, RETRY);
      sending = false;
      return;
    }
  }
  sending = false;
  send();
}

/** Somebody else has changed this video since: make both changes one, or ask. */
function resolve(mine, theirs) {
  const joined = merge(base, mine, theirs.annotation);
  const earlier = base;
  [base, version] = [theirs.annotation, theirs.version];
  if (joined) {
    take(joined);
    say("Changed in another tab too; both changes are kept.");
    return;
  }
  take(theirs.annotation);
  note(
    "conflict",
    "This interval was changed in another tab too. That change is shown now.",
    ["Use mine", () => { hideNote("conflict"); take(merge(earlier, mine, earlier) || mine); send(); }],
    ["Keep that one", () => hideNote("conflict")],
  );
}

/** The server has another version than this page: take it, unless a change is on its way. */
export async function refresh(newer) {
  if (newer === version || isPending()) return;
  const found = await ask("GET", `/api/videos/${page.key}`);
  if (isPending() || found.version === version) return;
  [base, version] = [found.annotation, found.version];
  take(found.annotation);
  state.saved = state.intervals;
  say("Changed in another tab.");
}

rules.save = send;
on("edit", send);
window.addEventListener("beforeunload", (event) => {
  if (isPending()) event.preventDefault();
});
