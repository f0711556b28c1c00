// Pictures, the curves of chosen rows, the details of a row, and the start of the page.

// Pictures

const NARROW = 560; // pixels of a place below which it has the layout for narrow ones
const PLAIN = { displayModeBar: false, responsive: false, doubleClick: "reset" };
/** By place: the picture there, and the width in which it was drawn, 0 before that. */
const pictures = new Map();
let plotlyReady = null;

/** The library, unpacked when a picture first comes into view. */
function plotly() {
  plotlyReady ??= textOf("plotly").then((program) => {
    document.head.append(element("script", {}, program));
    return window.Plotly;
  });
  return plotlyReady;
}

/** Draw the picture of a place as wide as this is, with the layout of the nearest width. */
async function draw(place, { colours = theme(), width = place.clientWidth } = {}) {
  const one = pictures.get(place), library = window.Plotly ?? (await plotly());
  const size = width < NARROW ? "narrow" : "wide";
  const layout = structuredClone(one.picture.layouts[size][colours]);
  const font = { ...layout.font, family: getComputedStyle(document.body).fontFamily };
  const hover = { ...layout.hoverlabel, bgcolor: layout.paper_bgcolor, font: { ...font, size: 12 } };
  const byTouch = matchMedia("(pointer: coarse)").matches; // a finger scrolls the page
  Object.assign(layout, { width, font, hoverlabel: hover, dragmode: byTouch ? false : "zoom" });
  if (one.picture.range) layout.xaxis.range = one.picture.range;
  const data = one.picture.data.map((trace, i) => ({ ...trace, name: one.picture.names[size][i] ?? trace.name }));
  one.width = place.clientWidth;
  await library.react(place, data, layout, PLAIN);
}

const onView = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    onView.unobserve(target);
    draw(target);
  }
}, { rootMargin: "100px" });

const onResize = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const { width } = pictures.get(target);
    if (width && target.clientWidth && target.clientWidth !== width) draw(target);
  }
});

function figureOf(picture) {
  const place = element("div", { class: "plot", style: `min-height: ${picture.layouts.wide.light.height}px` });
  pictures.set(place, { picture, width: 0 });
  onView.observe(place);
  onResize.observe(place);
  const caption = picture.caption.map((line) => element("p", {}, line));
  return element("figure", {}, element("h3", {}, picture.title), place, element("figcaption", {}, ...caption));
}

/** Draw again what was drawn; on paper all of it, in light colours. */
function startPictures() {
  const again = () => [...pictures].forEach(([place, { width }]) => width && draw(place));
  startTheme(again);
  const onPaper = ([place, { picture }]) => picture && draw(place, { colours: "light", width: 640 });
  addEventListener("beforeprint", () => [...pictures].forEach(onPaper));
  addEventListener("afterprint", again);
}

// The curves of the chosen rows

const MARKS = { circle: "●", square: "■", diamond: "◆", x: "✖", star: "★", cross: "✚" };
Object.assign(MARKS, { "triangle-up": "▲", "triangle-down": "▼" });

/** Text as plotly shows it letter by letter. */
function forPlotly(text) {
  const special = { "&": "&amp;", "<": "&lt;", ">": "&gt;", $: "&#36;" };
  return text.replace(/[&<>$]/g, (letter) => special[letter]).replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, " ");
}

/** The runs of a row with their curves: steps, and accuracies in steps of 0.01 %. */
function runsOf(row, curves, runs) {
  return range(runs.starts[row], runs.starts[row + 1]).map((run) => {
    const [grid, gaps, train, test] = curves.runs[run];
    let place = 0;
    const steps = gaps.map((gap) => curves.grids[grid][(place += gap)]);
    return { steps, train, test, seed: runs.seed[run], share: runs.fraction[run] };
  });
}

function quantile(sorted, share) {
  const at = share * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

/** The three quartiles over runs at each step; a run shows its last evaluation up to there, also after its end. */
function quartilesOf(runs, part) {
  const start = Math.max(...runs.map((run) => run.steps[0])), at = runs.map(() => 0);
  const steps = [...new Set(runs.flatMap((run) => run.steps))].filter((step) => step >= start).sort((a, b) => a - b);
  const quartiles = steps.map((step) => {
    const values = runs.map((run, i) => {
      while (run.steps[at[i] + 1] <= step) at[i]++;
      return run[part][at[i]];
    });
    const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
    return [0.25, 0.5, 0.75].map((share) => (sorted.length ? quantile(sorted, share) : null));
  });
  return [steps, ...[0, 1, 2].map((which) => quartiles.map((three) => three[which]))];
}

const shares = (values) => values.map((value) => (value === null ? null : value / 10000));

/** A line of a row; a learner that takes no steps is a level from end to end. */
function lineOf(row, part, steps, values, said, { style, dash, ends, thin }) {
  const [colour, symbol] = style, isTest = part === "test", isLevel = steps.length === 1 && steps[0] === 0;
  const x = isLevel ? ends : steps, y = shares(isLevel ? [values[0], values[0]] : values);
  const about = (step, i) => `${part} ${percent(y[i])}${isLevel ? "" : ` at step ${count(step)}`}${said}`;
  return {
    type: "scatter", mode: isTest ? "lines+markers" : "lines", x, y, showlegend: false, opacity: thin ? 0.75 : 1,
    line: { color: colour, dash: isTest ? "solid" : dash, width: thin ? 1.2 : isTest ? 2.5 : 1.5 },
    marker: { color: colour, symbol, size: thin ? 5 : 8, maxdisplayed: thin ? 4 : 8 },
    hoverinfo: "text", text: x.map((step, i) => `${forPlotly(nameOf(row))}<br>${about(step, i)}`),
  };
}

function bandOf(steps, low, high, colour, opacity) {
  const there = range(0, steps.length).filter((i) => low[i] !== null), back = [...there].reverse();
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return {
    type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false, fill: "toself",
    fillcolor: `rgba(${red}, ${green}, ${blue}, ${opacity})`, x: [...there, ...back].map((i) => steps[i]),
    y: shares([...there.map((i) => low[i]), ...back.map((i) => high[i])]),
  };
}

/** All traces of a row: a line for each seed, or medians with a band. */
function tracesOf(row, runs, look, band) {
  return ["train", "test"].flatMap((part) => {
    if (look.thin) {
      const said = (run) => `, seed ${run.seed}, ${100 * run.share} % train`;
      return runs.map((run) => lineOf(row, part, run.steps, run[part], said(run), look));
    }
    const [steps, low, middle, high] = quartilesOf(runs, part), several = runs.length > 1;
    const line = lineOf(row, part, steps, middle, several ? `, median of ${runs.length}` : "", look);
    const hasBand = part === "test" && several && steps.length > 1;
    return hasBand ? [bandOf(steps, low, high, look.style[0], band), line] : [line];
  });
}

/** Draw the curves of the chosen rows. */
async function showChosen() {
  const [curves, runs] = await Promise.all([dataOf("curves"), dataOf("runs")]);
  const rows = [...chosen].map(([row, place]) => {
    return { row, style: league.data.styles[place], runs: runsOf(row, curves, runs).filter((run) => run.steps.length) };
  });
  const steps = rows.flatMap((one) => one.runs.flatMap((run) => run.steps)).filter((step) => step > 0);
  const low = Math.min(...steps), ends = steps.length ? [low, Math.max(...steps, 2 * low)] : [1, 1000];
  const drawn = rows.filter((one) => one.runs.length);
  const isMixed = drawn.some((one) => new Set(one.runs.map((run) => run.share)).size > 1); // has no sensible median
  const look = { dash: curves.picture.train_dash, ends, thin: isMixed || $("each").checked };
  $("each").disabled = isMixed;
  const data = drawn.flatMap((one) => tracesOf(one.row, one.runs, { ...look, style: one.style }, curves.picture.band));
  const reach = ends.map((end, i) => Math.log10(end) + (i ? 0.05 : -0.05));
  pictures.get($("curves")).picture = { ...curves.picture, data, names: { wide: [], narrow: [] }, range: reach };
  $("chips").replaceChildren(...rows.map(({ row, style }) => chipOf(row, style)));
  $("clear").hidden = !rows.length;
  $("curves-note").textContent = rows.length ? noteOn(curves, look.thin) : "Tick rows to see their curves here.";
  await draw($("curves"));
}

function noteOn(curves, thin) {
  const lines = thin ? "A line for each seed" : "Medians over seeds; band: interquartile range of the test accuracy";
  const thinned = `Of longer curves ${curves.most} evaluations are in this page, crossings and the last among them.`;
  return `${lines}. Train dashed, test solid. ${curves.thinned ? thinned : ""}`;
}

function chipOf(row, [colour, symbol]) {
  const mark = element("span", { "aria-hidden": "true", style: `color: ${colour}` }, MARKS[symbol] ?? "●");
  const label = nameOf(row);
  const remove = { type: "button", class: "quiet", "aria-label": `Remove ${label}`, click: () => choose(row) };
  return element("li", {}, mark, element("span", {}, label), element("button", remove, "×"));
}

/** At first the best rows that have curves are chosen. */
async function startChosen() {
  const [{ grids, runs }, { starts }] = await Promise.all([dataOf("curves"), dataOf("runs")]);
  const hasCurve = (row) => grids[runs[starts[row]]?.[0]]?.length > 1, all = range(0, league.words.length);
  const best = (all.some(hasCurve) ? all.filter(hasCurve) : all).slice(0, 3);
  pictures.set($("curves"), { picture: null, width: 0 });
  onResize.observe($("curves"));
  $("each").addEventListener("change", showChosen);
  $("clear").addEventListener("click", () => [chosen.clear(), markAll()]);
  best.forEach((row, place) => chosen.set(row, place));
  markAll();
}

// Details of a row

async function showDetails(row) {
  const runs = await dataOf("runs"), data = league.data, list = range(runs.starts[row], runs.starts[row + 1]);
  const close = element("button", { type: "button", class: "quiet", click: () => $("details").close() }, "Close");
  const numbers = data.columns.filter((column) => !column.text && column.cells[row] !== "").map((column) =>
    element("div", { title: column.meaning }, element("dt", {}, column.name), element("dd", {}, column.cells[row])));
  $("details").replaceChildren(
    element("div", { class: "heading" }, element("h2", { id: "details-heading" }, data.labels[row]), close),
    element("p", { class: "muted" }, data.blocks[data.block[row]]),
    element("dl", { class: "numbers" }, ...numbers),
    ...commandsOf(runs.commands[row]), ...settingsOf(runs.settings, row), ...seedsOf(runs, list),
    ...troublesOf(runs, list), ...environmentsOf(runs, list),
  );
  $("details").showModal();
  $("details").scrollTop = 0;
}

function commandsOf(lines) {
  const text = element("pre", {}, lines.join("\n")), copy = element("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    getSelection().selectAllChildren(text); // where the browser keeps its clipboard to itself, Ctrl-C copies
    const said = () => navigator.clipboard.writeText(text.textContent).then(() => "Copied");
    copy.textContent = await Promise.resolve().then(said).catch(() => "Selected");
  });
  return [element("h4", {}, "To compute it again"), element("div", { class: "heading" }, text, copy)];
}

function settingsOf({ defaults, changed, absent, places }, row) {
  const [usual, own, missing] = [defaults[places[row][0]], changed[places[row][1]], absent[places[row][2]]];
  const all = Object.entries({ ...usual, ...own }).filter(([name]) => !missing.includes(name));
  const isKnown = Object.keys(usual).length > 0, differing = Object.entries(own);
  const inWords = ([name, value]) => [name, written(value), name in usual ? written(usual[name]) : "–"];
  const table = (pairs) => tableOf(["setting", "value", "default"], pairs.map(inWords));
  const none = isKnown ? "None: all are at their defaults." : "Not known: a plugin was missing when the page was made.";
  const first = isKnown && differing.length ? table(differing) : element("p", { class: "muted" }, none);
  const more = element("summary", {}, `All ${all.length} settings`);
  const whole = element("details", { open: !isKnown }, more, table(all));
  return [element("h4", {}, "Settings that differ from their defaults"), first, whole];
}

function seedsOf(runs, list) {
  const columns = {
    seed: ["seed", String], status: ["status", String], steps: ["step", count], train: ["train", percent],
    test: ["test", percent], "a = b": ["diagonal", percent], "train 99 % at": ["memorized", count],
    "test 99 % at": ["first", count], "held from": ["held", count], training: ["training", duration],
    "in all": ["total", duration], record: ["id", String],
  };
  const cells = list.map((run) => Object.values(columns).map(([name, inWords]) => inWords(runs[name][run])));
  const table = element("div", { class: "wide" }, tableOf(Object.keys(columns), cells, "number"));
  return [element("h4", {}, `${many(list.length, "run")}, at the end of each`), table];
}

function troublesOf(runs, list) {
  const notices = list.flatMap((run) => runs.all_notices[runs.notices[run]]);
  const failed = list.filter((run) => runs.errors[runs.error[run]] !== null);
  const errors = failed.map((run) => `seed ${runs.seed[run]}: ${runs.errors[runs.error[run]]}`);
  const lines = [...new Set([...notices, ...errors])].map((line) => element("p", { class: "problem" }, written(line)));
  return lines.length ? [element("h4", {}, "Notices and errors"), ...lines] : [];
}

function environmentsOf(runs, list) {
  const places = [...new Set(list.map((run) => runs.environment[run]))];
  return places.flatMap((place) => {
    const seeds = list.filter((run) => runs.environment[run] === place).map((run) => runs.seed[run]);
    const known = Object.entries(runs.environments[place]).filter(([name, value]) => value !== null);
    const pairs = known.map(([name, value]) => [name.replace("versions.", ""), written(value)]);
    const heading = places.length > 1 ? `Environment of seed ${seeds.join(", ")}` : "Environment";
    return [element("h4", {}, heading), definitions(element("dl", { class: "facts" }), pairs)];
  });
}

// The start

function showNotes(data) {
  const before = (title) => (data.blocks.length > 1 ? `${title}: ` : "");
  const footnotes = data.footnotes.flatMap(([title, lines]) => lines.map((line) => before(title) + line));
  const meanings = data.columns.filter((column) => column.meaning).map((column) => [column.name, column.meaning]);
  $("notes").querySelector("ul").append(...[...data.notes, ...footnotes].map((line) => element("li", {}, line)));
  definitions($("notes").querySelector("dl"), meanings);
  $("notes").hidden = false;
}

/** Figures from elsewhere, which cannot be sorted into the league. */
function showPublished({ title, head, rows, notes }) {
  $("published-heading").textContent = title;
  $("published").querySelector("div").append(...(rows.length ? [tableOf(head, rows)] : []));
  $("published").querySelector("ul").append(...notes.map((line) => element("li", {}, line)));
  $("published").hidden = false;
}

async function showPictures(undrawn) {
  const found = await dataOf("pictures");
  $("pictures").querySelector(".grid").append(...found.map(figureOf));
  $("pictures").querySelector("ul").append(...undrawn.map((line) => element("li", {}, line)));
  $("pictures").hidden = !found.length && !undrawn.length;
}

async function showStudies() {
  const found = await dataOf("studies");
  $("studies").hidden = !found.length;
  $("studies").append(...found.map((study) => {
    const facts = definitions(element("dl", { class: "facts" }), study.facts);
    const grid = element("div", { class: "grid" }, ...study.pictures.map(figureOf));
    return element("div", { class: "study" }, element("h3", {}, study.name), facts, grid);
  }));
}

async function start() {
  startPictures();
  const content = await dataOf("league");
  definitions($("facts"), content.facts);
  $("made").textContent = content.command && `Made by: ${content.command}`;
  if (content.league) {
    startLeague(content.league, showChosen, showDetails);
    showNotes(content.league);
    if (content.league.published) showPublished(content.league.published);
  }
  $("message").hidden = true;
  await Promise.all([content.league && startChosen(), showPictures(content.undrawn), showStudies()]);
  document.documentElement.dataset.ready = "yes"; // for programs that look at the page
}

if (typeof DecompressionStream === "function") {
  start().catch((error) => {
    $("message").hidden = false;
    $("message").textContent = `This page cannot be shown: ${error.message}`;
    throw error;
  });
}
