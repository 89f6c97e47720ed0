// What to do next, so that nobody needs to read a document.
import { byId, count, element } from "./text.js";

const ENOUGH = 8; // labelled videos from which a first model is worth a look
const ROUND = 5; // corrections after which training again pays
const STEPS = ["Name classes", "Label", "Train", "Correct", "Train again"];
let shown = "";
let perform = () => {};

const link = (text, href) => ({ text, href });
const button = (text, address, body) => ({ text, address, body });

/** Step, title, words and actions. */
function advice(status, rows) {
  const { known, training, features } = status;
  const usable = rows.filter((row) => !row.error || row.duration);
  const unlabelled = usable.filter((row) => row.state === "unlabelled");
  const offers = usable.filter((row) => row.place !== null).sort((a, b) => a.place - b.place);
  const ready = usable.filter((row) => row.state !== "unlabelled" && row.features === "done" && !row.held_out);
  const first = unlabelled.find((row) => row.duration !== 0) || usable[0];
  const train = button(training.model ? "Train again" : "Train", "/api/training", { do: "start" });
  if (!rows.length) return [0, "Add videos to the folder", `They appear here automatically: ${status.folder}`, []];
  if (!status.classes.length) {
    return [0, "What do you want to find in your videos?", "Name the first action in a word or two. You can add more at any time.", []];
  }
  if (training.running) {
    return [training.model ? 4 : 2, "The model is training", "You can keep labelling; new labels count in the next run.", first ? [link("Keep labelling", `/videos/${first.key}`)] : []];
  }
  const run = training.runs.at(-1);
  if (!training.model) {
    const left = ENOUGH - known.videos;
    if (!known.can_train || (left > 0 && unlabelled.length)) {
      const need = !known.can_train
        ? "Tick what happens in each. Two classes are needed, or one and videos without it."
        : `Train as soon as you like; ${count(left, "more video")} would help.`;
      const actions = first ? [link(known.videos ? "Label the next video" : "Label the first video", `/videos/${first.key}`)] : [];
      if (known.can_train && ready.length > 1) actions.push({ ...train, quiet: true });
      return [1, `Label some videos${known.videos ? `: ${known.videos} done` : ""}`, need, actions];
    }
    if (!ready.length || ready.length < Math.min(known.videos, 4)) {
      const words = features.error ? `Extraction stopped: ${features.error}` : "Training starts from features, which are made in the background. You can keep labelling.";
      return [1, "Wait for the features", words, first ? [link("Keep labelling", `/videos/${first.key}`)] : []];
    }
    return [2, "Train the first model", `Ready: ${count(ready.length, "labelled video")}. Training takes about a minute.`, [train]];
  }
  const gained = known.corrected - (run ? run.corrected : 0);
  if (gained >= ROUND) {
    return [4, `Train again: ${count(gained, "video")} corrected since`, "Every correction tells the model when things happen, which labels alone cannot.", [train, ...next(offers, true)]];
  }
  if (offers.length) {
    const words = `Correct what the model found; unlabelled and unsure videos come first. ${gained > 0 ? `${gained} of ${ROUND} done.` : `After ${ROUND} or so, train again.`}`;
    return [3, "Look at what the model found", words, next(offers, false)];
  }
  return [4, "Every video is corrected", "Export what you have, or add more videos to the folder.", [{ ...train, quiet: true }]];
}

const next = (offers, quiet) => (offers.length ? [{ ...link("Open the next video", `/videos/${offers[0].key}`), quiet }] : []);

export function showGuide(status, rows) {
  const [step, title, words, actions] = advice(status, rows);
  const mark = JSON.stringify([step, title, words, actions]);
  if (mark === shown) return;
  shown = mark;
  byId("steps").replaceChildren(
    ...STEPS.map((name, index) =>
      element("li", { class: index < step ? "done" : null, "aria-current": index === step ? "step" : null }, name),
    ),
  );
  byId("guide-title").textContent = title;
  byId("guide-words").textContent = words;
  byId("first-class").hidden = !(rows.length && !status.classes.length);
  byId("guide-actions").replaceChildren(...actions.map(made));
}

function made(action, index) {
  const kind = action.quiet || index ? "button" : "button primary";
  if (action.href) return element("a", { href: action.href, class: kind }, action.text);
  const found = element("button", { type: "button", class: action.quiet || index ? null : "primary" }, action.text);
  found.addEventListener("click", () => perform(action.address, action.body));
  return found;
}

export function watchGuide(act) {
  perform = act;
  byId("first-class").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = byId("first-name").value.trim();
    if (name && (await act("/api/classes", { do: "add", name }))) byId("first-name").value = "";
  });
}
