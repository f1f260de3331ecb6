(() => {
  "use strict";
  const map = document.querySelector(".map");
  if (!map) return;
  const drawing = map.querySelector(".map-drawing"), card = map.querySelector(".map-card");
  const here = map.querySelector(".map-here"), spoken = map.querySelector(".map-spoken");
  const picture = map.querySelector(".map-picture"), legend = [...map.querySelectorAll(".map-legend li")];
  const { width, height } = drawing.viewBox.baseVal, scale = Number(drawing.dataset.scale);
  const classes = new Map(legend.map((entry) => [entry.dataset.label, entry.dataset.class]));
  // How far from a mark the pointer still means it, and how far a picture may draw it away from one that has none.
  const REACH = 28, PICTURE = 14, radius = Number(drawing.dataset.radius);
  let points = null, current = null, picked = null;

  // The download under the map holds all that is known of its images: the same lines as the run folder's map.csv.
  const read = () => {
    const address = map.querySelector(".download a").href;
    const bytes = Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
    const [header, ...lines] = cells(new TextDecoder().decode(bytes));
    const named = (line) => Object.fromEntries(header.map((name, place) => [name, line[place]]));
    return lines.map(named).map((row) => ({
      ...row,
      left: width / 2 + Number(row.x) * scale,
      top: height / 2 - Number(row.y) * scale,
      wrong: row.predicted !== "" && row.predicted !== row.label,
    }));
  };

  const cells = (text) => {
    const lines = [];
    let line = [], at = 0;
    const pattern = /(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|$)/gy;
    while (at < text.length) {
      pattern.lastIndex = at;
      const [whole, quoted, plain, end] = pattern.exec(text);
      line.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      at += whole.length;
      if (end !== ",") { lines.push(line); line = []; }
    }
    return lines;
  };

  const chosen = (name) => document.getElementById(name)?.checked;
  const shown = (point) =>
    (picked === null || point.label === picked) && !(chosen("map-test") && point.part !== "test") &&
    !(chosen("map-wrong") && !point.wrong);

  const nearest = (left, top, within, among = () => true) => {
    let best = null, least = within * within;
    for (const point of points ??= read()) {
      const apart = (point.left - left) ** 2 + (point.top - top) ** 2;
      if (apart < least && shown(point) && among(point)) { best = point; least = apart; }
    }
    return best;
  };

  const pointed = (left, top, ratio) =>
    nearest(left, top, radius) ?? nearest(left, top, PICTURE * ratio, (point) => point.tile !== "") ??
    nearest(left, top, REACH * ratio);

  const answer = (point) => {
    if (point.predicted === "") return "learned from: not asked";
    return point.wrong ? `taken for ${point.predicted}` : "recognised";
  };

  const show = (point, aloud) => {
    current = point;
    card.hidden = point === null;
    here.setAttribute("cx", point ? point.left : -99);
    here.setAttribute("cy", point ? point.top : -99);
    if (!point) return;
    card.querySelector(".map-path").textContent = point.path;
    card.querySelector(".map-label").textContent = point.label;
    card.querySelector(".map-answer").textContent = `${answer(point)}${point.part === "test" ? " (test image)" : ""}`;
    card.querySelector(".map-answer").classList.toggle("wrong", point.wrong);
    if (picture) paint(point.tile);
    if (aloud) spoken.textContent = `${point.path}, ${point.label}, ${answer(point)}`;
    place(point);
  };

  const paint = (tile) => {
    const columns = Number(picture.dataset.columns), lines = Number(picture.dataset.lines);
    const part = (index, count) => (count > 1 ? `${(100 * index) / (count - 1)}%` : "0%");
    picture.hidden = tile === "";
    card.classList.toggle("without", picture.hidden);
    picture.style.backgroundSize = `${100 * columns}% ${100 * lines}%`;
    picture.style.backgroundPosition = `${part(tile % columns, columns)} ${part(Math.floor(tile / columns), lines)}`;
  };

  const place = (point) => {
    const field = drawing.getBoundingClientRect(), ratio = field.width / width, gap = 14;
    const left = point.left * ratio, top = point.top * ratio;
    const beside = left + gap + card.offsetWidth > field.width ? left - gap - card.offsetWidth : left + gap;
    const highest = Math.max(0, field.height - card.offsetHeight);
    card.style.left = `${Math.min(Math.max(0, beside), Math.max(0, field.width - card.offsetWidth))}px`;
    card.style.top = `${Math.min(Math.max(0, top - card.offsetHeight / 2), highest)}px`;
  };

  const at = (event) => {
    const field = drawing.getBoundingClientRect(), ratio = width / field.width;
    return pointed((event.clientX - field.left) * ratio, (event.clientY - field.top) * ratio, ratio);
  };

  const step = (x, y) => {
    if (!current || !shown(current)) return nearest(width / 2, height / 2, Infinity);
    let best = current, least = Infinity;
    for (const point of points ??= read()) {
      const ahead = (point.left - current.left) * x + (point.top - current.top) * y;
      const aside = Math.abs((point.left - current.left) * y) + Math.abs((point.top - current.top) * x);
      const cost = ahead + 2 * aside;
      if (ahead > 0.01 && aside <= 1.2 * ahead && cost < least && shown(point)) { best = point; least = cost; }
    }
    return best;
  };

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const press = (event) => {
    const way = ARROWS[event.key];
    if (way && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      show(step(...way), true);
    } else if (event.key === "Escape") show(null);
  };

  const light = (label) => {
    const number = label === null ? null : classes.get(label);
    drawing.classList.toggle("picked", label !== null);
    for (const group of drawing.querySelectorAll(".of-class")) group.classList.toggle("lit", group.dataset.class === number);
  };

  const pick = (label) => {
    picked = picked === label ? null : label;
    for (const button of map.querySelectorAll(".map-legend button")) {
      button.setAttribute("aria-pressed", String(button.dataset.label === picked));
    }
    light(picked);
    show(null);
  };

  for (const entry of legend) {
    const button = document.createElement("button"), { label } = entry.dataset;
    button.type = "button";
    button.dataset.label = label;
    button.setAttribute("aria-pressed", "false");
    button.append(...entry.childNodes);
    entry.append(button);
    button.addEventListener("click", () => pick(label));
    button.addEventListener("pointerenter", () => light(label));
    button.addEventListener("pointerleave", () => light(picked));
  }

  for (const title of drawing.querySelectorAll("title")) title.remove();
  map.querySelector(".map-hint").hidden = false;
  drawing.tabIndex = 0;
  drawing.setAttribute("role", "application");
  drawing.setAttribute("aria-roledescription", "map");
  drawing.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") show(at(event)); });
  drawing.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") show(null); });
  drawing.addEventListener("click", (event) => show(at(event), true));
  drawing.addEventListener("keydown", press);
  drawing.addEventListener("focus", () => { if (drawing.matches(":focus-visible") && !current) show(step(0, 0), true); });
  drawing.addEventListener("blur", () => show(null));
  for (const button of map.querySelectorAll(".pick")) button.addEventListener("change", () => show(null));
})();
