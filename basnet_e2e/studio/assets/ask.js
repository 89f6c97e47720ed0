// Asking the server, and following what changes there.
import { byId, element } from "./text.js";

/** A refusal by the server: its message, its status and the rest of its answer. */
export class Refused extends Error {
  constructor(status, answer) {
    super(answer.error || "The server did not understand this request.");
    this.status = status;
    this.answer = answer;
  }
}

/** Ask for JSON; `Refused` where the server says no, another error where there is no server. */
export async function ask(method, address, body, headers = {}) {
  const options = { method, headers: { ...headers } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const response = await fetch(address, options);
  const json = (response.headers.get("Content-Type") || "").startsWith("application/json");
  const answer = json ? await response.json() : { error: await response.text() };
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

const EVERY = 1000; // milliseconds between two questions
const EVERY_HIDDEN = 5000; // in a hidden tab

/** Call a function with every change, from a revision on. */
export function follow(revision, onChange) {
  let since = revision;
  let timer = null;
  const next = async () => {
    clearTimeout(timer);
    try {
      const found = await ask("GET", `/api/changes?since=${since}`);
      since = found.revision;
      connected(true);
      if (found.status) onChange(found);
    } catch (error) {
      connected(false, error);
    }
    timer = setTimeout(next, document.hidden ? EVERY_HIDDEN : EVERY);
  };
  document.addEventListener("visibilitychange", () => document.hidden || next());
  next();
  return next;
}

function connected(yes, error) {
  if (yes) hideNote("connection");
  else if (error instanceof Refused) note("connection", error.message);
  else note("connection", "The studio does not respond. Is it still running? Your changes stay on this page.");
}

const notes = new Map();

/** A line above the page; one of each kind, with buttons `[text, action]` where there is a choice. */
export function note(kind, text, ...buttons) {
  const made = element("p", { class: "note", role: "alert", "data-kind": kind }, element("span", {}, text));
  for (const [label, action] of buttons) {
    const button = element("button", { type: "button" }, label);
    button.addEventListener("click", action);
    made.append(button);
  }
  if (notes.has(kind)) notes.get(kind).replaceWith(made);
  else byId("notes").append(made);
  notes.set(kind, made);
}

export function hideNote(kind) {
  notes.get(kind)?.remove();
  notes.delete(kind);
}

/** A line that disappears after a few seconds. */
export function toast(text, ...buttons) {
  note("toast", text, ...buttons);
  const mine = notes.get("toast");
  setTimeout(() => notes.get("toast") === mine && hideNote("toast"), 8000);
}

/** Do what a person asked for; a refusal is shown. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    toast(error instanceof Refused ? error.message : "The studio does not respond.");
    return null;
  }
}
