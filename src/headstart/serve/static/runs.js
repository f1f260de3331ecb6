/* The list of runs, newest first. */

import { ask, count, element, find, percent } from "./page.js";

function moment(text) {
  return text ? new Date(text).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "";
}

function accuracy(headline, label) {
  const cell = element("td", { "data-label": label });
  if (!headline) { cell.append("–"); return cell; }
  cell.append(element("b", {}, percent(headline.accuracy)));
  if (headline.ci95) {
    cell.append(element("small", {}, headline.ci95.map((end) => (100 * end).toFixed(1)).join(" to ")));
  }
  return cell;
}

function doors(run) {
  const cell = element("td", { class: "doors" });
  const add = (there, name, words) => {
    if (there) { cell.append(element("a", { href: `runs/${run.id}/${name}`, "aria-label": `${words}: ${run.name}` }, words)); }
  };
  add(run.report && run.state === "done", "report", "Report");
  add(run.review, "review", "Review");
  add(run.classifier && run.state === "done", "classify/", "Try it");
  return cell;
}

function line(run) {
  const when = run.state === "done" ? moment(run.finished) : [run.state, run.reason].filter(Boolean).join(": ");
  const name = element("th", { scope: "row", class: "name" }, run.title || run.name,
    element("small", {}, [run.title ? run.name : "", when].filter(Boolean).join(", ")));
  const images = element("td", { "data-label": "Images" },
    run.images === null ? "–" : run.images.toLocaleString("en"),
    run.classes === null ? null : element("small", {}, count(run.classes, "class", "classes")));
  const tried = run.candidates === null || run.candidates < 2 ? null
    : element("small", {}, `of ${run.candidates} candidates${run.failed ? `, ${run.failed} failed` : ""}`);
  const best = element("td", { class: "name", "data-label": "Best candidate" }, run.best || "–", tried);
  return element("tr", { class: run.state === "done" ? null : "failed" }, name, images, best,
    accuracy(run.validation, "Validation"), accuracy(run.test, "Test"), doors(run));
}

async function start() {
  try {
    const found = await ask("runs.json");
    find("lead").textContent = found.runs.length
      ? `${count(found.runs.length, "run")} in this folder. In a review you look at doubtful labels and at copies, one picture at a time.`
      : "There is no run in this folder yet. Make one: headstart compare DATA";
    find("rows").replaceChildren(...found.runs.map(line));
    find("runs").hidden = !found.runs.length;
    find("version").textContent = `headstart ${found.version}`;
  } catch (error) {
    find("message").textContent = error.message;
    find("message").hidden = false;
  }
}

start();
