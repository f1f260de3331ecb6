/* The review of a run: one picture after the other, saved at once. */

import { ask, count, element, find, percent } from "./page.js";

const KINDS = [
  ["all", "Everything"], ["doubt", "Doubted labels"], ["conflict", "Two labels"], ["copy", "Copies"], ["near", "Near copies"],
];
const DONE = { keep: "Kept", drop: "Dropped", relabel: "Relabelled" };

let told = null;
const images = new Map();
let kind = "all";
let steps = [];
let place = 0;
const past = [];
let saving = Promise.resolve();

/* ---- what there is ---- */

function rebuild() {
  steps = told.cases.flatMap((one) => (kind === "all" || one.kind === kind ? one.images.map((image) => ({ one, image })) : []));
}

function here() { return steps[place]; }
function decided(step) { return images.get(step.image).action !== ""; }

function newLabel(step) {
  const image = images.get(step.image);
  const named = image.suggested || image.new_label;
  if (named && named !== image.label) { return named; }
  const others = step.one.images.map((number) => images.get(number).label).filter((label) => label !== image.label);
  return others[0] || "";
}

/* ---- what is shown ---- */

function show() {
  if (!steps.length) { return; }
  const step = here();
  question(step);
  pictures(step);
  buttons(step);
  progress();
  ahead();
}

function question(step) {
  const image = images.get(step.image);
  const position = step.one.images.length > 1 ? ` (picture ${step.one.images.indexOf(step.image) + 1} of ${step.one.images.length})` : "";
  const label = image.suggested && image.confidence !== null
    ? `Labelled ${image.label}. Is it ${image.suggested}?` : `Labelled ${image.label}`;
  find("question").textContent = label + position;
  find("why").textContent = reason(step, image);
}

function reason(step, image) {
  const doubt = image.confidence === null || !image.suggested ? ""
    : ` A network that had not learned from this picture says ${image.suggested}, ${percent(image.confidence)}.`;
  const test = image.split === "test" ? " It is one of the test images." : "";
  const words = {
    doubt: "",
    conflict: "The same picture is there under more than one label.",
    copy: "The same picture is there more than once: copies make some images count double.",
    near: "These pictures are nearly the same.",
  };
  return (words[step.one.kind] + doubt + test).trim();
}

function pictures(step) {
  const numbers = step.one.images;
  const list = find("shown");
  list.className = `shown ${["", "one", "two", "few", "few"][numbers.length] || "many"}`;
  list.replaceChildren(...numbers.map((number) => shot(step, number)));
}

function shot(step, number) {
  const image = images.get(number);
  const view = element("div", { class: "view" });
  const picture = element("img", { src: `images/${number}`, alt: `${image.path}, labelled ${image.label}` });
  picture.addEventListener("error", () => {
    picture.replaceWith(element("p", { class: "small muted" }, "There is no picture: the file is not where it was, or has changed."));
  });
  view.append(picture);
  const words = [element("p", {}, element("b", {}, image.label), ` ${image.path}`), verdict(image)];
  if (step.one.images.length === 1) { return element("li", { class: "shot" }, view, ...words); }
  const choose = () => { place = steps.findIndex((other) => other.one === step.one && other.image === number); show(); };
  const current = number === step.image;
  const button = element("button", { type: "button", "aria-current": String(current), "aria-label": `Picture ${image.path}`, onclick: choose }, view);
  return element("li", { class: "shot" }, button, ...words);
}

function verdict(image) {
  if (!image.action) { return element("p", { class: "muted" }, "Not decided"); }
  const target = image.action === "relabel" ? ` to ${image.new_label}` : "";
  return element("p", { class: `done ${image.action}-it` }, DONE[image.action] + target);
}

function buttons(step) {
  const image = images.get(step.image);
  const label = newLabel(step);
  find("relabel").hidden = !label;
  find("relabel-words").textContent = `Relabel to ${label}`;
  for (const action of ["keep", "drop", "relabel"]) {
    const on = image.action === action && (action !== "relabel" || image.new_label === label);
    find(action).setAttribute("aria-pressed", String(on));
  }
  find("only").hidden = step.one.images.length < 2;
  find("undo").disabled = !past.length;
  find("back").disabled = place === 0;
  const classes = told.classes.filter((name) => name !== image.label);
  const other = image.action === "relabel" && image.new_label !== label ? image.new_label : "";
  find("other").replaceChildren(element("option", { value: "" }, "Another class …"),
    ...classes.map((name) => element("option", { value: name, selected: name === other }, name)));
}

function progress() {
  const all = new Set(steps.map((step) => step.image));
  const ready = [...all].filter((number) => images.get(number).action).length;
  find("done").textContent = `Case ${caseNumber()}. ${ready} of ${count(all.size, "image")} decided.`;
  find("bar").style.width = `${(100 * ready) / all.size}%`;
}

function caseNumber() {
  const cases = [...new Set(steps.map((step) => step.one))];
  return `${cases.indexOf(here().one) + 1} of ${cases.length}`;
}

function ahead() {
  const next = steps.slice(place + 1).find((step) => step.one !== here().one);
  if (next) { next.one.images.slice(0, 4).forEach((number) => { new Image().src = `images/${number}`; }); }
}

function say(text) { find("saved").textContent = text; }

function warn(text) {
  find("message").textContent = text;
  find("message").hidden = !text;
  if (text) { find("message").scrollIntoView({ block: "nearest" }); }
}

/* ---- decisions ---- */

function decide(decisions, words) {
  past.push({ place, kind, before: decisions.map((one) => former(one.image)) });
  put(decisions, words);
  const next = steps.findIndex((step, number) => number > place && !decided(step));
  if (next >= 0) {
    place = next;
  } else {
    const left = new Set(steps.filter((step) => !decided(step)).map((step) => step.image)).size;
    words += left ? ` That was the last one; ${left} before it are open: press ←.` : " Everything here is decided.";
  }
  say(words);
  show();
}

function former(number) {
  const image = images.get(number);
  return { image: number, action: image.action, label: image.new_label };
}

function put(decisions) {
  for (const one of decisions) {
    const image = images.get(one.image);
    image.action = one.action;
    image.new_label = one.action === "relabel" ? one.label : "";
  }
  saving = saving.then(() => save(decisions));
}

async function save(decisions) {
  try {
    const headers = { "Content-Type": "application/json", "X-Headstart-Token": told.token };
    const found = await ask("decisions", { method: "POST", headers, body: JSON.stringify({ decisions }) });
    found.images.forEach((image) => images.set(image.number, image));
    finish(true);
    warn("");
  } catch (error) {
    say("");
    await refresh();
    warn(`Not saved: ${error.message}`);
  }
}

const ACTIONS = {
  keep() { act("keep"); },
  drop() { act("drop"); },
  relabel() { const label = newLabel(here()); if (label) { act("relabel", label); } },
  only() {
    const { one, image } = here();
    if (one.images.length < 2) { return; }
    decide(one.images.map((number) => ({ image: number, action: number === image ? "keep" : "drop", label: "" })),
      `Kept this one, dropped ${count(one.images.length - 1, "other")}.`);
  },
  skip() { if (place < steps.length - 1) { place += 1; say("Skipped."); show(); } else { say("That was the last one."); } },
  back() { if (place > 0) { place -= 1; say(""); show(); } },
  undo() {
    const last = past.pop();
    if (!last) { return; }
    kind = last.kind;
    rebuild();
    kinds();
    place = last.place;
    put(last.before);
    say("Taken back.");
    show();
  },
};

function act(action, label = "") {
  const image = images.get(here().image);
  decide([{ image: image.number, action, label }], `${DONE[action]}${label ? ` to ${label}` : ""}: ${image.path}.`);
}

const KEYS = { k: "keep", d: "drop", r: "relabel", o: "only", s: "skip", u: "undo", ArrowRight: "skip", ArrowLeft: "back" };

function press(event) {
  const busy = event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input, textarea, pre");
  const name = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (busy || !name || !steps.length) { return; }
  event.preventDefault();
  ACTIONS[name]();
}

/* ---- the start ---- */

function kinds() {
  const numbers = (name) => told.cases.filter((one) => name === "all" || one.kind === name).length;
  const shown = KINDS.filter(([name]) => numbers(name));
  find("kinds").hidden = find("kind").hidden = shown.length < 3;
  find("kinds").replaceChildren(...shown.map(([name, words]) => element("button", {
    type: "button", "aria-pressed": String(name === kind), onclick: () => choose(name),
  }, `${words} (${numbers(name)})`)));
  find("kind").replaceChildren(...shown.map(([name, words]) => element("option", { value: name, selected: name === kind },
    `${words} (${numbers(name)})`)));
}

function choose(name) {
  kind = name;
  rebuild();
  first();
  kinds();
  show();
}

/* Without a list there is nothing to download, and no command that would find it. */
function finish(listed) {
  find("listed").hidden = !listed;
  find("unlisted").hidden = listed;
}

function first() {
  place = Math.max(0, steps.findIndex((step) => !decided(step)));
}

async function refresh() {
  try {
    const found = await ask("review.json");
    told.token = found.token;
    found.images.forEach((image) => images.set(image.number, image));
    finish(found.listed);
    if (found.cases.length !== told.cases.length) { window.location.reload(); }
    show();
  } catch (error) {
    warn(error.message);
  }
}

async function start() {
  try {
    told = await ask("review.json");
  } catch (error) {
    warn(error.message);
    return;
  }
  told.images.forEach((image) => images.set(image.number, image));
  document.title = `Review of ${told.run} – headstart`;
  find("run").textContent = told.run;
  find("list").textContent = told.list;
  find("command").textContent = told.command;
  const groups = told.cases.filter((one) => one.kind !== "doubt").length;
  const doubts = told.cases.length - groups;
  find("lead").textContent = told.cases.length
    ? `${count(doubts, "label")} in doubt, ${count(groups, "group")} of copies or near copies. Look, then decide.`
    : "There is nothing to review: no label is in doubt, and no picture is there twice.";
  if (told.cases.length && !told.photographs) {
    find("lead").append(" The folder of photographs is not here, so only the small pictures of the run can be shown.");
  }
  find("finish").hidden = find("to-finish").hidden = !told.cases.length && !told.listed;
  finish(told.listed);
  if (!told.cases.length) { return; }
  rebuild();
  first();
  kinds();
  find("work").hidden = false;
  show();
}

for (const name of Object.keys(ACTIONS)) { find(name).addEventListener("click", () => ACTIONS[name]()); }
find("kind").addEventListener("change", (event) => choose(event.target.value));
find("other").addEventListener("change", (event) => {
  const label = event.target.value;
  // the next picture is there then, and letters are keys again
  event.target.blur();
  if (label) { act("relabel", label); }
});
document.addEventListener("keydown", press);
// another tab may have decided meanwhile
window.addEventListener("focus", () => { if (told && steps.length) { saving = saving.then(refresh); } });
start();
