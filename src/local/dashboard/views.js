// Which rows are shown, and what follows from them. Nothing here draws.

import * as format from "/format.js";

/** Says what there is to show: `numbers`, or that tables are `missing`, or that they are there and `empty`. */
export function state(numbers) {
  const answers = [numbers.freshness, ...numbers.tiles, ...numbers.visuals].map((it) => it.answer);
  if (answers.every((it) => it.missing)) return "missing";
  const orders = numbers.freshness.answer.rows?.[0]?.orders;
  if (orders !== undefined && Number(orders) === 0) return "empty";
  return "numbers";
}

/** Reads an instant as any engine writes it; without a zone it is UTC. */
export function instant(text) {
  const iso = String(text).trim().replace(" UTC", "Z").replace(" ", "T");
  return new Date(/(Z|[+-]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}Z`);
}

/** Says in a sentence that nothing new has reached gold for too long, and what to do; or nothing. */
export function stale(numbers, now) {
  const { gold, allowed, limit } = ages(numbers, now);
  if (!(gold > limit)) return null;
  return `Stale: gold was last written ${format.age(gold)}, and ${allowed} are allowed. To bring it up to date: \`${numbers.run}\``;
}

/** Says in a sentence that gold is up to date although its newest order is not new; or nothing. No run of a job changes that. */
export function quiet(numbers, now) {
  const { order, gold, limit } = ages(numbers, now);
  if (gold > limit || !(order > limit)) return null;
  return `The newest order was placed ${format.age(order)}, and gold holds it. Should there be newer ones: \`ecomctl status ${numbers.stack}\``;
}

function ages(numbers, now) {
  const row = numbers.freshness.answer.rows?.[0];
  if (!row?.newest_order) return {};
  const limit = numbers.freshness.stale_after * 60_000;
  const allowed = limit % 3_600_000 ? `${limit / 60_000} min` : `${limit / 3_600_000} h`;
  return { order: now - instant(row.newest_order), gold: now - instant(row.newest_gold), limit, allowed };
}

/** The days and the currency to show: what was chosen where it exists, else what is defined first and paid in most. */
export function choice(numbers, { days, currency }) {
  const found = new Map();
  const paid = numbers.tiles.find((it) => it.format === "count")?.answer.rows ?? [];
  for (const it of [...numbers.tiles, ...numbers.visuals]) {
    for (const row of it.answer.rows ?? []) if (row.currency) found.set(row.currency, found.get(row.currency) ?? 0);
  }
  for (const row of paid) if (row.days === 0 && row.period === "now") found.set(row.currency, Number(row.part));
  const currencies = [...found].sort(([a, many], [b, more]) => more - many || a.localeCompare(b)).map(([it]) => it);
  const which = numbers.days.includes(days) ? days : numbers.first;
  const span = numbers.freshness.answer.rows?.[0];
  const starts = span?.last_day && (which ? later(span.last_day, 1 - which, span.first_day) : span.first_day);
  return {
    days: which,
    currency: currencies.includes(currency) ? currency : currencies[0],
    currencies,
    starts,
    ends: span?.last_day,
    first: span?.first_day,
  };
}

const later = (day, by, floor) => {
  const it = format.later(day, by);
  return floor && it < floor ? floor : it;
};

/** The number of a tile, and how it changed. A change is told only where the time before is covered by data. */
export function tile(tile, { days, currency, first, ends }) {
  const row = (period) => tile.answer.rows.find((it) => it.days === days && it.period === period && it.currency === currency);
  const value = ratio(row("now"));
  const before = ratio(row("before"));
  const percent = tile.format === "percent";
  const now = row("now");
  const of = percent && now ? `${format.count(now.part)} of ${format.count(now.whole)}` : "";
  if (!days) return { value, note: of || (first ? `since ${format.span(first, first)}` : "") };
  const covered = first && ends && first <= format.later(ends, 1 - 2 * days);
  if (!covered || value === null || before === null || (!percent && before === 0)) {
    return { value, note: of || `no ${days} days before to compare` };
  }
  const change = percent ? value - before : value / before - 1;
  const size = percent ? `${format.decimal(Math.abs(change) * 100)} pp` : format.percent(Math.abs(change));
  const still = Math.abs(change) < 0.0005;
  const better = (change > 0) === (tile.better === "higher");
  return {
    value,
    change: {
      text: still ? "unchanged" : `${change > 0 ? "▲" : "▼"} ${size}`,
      tone: still ? "" : better ? "good" : "bad",
      than: percent ? `· ${of}` : `vs ${days} days before`,
    },
  };
}

const ratio = (row) => (row && Number(row.whole) ? Number(row.part) / Number(row.whole) : null);

/** The rows of a visual that are shown, arranged as its form wants them. */
export function view(visual, choice, width, today) {
  const { days, currency } = choice;
  const rows = visual.answer.rows.filter((it) =>
    (it.currency === undefined || it.currency === currency) && (it.days === undefined || it.days === days));
  const shared = { rows, currency, width };
  if (visual.form === "trend") return trend(visual, shared, choice, today);
  if (visual.form === "cohorts") return cohorts(shared, choice, today);
  const size = (row) => (visual.form === "stack"
    ? visual.columns.reduce((sum, it) => sum + Number(row[it.name]), 0)
    : Number(row[visual.columns[0].name]));
  rows.sort((a, b) => size(b) - size(a));
  return { ...shared, labels: rows.map((it) => it.label) };
}

/** Every day of the time shown, those without sales included; and the averages of seven days that are over. */
function trend(visual, shared, { starts, ends }, today) {
  const [main] = visual.columns;
  const known = new Map(shared.rows.map((it) => [it.order_date, it]));
  const sorted = [...known.keys()].sort();
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (!first) return { ...shared, days: [], averages: [] };
  const [from, to] = [starts ?? first, ends ?? last];
  const list = [];
  for (let day = from; day <= to && list.length < 5_000; day = format.later(day, 1)) list.push({ day, ...known.get(day) });
  const partial = to >= today ? to : null;
  const averages = list.map(({ day }) => {
    if (day === partial || format.later(day, -6) < first) return null;
    let sum = 0;
    for (let back = 0; back < 7; back += 1) sum += Number(known.get(format.later(day, -back))?.[main.name] ?? 0);
    return sum / 7;
  });
  return { ...shared, rows: list.some((it) => it[main.name] !== undefined) ? list : [], days: list, averages, partial };
}

function cohorts({ rows, ...shared }, _choice, today) {
  const sizes = new Map(rows.filter((it) => Number(it.month_offset) === 0).map((it) => [it.cohort_month, Number(it.customers)]));
  const cells = rows.map((it) => {
    const [offset, customers, size] = [Number(it.month_offset), Number(it.customers), sizes.get(it.cohort_month) ?? 0];
    const [year, month] = it.cohort_month.split("-").map(Number);
    const there = new Date(Date.UTC(year, month - 1 + offset, 1)).toISOString().slice(0, 7);
    return { cohort: it.cohort_month, offset, customers, size, share: size ? customers / size : 0, partial: there >= today.slice(0, 7) };
  });
  const last = Math.max(0, ...cells.map((it) => it.offset));
  return {
    ...shared,
    rows,
    cells,
    sizes,
    partial: today.slice(0, 7),
    cohorts: [...sizes.keys()].sort().map((cohort) => ({ cohort })),
    offsets: Array.from({ length: last }, (_, at) => at + 1),
  };
}

/** The same as a table. */
export function table(visual, view, { currency }) {
  const write = (row, columns) => columns.map((it) => format.written(row[it.name], it.format, currency, { exact: true }));
  if (visual.form === "trend") {
    const [main] = visual.columns;
    const rows = view.days.map((it, at) => [
      format.longDay(it.day), ...write(Object.fromEntries(visual.columns.map(({ name }) => [name, it[name] ?? 0])), visual.columns),
      format.written(view.averages[at] ?? undefined, main.format, currency),
    ]);
    return { heads: ["Day", ...visual.columns.map((it) => it.title), "7-day average"], rows: rows.reverse() };
  }
  if (visual.form === "cohorts") {
    const cell = (cohort, offset) => view.cells.find((it) => it.cohort === cohort && it.offset === offset);
    const rows = view.cohorts.map(({ cohort }) => [
      format.month(cohort), format.count(view.sizes.get(cohort)),
      ...view.offsets.map((it) => (cell(cohort, it) ? format.percent(cell(cohort, it).share) : "")),
    ]);
    return { heads: ["First order", "Customers", ...view.offsets.map((it) => `+${it}`)], rows };
  }
  return {
    heads: ["", ...visual.columns.map((it) => it.title)],
    rows: view.rows.map((row) => [format.label(row.label), ...write(row, visual.columns)]),
  };
}
