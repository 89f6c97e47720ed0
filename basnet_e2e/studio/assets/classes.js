// The classes of the project: add, rename, merge, remove.
import { byId, classColour, count, element } from "./text.js";

let classes = [];
const places = new Map(); // name -> place in the palette
let shown = "";

export const colourOfClass = (name) => classColour(places.get(name) ?? 9);

export function showClasses(status) {
  classes = status.classes;
  places.clear();
  for (const { name, colour } of classes) places.set(name, colour);
  const mark = JSON.stringify([classes, document.documentElement.dataset.theme]);
  if (mark === shown) return;
  shown = mark;
  byId("classes").replaceChildren(...classes.map(lineOf));
}

function lineOf({ name, videos }) {
  const mark = element("i");
  mark.style.background = colourOfClass(name);
  const button = element(
    "button",
    { type: "button", class: "class quiet", title: `Rename, merge or remove ${name}` },
    mark,
    element("span", { dir: "auto" }, name),
    element("small", {}, count(videos, "video")),
  );
  button.addEventListener("click", () => openDialog(name, videos));
  return element("li", {}, button);
}

let edited = null;

function openDialog(name, videos) {
  edited = { name, videos };
  byId("class-title").textContent = name;
  byId("class-name").value = name;
  explain();
  byId("class-dialog").showModal();
  byId("class-name").select();
}

function explain() {
  const name = byId("class-name").value.trim();
  const other = classes.find((each) => each.name === name && name !== edited.name);
  byId("class-save").textContent = other ? "Merge" : "Rename";
  byId("class-note").textContent = other
    ? `A class ${name} already exists: saving merges ${edited.name} into it, in ${count(edited.videos, "video")}.`
    : `Used in ${count(edited.videos, "video")}. Enter the name of another class to merge them.`;
}

export function watchClasses(act, toast) {
  const undo = (text) => toast(text, ["Undo", () => act("/api/classes", { do: "undo" })]);
  byId("add-class").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = byId("new-class").value.trim();
    if (name && (await act("/api/classes", { do: "add", name }))) byId("new-class").value = "";
  });
  byId("class-name").addEventListener("input", explain);
  byId("class-cancel").addEventListener("click", () => byId("class-dialog").close());
  byId("class-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("class-dialog").close();
    const { name } = edited;
    const changed = byId("class-name").value.trim();
    if (!changed || changed === name) return;
    if (await act("/api/classes", { do: "rename", name, new: changed })) undo(`${name} is now ${changed}.`);
  });
  byId("class-remove").addEventListener("click", async () => {
    byId("class-dialog").close();
    const { name } = edited;
    if (await act("/api/classes", { do: "remove", name })) undo(`${name} and its intervals are removed.`);
  });
  document.addEventListener("themechange", () => showClasses({ classes }));
}
