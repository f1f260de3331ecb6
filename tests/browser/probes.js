// What the tests ask of the page in the browser. Each function answers with plain text and numbers.
window.probes = (() => {
  "use strict";

  const named = (one) => {
    const name = one.tagName.toLowerCase() + (one.id ? "#" + one.id : "");
    const classes = (one.getAttribute("class") || "").trim().replace(/\s+/g, ".");
    return name + (classes ? "." + classes : "") + " " + JSON.stringify((one.textContent || "").trim().slice(0, 40));
  };
  // Words for screen readers alone are clipped away: nobody sees them.
  const unseen = (one) => getComputedStyle(one).clipPath === "inset(50%)";
  const shown = (one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !unseen(one);
  const clips = (one) => getComputedStyle(one).overflowX !== "visible";
  const held = (one) => {
    for (let box = one.parentElement; box && box !== document.body; box = box.parentElement) {
      if (clips(box)) { return true; }
    }
    return false;
  };

  // Shown elements, or words of theirs, that stick out of the window sideways and lie in no box that scrolls or clips.
  const words = (one) => [...one.childNodes].filter((node) => node.nodeType === 3 && node.textContent.trim());
  const reach = (one) => {
    const boxes = [one.getBoundingClientRect(), ...words(one).map((node) => {
      const range = document.createRange();
      range.selectNodeContents(node);
      return range.getBoundingClientRect();
    })].filter((box) => box.width > 0);
    return [Math.min(...boxes.map((box) => box.left)), Math.max(...boxes.map((box) => box.right))];
  };
  const outside = () => {
    const width = document.documentElement.clientWidth;
    const wrong = [];
    for (const one of document.body.querySelectorAll("*")) {
      const [left, right] = reach(one);
      const out = right > width + 1 || left < -1;
      if (out && shown(one) && !one.closest("svg svg, defs") && !one.matches(".skip") && !held(one)) {
        wrong.push(named(one) + " " + Math.round(left) + " to " + Math.round(right));
      }
    }
    return wrong;
  };
  const widths = () => ({ page: document.documentElement.scrollWidth, window: window.innerWidth, outside: outside() });

  // Elements with text that is cut: wider than the box that hides what sticks out of it, without a way to scroll.
  const cut = () => [...document.querySelectorAll("main *")].filter((one) => {
    const style = getComputedStyle(one);
    const narrow = style.overflowX === "hidden" && one.scrollWidth > one.clientWidth + 1;
    const low = style.overflowY === "hidden" && one.scrollHeight > one.clientHeight + 1;
    return (narrow || low) && one.textContent.trim() && shown(one);
  }).map(named);

  // Figures by number -> whether they are shown with a size; pictures must have been decoded as well.
  const figures = async () => {
    const all = [...document.querySelectorAll("main svg, main img, main figure, main canvas")];
    await Promise.all(all.filter((one) => one.tagName === "IMG").map((one) => one.decode().catch(() => {})));
    return all.filter((one) => !one.parentElement.closest("svg")).map((one) => {
      const box = one.getBoundingClientRect();
      const loaded = one.tagName !== "IMG" || one.naturalWidth > 0;
      return { name: named(one), shown: loaded && box.width > 0 && box.height > 0 && shown(one) };
    });
  };

  const parts = (colour) => {
    const numbers = colour.match(/[\d.]+(?:e-?\d+)?/g).map(Number);
    const scale = colour.startsWith("color(") ? 1 : 255;
    return [numbers[0] / scale, numbers[1] / scale, numbers[2] / scale, numbers.length > 3 ? numbers[3] : 1];
  };
  const over = ([red, green, blue, share], [r, g, b]) =>
    [red * share + r * (1 - share), green * share + g * (1 - share), blue * share + b * (1 - share), 1];
  const light = (colour) => {
    const [red, green, blue] = colour.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const grounds = new Map();
  const ground = (one) => {
    if (!grounds.has(one)) {
      const own = parts(getComputedStyle(one).backgroundColor);
      grounds.set(one, own[3] === 1 || one === document.documentElement ? own : over(own, ground(one.parentElement)));
    }
    return grounds.get(one);
  };

  // Texts whose contrast with what lies under them is below 4.5 (WCAG 2, AA). axe-core looks neither into drawn figures
  // nor at what a fixed column covers.
  const faint = () => {
    grounds.clear();
    const wrong = new Set();
    for (const one of document.body.querySelectorAll("*")) {
      if (words(one).length && shown(one) && !one.closest("[aria-hidden=true], script, style, title, desc")) {
        const style = getComputedStyle(one);
        const under = ground(one);
        const ink = over(parts(one.closest("svg") ? style.fill : style.color), under);
        const ratio = contrast(light(ink), light(under));
        if (ratio < 4.5) { wrong.add(named(one) + " " + ratio.toFixed(2)); }
      }
    }
    return [...wrong];
  };
  const brightness = () => {
    const style = getComputedStyle(document.body);
    return { ground: light(parts(style.backgroundColor)), text: light(parts(style.color)) };
  };

  // Texts of one figure that lie over each other by more than a pixel.
  const overlapping = () => {
    const wrong = [];
    for (const svg of document.querySelectorAll("main svg")) {
      const texts = [...svg.querySelectorAll("text")].filter(shown);
      const boxes = texts.map((one) => one.getBoundingClientRect());
      boxes.forEach((a, n) => boxes.slice(n + 1).forEach((b, m) => {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1 && down > 3) { wrong.push(texts[n].textContent.trim() + " | " + texts[n + 1 + m].textContent.trim()); }
      }));
    }
    return wrong;
  };

  // What has the focus: its name, whether it can be seen, and whether it, or the label of a hidden switch, has an outline.
  const focus = () => {
    const one = document.activeElement;
    if (!one || one === document.body) { return null; }
    const marks = [one, ...(one.labels || [])];
    const box = one.getBoundingClientRect();
    return {
      name: named(one), tag: one.tagName.toLowerCase(), role: one.getAttribute("role"), id: one.id,
      outlined: marks.some((mark) => getComputedStyle(mark).outlineStyle !== "none" && parseFloat(getComputedStyle(mark).outlineWidth) >= 1),
      inside: box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight,
    };
  };
  const reachable = () => ({
    regions: [...document.querySelectorAll("main .scroll")].filter(shown).length,
    folds: [...document.querySelectorAll("main summary")].filter(shown).length,
    links: [...document.querySelectorAll("main a[href]")].filter(shown).length,
  });

  // On paper: what would be cut or kept shut.
  const paper = (height) => ({
    shut: [...document.querySelectorAll("details")].filter((one) => [...one.children].every((child) => child.tagName === "SUMMARY" || !child.checkVisibility())).map(named),
    parted: [...document.querySelectorAll("main svg, main img")].filter((one) => !one.parentElement.closest("svg"))
      .filter((one) => ![one, ...ancestors(one)].some((box) => getComputedStyle(box).breakInside.startsWith("avoid"))).map(named),
    tall: [...document.querySelectorAll("main figure")].filter((one) => getComputedStyle(one).breakInside === "avoid" && one.getBoundingClientRect().height > height).map(named),
    hidden: [...document.querySelectorAll("main .scroll, main pre")].filter((one) => one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1).map(named),
  });
  const ancestors = (one) => {
    const found = [];
    for (let box = one.parentElement; box && box.tagName !== "MAIN"; box = box.parentElement) { found.push(box); }
    return found;
  };

  const links = () => [...document.querySelectorAll("a[download]")].map((one) => ({ name: one.download, address: one.href }));
  const switches = () => [...document.querySelectorAll("input[type=radio]")].map((one) => one.id);
  return { widths, cut, figures, faint, brightness, overlapping, focus, reachable, paper, links, switches };
})();
