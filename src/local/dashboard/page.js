// The page: asks for the numbers, decides which of them are shown, and shows them. Everything is set as text: what comes
// from events is never markup.

import * as format from "/format.js";
import * as views from "/views.js";
import * as charts from "/charts.js";

const EVERY = 60_000;
const one = (id) => document.getElementById(id);
const prefers = { dark: matchMedia("(prefers-color-scheme: dark)") };

const page = {
  numbers: null, // what was answered last
  got: 0, // when, by performance.now()
  busy: false,
  echarts: null,
  cards: new Map(), // name of a visual → its parts
  tables: new Set(), // names of visuals that are shown as tables
  chosen: chosen(),
};

/** What the reader chose is in the address, so that it can be sent to others and survives a reload. */
function chosen() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const days = hash.get("days");
  return { days: days === null ? null : Number(days), currency: hash.get("currency") };
}

function choose(change) {
  Object.assign(page.chosen, change);
  const { days, currency } = page.chosen;
  const words = { ...(days === null ? {} : { days }), ...(currency ? { currency } : {}) };
  history.replaceState(null, "", `#${new URLSearchParams(words)}`);
  show();
}

function element(name, { className, text, ...attributes } = {}, ...children) {
  const it = document.createElement(name);
  if (className) it.className = className;
  if (text !== undefined) it.textContent = text;
  for (const [key, value] of Object.entries(attributes)) it.setAttribute(key, value);
  it.append(...children);
  return it;
}

/** Sets the children of an element, unless they are those already: what is focused or selected stays so. */
function fill(parent, ...children) {
  const draft = element(parent.tagName, {}, ...children);
  if (draft.innerHTML !== parent.innerHTML) parent.replaceChildren(...draft.childNodes);
}

/** Turns `run this` into elements. */
function worded(text) {
  return text.split(/`([^`]+)`/).map((it, at) => (at % 2 ? element("code", { text: it }) : it));
}

async function refresh() {
  if (page.busy) return;
  page.busy = true;
  one("refresh").disabled = true;
  one("refresh").textContent = "Refreshing…";
  try {
    const answer = await fetch("/api/numbers", { cache: "no-store", headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error((await answer.text()).slice(0, 500) || `the answer was ${answer.status}`);
    page.numbers = await answer.json();
    page.got = performance.now();
    page.failed = null;
  } catch (error) {
    page.failed = error instanceof TypeError ? "the program behind this page does not answer; it may have been stopped" : error.message;
  } finally {
    page.busy = false;
    one("refresh").disabled = false;
    one("refresh").textContent = "Refresh";
    show();
  }
}

/** The time at the server, which is what ages are counted from. A saved file's time stands still. */
const now = () => Date.parse(page.numbers.at) + (page.numbers.saved ? 0 : performance.now() - page.got);

function show() {
  const { numbers } = page;
  one("loading").hidden = Boolean(numbers || page.failed);
  banner();
  if (!numbers) return;
  document.title = `${numbers.title} · ${numbers.stack}`;
  one("title").textContent = numbers.title;
  one("stack").textContent = numbers.stack;
  const state = views.state(numbers);
  const has = state === "numbers";
  empty(state);
  freshness();
  for (const id of ["controls", "tiles", "visuals", "definitions", "absent"]) one(id).hidden = !has && id !== "absent";
  absent();
  if (!has) return;
  const choice = views.choice(numbers, page.chosen);
  controls(choice);
  tiles(choice);
  visuals(choice);
  definitions();
}

function banner() {
  const box = one("banner");
  const words = [];
  if (page.failed && page.numbers) words.push(`Not up to date: ${page.failed}. Shown are the numbers of ${format.clock(new Date(now()))}.`);
  else if (page.failed) words.push(`No numbers: ${page.failed}.`);
  else if (page.numbers?.saved) words.push(`Saved numbers of ${format.moment(new Date(page.numbers.at))}; they do not change.`);
  const stale = page.numbers && views.stale(page.numbers, now());
  const quiet = page.numbers && views.quiet(page.numbers, now());
  if (stale ?? quiet) words.push(stale ?? quiet);
  box.hidden = words.length === 0;
  box.className = page.failed || stale ? "banner" : "banner plain";
  fill(box, ...worded(words.join(" ")));
}

function empty(state) {
  const box = one("empty");
  box.hidden = state === "numbers";
  if (state === "missing") {
    fill(box,
      element("h2", { text: "No gold tables yet" }),
      element("p", { text: "The numbers come from the gold tables of the lake, and the job that writes them has not run. Run it; this page shows them within a minute." }),
      element("code", { className: "command", text: page.numbers.run }));
  } else if (state === "empty") {
    fill(box,
      element("h2", { text: "No orders yet" }),
      element("p", { text: "The gold tables are there and hold no order. Once events are in the database, run the job again." }),
      element("code", { className: "command", text: page.numbers.run }));
  }
}

function freshness() {
  const box = one("freshness");
  const { answer } = page.numbers.freshness;
  const row = answer.rows?.[0];
  box.hidden = !row?.newest_order && (!answer.error || answer.missing);
  if (box.hidden) return;
  if (!row) {
    fill(box, element("div", {}, element("dt", { text: "Age of the data" }), element("dd", { text: "unknown", title: answer.error })));
    return;
  }
  const item = (name, iso) => {
    const then = views.instant(iso);
    return element("div", { title: format.moment(then) }, element("dt", { text: name }), element("dd", { text: format.age(now() - then) }));
  };
  const stale = views.stale(page.numbers, now());
  const state = element("div", { className: `state ${stale ? "stale" : "fresh"}`, title: page.numbers.freshness.description },
    element("dt", { className: "unseen", text: "State" }), element("dd", { text: stale ? "▲ Stale" : "● Fresh" }));
  fill(box, item("Newest order", row.newest_order), item("Gold written", row.newest_gold), state);
}

function controls(choice) {
  const days = one("days");
  if (days.querySelectorAll("input").length !== page.numbers.days.length) {
    days.replaceChildren(element("legend", { className: "unseen", text: "Time" }), ...page.numbers.days.map((it) => {
      const input = element("input", { type: "radio", name: "days", value: it });
      input.addEventListener("change", () => choose({ days: it }));
      return element("label", {}, input, it === 0 ? "All" : `${it} days`);
    }));
  }
  for (const input of days.querySelectorAll("input")) input.checked = Number(input.value) === choice.days;
  fill(one("currency"), ...choice.currencies.map((it) => element("option", { value: it, text: it })));
  one("currency").value = choice.currency ?? "";
  one("currency").parentElement.hidden = choice.currencies.length === 0;
  one("span").textContent = choice.starts ? `${format.span(choice.starts, choice.ends)} (UTC)` : "";
  one("refresh").hidden = Boolean(page.numbers.saved);
  one("updated").textContent = page.numbers.saved ? "" : `Updated ${format.clock(new Date(now() - (performance.now() - page.got)))}`;
}

function tiles(choice) {
  fill(one("tiles"), ...page.numbers.tiles.map((tile) => {
    const box = element("article", { className: "tile" }, element("h2", { text: tile.title, title: tile.description }));
    if (!tile.answer.rows) {
      box.append(problem(tile.answer));
      return box;
    }
    const { value, change, note } = views.tile(tile, choice);
    const options = { exact: false };
    const text = value === null ? "–" : format.written(value, tile.format, choice.currency, options);
    const full = value === null ? "" : format.written(value, tile.format, choice.currency, { exact: true });
    box.append(element("p", { className: "value", text, title: full, "data-tile": tile.name }));
    const line = element("p", { className: "note" });
    if (change) line.append(element("span", { className: `change ${change.tone}`, text: change.text }), ` ${change.than}`);
    else line.append(note);
    box.append(line);
    return box;
  }));
}

/** What is shown in place of numbers that could not be had. */
function problem(answer) {
  if (answer.missing) return element("div", { className: "problem" }, ...worded(`The table does not exist yet: \`${page.numbers.run}\``));
  return element("div", { className: "problem error" },
    element("strong", { text: "Not available. " }),
    element("span", { className: "reason", text: answer.error, title: answer.error }),
    ...(answer.help ? [element("div", {}, ...worded(answer.help))] : []));
}

function visuals(choice) {
  for (const visual of page.numbers.visuals) {
    if (!page.cards.has(visual.name)) page.cards.set(visual.name, card(visual));
    draw(visual, page.cards.get(visual.name), choice);
  }
}

function card(visual) {
  const id = `visual-${visual.name}`;
  const button = element("button", { type: "button", "aria-pressed": "false", text: "Table" });
  button.addEventListener("click", () => {
    page.tables[page.tables.has(visual.name) ? "delete" : "add"](visual.name);
    show();
  });
  const body = element("div", { className: "body" });
  const box = element("section", { className: `card ${visual.width}`, "aria-labelledby": id, "data-visual": visual.name },
    element("div", { className: "head" },
      element("h2", { id, text: visual.title }), element("p", { text: visual.description }), button), body);
  one("visuals").append(box);
  return { box, body, button, chart: null, drawn: "" };
}

function draw(visual, card, choice) {
  const { answer } = visual;
  const asTable = page.tables.has(visual.name);
  card.button.setAttribute("aria-pressed", String(asTable));
  const width = Math.floor(card.body.clientWidth || card.box.clientWidth - 34);
  const view = answer.rows && views.view(visual, choice, width, new Date(now()).toISOString().slice(0, 10));
  const drawable = view && view.rows.length > 0;
  card.button.hidden = !drawable;
  const kind = !answer.rows ? "problem" : !drawable ? "empty" : asTable || !page.echarts ? "table" : "chart";
  // Drawn anew only when something differs, so that what a reader looks at does not blink each minute.
  const key = JSON.stringify([kind, width, prefers.dark.matches, answer.error, view && [view.rows, choice.currency, view.partial]]);
  if (card.drawn === key) return;
  card.drawn = key;
  if (kind !== "chart" && card.chart) {
    card.chart.dispose();
    card.chart = null;
  }
  if (kind === "problem") card.body.replaceChildren(problem(answer));
  else if (kind === "empty") card.body.replaceChildren(element("p", { className: "problem", text: "Nothing to show for this choice." }));
  else if (kind === "table") card.body.replaceChildren(table(visual, view, choice));
  else chart(visual, view, card);
}

function chart(visual, view, card) {
  if (!card.chart) {
    const inner = element("div", { className: "chart", role: "img" });
    card.body.replaceChildren(element("div", { className: "scroll" }, inner));
    card.inner = inner;
  }
  card.inner.style.height = `${charts.height(visual, view)}px`;
  const { least, most } = charts.widths(visual, view);
  card.inner.style.minWidth = `${least}px`;
  card.inner.style.maxWidth = most === Infinity ? "" : `${most}px`;
  // What is scrolled has to be reached by the keyboard, too.
  if (least > view.width) card.inner.parentElement.tabIndex = 0;
  else card.inner.parentElement.removeAttribute("tabindex");
  card.chart ??= page.echarts.init(card.inner, null, { renderer: "svg" });
  card.chart.resize();
  card.chart.setOption(charts.option(visual, { ...view, width: card.inner.clientWidth }, charts.theme()), { notMerge: true });
}

function table(visual, view, choice) {
  const { heads, rows } = views.table(visual, view, choice);
  const head = element("tr", {}, ...heads.map((it, at) => element("th", { scope: "col", className: at ? "number" : "", text: it })));
  const body = rows.map((row) => element("tr", {}, ...row.map((it, at) => element("td", { className: at ? "number" : "", text: it }))));
  const data = element("table", { className: "data" },
    element("caption", { className: "unseen", text: visual.title }), element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { className: "table", tabindex: "0", role: "region", "aria-label": `${visual.title}, as a table` }, data);
}

function absent() {
  fill(one("absent"),
    element("h2", { text: "What the events cannot tell" }),
    element("dl", {}, ...page.numbers.absent.flatMap((it) => [
      element("dt", { text: it.title }), element("dd", { text: `Not available: ${it.reason}.` })])));
}

function definitions() {
  const box = one("definitions");
  if (box.children.length > 1) return;
  const { freshness, tiles, visuals } = page.numbers;
  for (const it of [{ title: "Age of the data", ...freshness }, ...tiles, ...visuals]) {
    box.append(element("h3", { text: it.title }), element("p", { text: it.description }),
      element("pre", { tabindex: "0" }, element("code", { text: it.sql.trim() })));
  }
}

one("currency").addEventListener("change", ({ target }) => choose({ currency: target.value }));
one("controls").addEventListener("submit", (event) => event.preventDefault());
one("refresh").addEventListener("click", refresh);
addEventListener("hashchange", () => {
  page.chosen = chosen();
  show();
});
prefers.dark.addEventListener("change", show);
let resized = 0;
new ResizeObserver(() => {
  cancelAnimationFrame(resized);
  resized = requestAnimationFrame(show);
}).observe(one("visuals"));
// A page that nobody sees asks for nothing, and asks at once when it is seen again.
const due = () => !document.hidden && !page.numbers?.saved && (!page.numbers || performance.now() - page.got > EVERY - 1_000);
setInterval(() => (due() ? refresh() : show()), 15_000);
document.addEventListener("visibilitychange", () => due() && refresh());

const library = import("/echarts/index.js").then(
  (it) => { page.echarts = it.echarts; },
  () => { page.failed = "the drawing library could not be loaded, so tables are shown"; });
await Promise.all([library, refresh()]);
show();
document.documentElement.dataset.ready = "true";
