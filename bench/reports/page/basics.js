// What all parts of the page use: elements, compressed data, values in words, the theme.
// What records hold enters the page as text nodes and attributes only, never as HTML.

const $ = (id) => document.getElementById(id);

/** An element with attributes and children; a function becomes a listener, a string becomes text. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A list of definitions with pairs of names and values. */
function definitions(list, pairs) {
  list.append(...pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  return list;
}

function tableOf(head, rows, kind = "text") {
  const line = (tag, cells) => element("tr", {}, ...cells.map((cell) => element(tag, { class: kind }, cell)));
  const body = element("tbody", {}, ...rows.map((cells) => line("td", cells)));
  return element("table", {}, element("thead", {}, line("th", head)), body);
}

// Data

/** The text of a compressed part of the page, which is taken out of it. */
async function textOf(name) {
  const holder = $(`data-${name}`);
  const bytes = Uint8Array.from(atob(holder.textContent), (letter) => letter.charCodeAt(0));
  holder.remove();
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

const unpacked = new Map();

/** A part of the data, unpacked when it is first needed. */
function dataOf(name) {
  if (!unpacked.has(name)) unpacked.set(name, textOf(name).then(JSON.parse));
  return unpacked.get(name);
}

/** Whole numbers from one up to another, which is left out. */
const range = (from, to) => Array.from({ length: to - from }, (_, place) => from + place);

// Words

const count = (value) => (typeof value === "number" ? value.toLocaleString("en") : "–");
const many = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;
/** A value of JSON as a reader would write it. */
const written = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** A share in percent; only exact ones are 0 or 100 %. */
function percent(share) {
  if (typeof share !== "number") return "–";
  return `${(share === 0 || share === 1 ? 100 * share : Math.min(99.9, Math.max(0.1, 100 * share))).toFixed(1)}%`;
}

function duration(seconds) {
  if (typeof seconds !== "number") return "–";
  return seconds < 600 ? `${Number(seconds.toPrecision(3))} s` : `${Math.round(seconds / 60)} min`;
}

// Theme

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => document.documentElement.dataset.theme ?? (systemIsDark.matches ? "dark" : "light");

/** The theme of the system, until the reader chooses the other one. */
function startTheme(onChange) {
  const say = () => ($("theme").textContent = theme() === "dark" ? "Light" : "Dark");
  const changed = () => [say(), onChange()];
  $("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
    changed();
  });
  systemIsDark.addEventListener("change", changed);
  say();
}
