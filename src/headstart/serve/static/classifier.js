/* The page of a classifier: pictures in, answers out. Everything stays between this page and its server. */

import { ask, count, element, find, list, pause, percent } from "./page.js";

const SHOWN_CLASSES = 5;
const AT_ONCE = 2;
const TRIES = 5;
const ADDRESS = new URL(".", window.location.href);

let about = null;
const waiting = [];
let running = 0;

function say(text) {
  find("said").textContent = text;
}

function warn(text) {
  const place = find("message");
  place.textContent = text;
  place.hidden = !text;
}

/* ---- pictures come in ---- */

function take(files) {
  const all = [...files];
  warn(all.length ? "" : "There was no file in that. Drop or paste a picture.");
  for (const file of all) {
    const card = addCard(file);
    waiting.push(() => answer(card));
  }
  find("clear").hidden = !find("answers").children.length;
  work();
}

function work() {
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    waiting.shift()().finally(() => { running -= 1; work(); });
  }
}

function addCard(file) {
  const name = file.name || "picture";
  const address = URL.createObjectURL(file);
  const picture = element("img", { src: address, alt: name });
  const view = element("div", { class: "view" }, picture);
  picture.addEventListener("error", () => {
    picture.replaceWith(element("p", { class: "small muted" }, "This browser cannot show this file."));
  });
  const words = element("p", { class: "word" }, "One moment …");
  const body = element("div", { class: "body" });
  const head = element("div", { class: "head" }, words, element("p", { class: "small muted name" }, name));
  const remove = element("button", { type: "button", class: "quiet", "aria-label": `Remove ${name}` }, "Remove");
  const node = element("li", { class: "answer" }, view, element("div", {}, head, body), remove);
  const card = { file, name, address, node, view, picture, words, body, gone: false };
  remove.addEventListener("click", () => { drop(card); find("files").focus(); });
  find("answers").prepend(node);
  cards.add(card);
  return card;
}

const cards = new Set();

function drop(card) {
  card.gone = true;
  cards.delete(card);
  URL.revokeObjectURL(card.address);
  card.node.remove();
  find("clear").hidden = !cards.size;
}

/* ---- answers come back ---- */

function kindOf(file) {
  return file.type.startsWith("image/") ? file.type : "application/octet-stream";
}

async function send(address, file) {
  const limit = about ? about.limits.body_bytes : Infinity;
  if (file.size > limit) {
    throw new Error(`The file is too large: ${(file.size / 1e6).toFixed(1)} MB; this server takes ${(limit / 1e6).toFixed(0)} MB.`);
  }
  for (let left = TRIES; ; left -= 1) {
    try {
      return await ask(address, { method: "POST", body: file, headers: { "Content-Type": kindOf(file) } });
    } catch (error) {
      // 429 and 503: the server is busy, and says when to come again
      if (![429, 503].includes(error.status) || left <= 1) { throw error; }
      await pause(error.wait || 1);
    }
  }
}

async function answer(card) {
  if (card.gone) { return; }
  try {
    const found = await send("predict", card.file);
    show(card, found.predictions[0]);
  } catch (error) {
    fail(card, error);
  }
}

function fail(card, error) {
  card.node.classList.add("failed");
  card.words.textContent = "No answer";
  card.body.replaceChildren(element("p", { class: "notice" }, error.message));
  say(`${card.name}: no answer. ${error.message}`);
}

function show(card, row) {
  const best = row.probabilities[0];
  const own = row.probabilities.find((one) => one.class === row.answer);
  const words = own ? `${row.answer}, ${percent(own.probability)}` : "Unknown";
  card.words.textContent = words;
  card.node.classList.toggle("unknown", !own);
  const why = own
    ? inWords(own, best)
    : `This picture is unlike those that the classifier learned from. Of its classes, ${best.class} would fit best (${percent(best.probability)}).`;
  card.body.replaceChildren(element("p", { class: "small" }, why), bars(row), looking(card, own ? own.class : best.class));
  say(`${card.name}: ${words}`);
}

function inWords(own, best) {
  if (own.class !== best.class) {
    return `${best.class} is more probable (${percent(best.probability)}), but what a mistake costs speaks for ${own.class}.`;
  }
  if (!about || !about.calibrated) { return "How far this number can be trusted was not measured: the classifier is not calibrated."; }
  const wrong = 1 - own.probability;
  if (wrong < 0.001) { return "Of 1,000 answers as sure as this one, less than 1 should be wrong."; }
  if (wrong < 0.095) { return `Of 1,000 answers as sure as this one, about ${Math.round(1000 * wrong)} should be wrong.`; }
  return `Not sure: of 10 answers as sure as this one, about ${Math.round(10 * wrong)} should be wrong.`;
}

function bars(row) {
  const lines = row.probabilities.map((one) => bar(one, row.answer));
  const first = element("ul", { class: "bars", "aria-label": "Probability of each class" }, ...lines.slice(0, SHOWN_CLASSES));
  const rest = lines.slice(SHOWN_CLASSES);
  if (!rest.length) { return first; }
  const more = element("details", {}, element("summary", {}, `${count(rest.length, "further class", "further classes")}`),
    element("ul", { class: "bars", "aria-label": "Probability of further classes" }, ...rest));
  return element("div", {}, first, more);
}

function bar(one, chosen) {
  const length = element("i");
  length.style.width = `${100 * one.probability}%`;
  const track = element("span", { class: "length", "aria-hidden": "true" }, length);
  const label = element("span", { class: "label" }, one.class);
  const number = element("data", { value: one.probability }, percent(one.probability));
  return element("li", { class: one.class === chosen ? "chosen" : null }, label, number, track);
}

/* ---- where it looked ---- */

function looking(card, class_) {
  const sentence = element("p", { class: "small", role: "status" });
  const button = element("button", { type: "button", "aria-pressed": "false" }, "Where it looked");
  let heat = null;
  const toggle = async () => {
    if (!heat) {
      button.disabled = true;
      sentence.textContent = "Looking …";
      try {
        const found = await send(`explain?class=${encodeURIComponent(class_)}`, card.file);
        heat = element("img", { class: "heat", src: found.picture, alt: `${card.name}: the lighter, the more it speaks for ${found.class}` });
        card.view.append(heat);
        heat.hidden = true;
        sentence.textContent = `What speaks for ${found.class}, the lighter the more. ${found.where}`;
      } catch (error) {
        sentence.textContent = error.message;
      }
      button.disabled = false;
      button.focus();
    }
    if (heat) {
      heat.hidden = !heat.hidden;
      sentence.hidden = heat.hidden;
      button.setAttribute("aria-pressed", String(!heat.hidden));
    }
  };
  button.addEventListener("click", toggle);
  return element("div", { class: "looking" }, button, sentence);
}

/* ---- the camera ---- */

let stream = null;

async function openCamera() {
  warn("");
  if (!navigator.mediaDevices) {
    warn("Browsers lend the camera only to pages of this machine or over HTTPS. Open this page at http://127.0.0.1, or choose a file.");
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch (error) {
    warn(error.name === "NotAllowedError" ? "The browser was not allowed to use the camera." : "There is no camera that can be used.");
    return;
  }
  find("camera").hidden = false;
  find("camera-open").hidden = true;
  find("video").srcObject = stream;
  await find("video").play();
  find("camera-take").focus();
}

function closeCamera() {
  if (stream) { stream.getTracks().forEach((track) => track.stop()); }
  stream = null;
  find("video").srcObject = null;
  find("camera").hidden = true;
  find("camera-open").hidden = false;
  find("camera-open").focus();
}

function photograph() {
  const video = find("video");
  if (!video.videoWidth) { return; }
  const canvas = element("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const time = new Date().toTimeString().slice(0, 8);
  canvas.toBlob((blob) => take([new File([blob], `Photograph of ${time}`, { type: "image/jpeg" })]), "image/jpeg", 0.95);
}

/* ---- about ---- */

function describe(found) {
  const from = found.provenance;
  find("network").textContent = `A classifier built on ${found.network}`;
  const unknown = found.unknown ? " It answers “unknown” to pictures that are unlike all of them." : "";
  find("knows").textContent = `It knows ${count(found.classes.length, "class", "classes")}: ${list(found.classes, 12)}.${unknown}`;
  const right = Math.round(from.test_accuracy * from.test_images);
  find("quality").textContent = !from.test_images ? "It had learned from all of its test images: how good it is on others is not known." : `Of ${from.test_images.toLocaleString("en")} test images that it had never seen it named ${right.toLocaleString("en")} rightly: ${percent(from.test_accuracy)}.`;
  const facts = [
    ["Classes", list(found.classes)],
    ["Test accuracy", !from.test_images ? "not known" : `${percent(from.test_accuracy)} of ${count(from.test_images, "image")}`],
    ["Learned from", count(from.training_images, "image")],
    ["Network", `${from.candidate}, sees ${found.input.height} × ${found.input.width} pixels`],
    ["Probabilities", found.calibrated ? "calibrated: of all answers with 80 %, about 80 % should be right" : "not calibrated"],
    ["Licence of the weights", from.licence],
    ["Images' fingerprint", from.fingerprint],
  ];
  find("facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  find("version").textContent = `headstart ${found.version}`;
}

async function start() {
  find("example").textContent = `curl --data-binary @photo.jpg -H "Content-Type: image/jpeg" "${new URL("predict?top=3", ADDRESS)}"`;
  try {
    about = await ask("about");
    describe(about);
  } catch (error) {
    warn(error.message);
  }
}

const zone = find("drop");
find("files").addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
find("camera-open").addEventListener("click", openCamera);
find("camera-close").addEventListener("click", closeCamera);
find("camera-take").addEventListener("click", photograph);
find("clear").addEventListener("click", () => { [...cards].forEach(drop); find("files").focus(); say("All pictures removed."); });
// a picture that misses the zone must not replace the page
document.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) { zone.classList.remove("over"); } });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  zone.classList.remove("over");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData) { take(event.clipboardData.files); }
});
start();
