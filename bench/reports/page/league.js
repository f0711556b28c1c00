// The league: a table that is sorted, filtered and chosen from. A row is a number, its place in the data.

const CHUNK = 100; // rows that are drawn at a time: more when the reader scrolls to their end
const MOST_PRINTED = 60; // as in the style sheet
const league = { data: null, words: [], query: "", only: {}, sort: null, shown: new Set(), order: [] };
/** The place of its style by chosen row: a row keeps its colour while others come and go. */
const chosen = new Map();

/** Show the league; `onChoose` and `onDetails` are called where the reader ticks a row, or asks for its details. */
function startLeague(data, onChoose, onDetails) {
  Object.assign(league, { data, onChoose, onDetails });
  league.words = data.labels.map((label, row) => `${label} ${data.blocks[data.block[row]]}`.toLowerCase());
  const wanted = matchMedia("(max-width: 700px)").matches ? "phone" : "shown";
  league.shown = new Set(data.columns.filter((column) => column[wanted]));
  startFilters(data);
  startColumnMenu(data);
  $("table").parentElement.addEventListener("scroll", drawMore, { passive: true });
  $("csv").addEventListener("click", saveCsv);
  $("table").tBodies[0].addEventListener("keydown", moveBetweenRows);
  $("league").hidden = false;
  update();
}

// Filters and order

function startFilters(data) {
  $("query").addEventListener("input", () => {
    league.query = $("query").value;
    update();
  });
  startFilter("task", data.block, data.tasks);
  for (const kind of ["encoder", "learner"]) {
    const names = [...new Set(data.values[kind])].sort();
    startFilter(kind, data.values[kind].map((name) => names.indexOf(name)), names);
  }
}

/** A choice of one name; `places` says which of the names each row has. */
function startFilter(kind, places, names) {
  const select = $(`filter-${kind}`);
  select.hidden = names.length < 2;
  select.append(element("option", { value: "" }, `All ${kind}s`));
  select.append(...names.map((name, place) => element("option", { value: place }, name)));
  select.addEventListener("change", () => {
    const wanted = Number(select.value);
    league.only[kind] = select.value === "" ? null : (row) => places[row] === wanted;
    update();
  });
}

function filtered() {
  const wanted = league.query.toLowerCase().split(/\s+/).filter(Boolean);
  const tests = Object.values(league.only).filter(Boolean);
  const passes = (row) => tests.every((test) => test(row)) && wanted.every((word) => league.words[row].includes(word));
  return range(0, league.words.length).filter(passes);
}

/** Rows in the order of a column, equal ones as the league has them; what is missing comes last either way. */
function inOrder(rows) {
  if (league.sort === null) return rows;
  const { column, down } = league.sort;
  const values = column.key === null ? column.cells : league.data.values[column.key];
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  return [...rows].sort((a, b) => {
    const missing = (values[a] === null) - (values[b] === null);
    return missing || (values[a] === null ? 0 : (down ? -1 : 1) * compare(values[a], values[b]));
  });
}

/** A first click sorts, a second one turns the order round, a third one restores that of the league. */
function sortBy(column) {
  const again = league.sort?.column === column, startsDown = !column.rising;
  if (again && league.sort.down !== startsDown) league.sort = null;
  else league.sort = { column, down: again ? !startsDown : startsDown };
  update();
}

// The table

/** The label of a row, with its task where there are several. */
const nameOf = (row) => league.data.labels[row] + (league.data.tasks.length > 1 ? ` · ${taskOf(row)}` : "");
const taskOf = (row) => league.data.tasks[league.data.block[row]];
const shownColumns = () => league.data.columns.filter((column) => league.shown.has(column));

function update() {
  league.order = inOrder(filtered());
  drawHead();
  drawRows();
}

function drawHead() {
  const head = $("table").tHead, focused = [...head.querySelectorAll("button")].indexOf(document.activeElement);
  const cells = shownColumns().map((column) => {
    const way = league.sort?.column === column ? (league.sort.down ? "descending" : "ascending") : null;
    const text = column.name + ({ descending: " ↓", ascending: " ↑" }[way] ?? "");
    const button = element("button", { type: "button", title: column.meaning, click: () => sortBy(column) }, text);
    return element("th", { scope: "col", class: column.text ? "text" : null, "aria-sort": way }, button);
  });
  head.replaceChildren(element("tr", {}, element("td", { class: "tick" }), ...cells));
  head.querySelectorAll("button")[focused]?.focus();
}

function drawRows() {
  const none = element("td", { class: "text", colspan: shownColumns().length + 1 }, "No row has all of this.");
  $("table").tBodies[0].replaceChildren(...(league.order.length ? [] : [element("tr", {}, none)]));
  $("table").parentElement.scrollTop = 0;
  drawMore();
  const total = many(league.words.length, "row"), all = league.order.length === league.words.length;
  const found = all ? total : `${count(league.order.length)} of ${total}`;
  $("count").textContent = league.order.length > CHUNK ? `${found}, drawn as you scroll` : found;
  $("printed").hidden = league.order.length <= MOST_PRINTED;
  $("printed").textContent = `Printed are the first ${MOST_PRINTED} of ${found}.`;
}

/** Draw the next rows if the last one that is drawn is nearly in view. */
function drawMore() {
  const body = $("table").tBodies[0], { scrollTop, clientHeight, scrollHeight } = $("table").parentElement;
  const drawn = body.querySelectorAll("[data-row]").length, columns = shownColumns();
  if (drawn && scrollTop + 2 * clientHeight < scrollHeight) return;
  body.append(...league.order.slice(drawn, drawn + CHUNK).map((row) => rowOf(row, columns)));
}

function rowOf(row, columns) {
  const box = { type: "checkbox", "aria-label": `Curves of ${nameOf(row)}`, change: () => choose(row) };
  const details = { type: "button", class: "name", click: () => league.onDetails(row) };
  const cells = columns.map((column) => {
    const isName = column.name === "configuration", text = column.cells[row];
    return element("td", { class: column.text ? "text" : null }, isName ? element("button", details, text) : text);
  });
  const line = element("tr", { "data-row": row }, element("td", { class: "tick" }, element("input", box)), ...cells);
  mark(line);
  return line;
}

/** The arrows up and down move to the same control of the next row. */
function moveBetweenRows(event) {
  const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const next = way && event.target.closest("tr")[way];
  if (!next) return;
  event.preventDefault();
  next.querySelector(event.target.localName)?.focus();
}

function startColumnMenu(data) {
  for (const column of data.columns) {
    const box = element("input", { type: "checkbox", disabled: column.name === "configuration" });
    box.checked = league.shown.has(column);
    box.addEventListener("change", () => {
      league.shown[box.checked ? "add" : "delete"](column);
      update();
    });
    $("column-list").append(element("label", { class: "check", title: column.meaning }, box, column.name));
  }
  const close = (isMeant) => isMeant && ($("columns").open = false);
  document.addEventListener("click", (event) => close(!$("columns").contains(event.target)));
  document.addEventListener("keydown", (event) => close(event.key === "Escape"));
}

// Chosen rows

/** Choose a row, or take it away; there are as many as there are styles. */
function choose(row) {
  const free = range(0, league.data.styles.length).find((place) => ![...chosen.values()].includes(place));
  if (!chosen.delete(row) && free !== undefined) chosen.set(row, free);
  markAll();
}

function markAll() {
  for (const line of $("table").tBodies[0].rows) if (line.dataset.row) mark(line);
  league.onChoose();
}

function mark(line) {
  const place = chosen.get(Number(line.dataset.row)), tick = line.querySelector("input");
  line.classList.toggle("is-chosen", place !== undefined);
  tick.checked = place !== undefined;
  tick.style.accentColor = league.data.styles[place]?.[0] ?? "";
}

// CSV

/** A cell; what a spreadsheet would take for a formula gets an apostrophe in front. */
function csvCell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The rows with all their values, and with the settings that differ from the defaults as JSON. */
function csvOf(rows, settings) {
  const names = Object.keys(league.data.values);
  const own = (row) => JSON.stringify(settings.changed[settings.places[row][1]]);
  const lines = rows.map((row) => [...names.map((name) => league.data.values[name][row]), own(row)]);
  return [[...names, "settings"], ...lines].map((cells) => `${cells.map(csvCell).join(",")}\n`).join("");
}

/** Offer all rows that pass the filters, in their order, also those that are not drawn. */
async function saveCsv() {
  const text = csvOf(league.order, (await dataOf("runs")).settings);
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  element("a", { href: address, download: "league.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000); // the browser has begun to save it by then
}
