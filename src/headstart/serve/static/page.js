/* What all pages need: elements, numbers in words, and asking the server. */

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) {
      made.addEventListener(key.slice(2), value);
    } else if (value === true) {
      made.setAttribute(key, "");
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(key, value);
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function find(id) {
  return document.getElementById(id);
}

export function percent(share, digits = 1) {
  if (share > 0 && share < 0.5 * 10 ** (-digits - 2)) {
    return `< ${10 ** -digits} %`;
  }
  // 100 % would say that there is no doubt at all
  const most = 100 - 10 ** -digits;
  const shown = share < 1 ? Math.min(100 * share, most) : 100 * share;
  return `${shown.toFixed(digits)} %`;
}

export function count(number, noun, many = `${noun}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : many}`;
}

export function list(words, limit = Infinity) {
  const shown = words.slice(0, limit);
  const rest = words.length - shown.length;
  return rest > 0 ? `${shown.join(", ")} and ${rest} more` : shown.join(", ");
}

/* The server's own words where it refuses something. */
export class Refusal extends Error {
  constructor(status, message, wait) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

export async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, { cache: "no-store", ...options });
  } catch {
    throw new Refusal(0, "The server does not answer. Is it still running?");
  }
  let found = null;
  try {
    found = await answer.json();
  } catch {
    found = null;
  }
  if (!answer.ok || found === null) {
    const message = found && found.error ? found.error.message : `The server answered with status ${answer.status}.`;
    throw new Refusal(answer.status, message, Number(answer.headers.get("Retry-After")) || 0);
  }
  return found;
}

export function pause(seconds) {
  return new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); });
}
