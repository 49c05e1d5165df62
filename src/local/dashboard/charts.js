// What ECharts is told: one function for each form of a visual. They draw only; which rows are shown is decided before.

import * as format from "/format.js";

/** The colours and letters of the page, as they are now. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["card", "ink", "soft", "line", "hair", "accent", "accent-pale", "alarm", "rest", "heat-low", "heat-high"];
  const colours = Object.fromEntries(names.map((it) => [it.replace("-", "_"), style.getPropertyValue(`--${it}`).trim()]));
  return { ...colours, font: getComputedStyle(document.body).fontFamily };
}

/** How high a chart wants to be, in pixels. */
export function height(visual, view) {
  const many = (size, rest) => Math.max(3, view.labels.length) * size + rest;
  switch (visual.form) {
    case "trend": return view.width < 560 ? 240 : 300;
    case "stack": return many(40, 62);
    case "cohorts": return Math.max(2, view.cohorts.length) * 34 + 28;
    default: return many(30, 8);
  }
}

const MONTHS = 116;

/** How wide a chart has to be at least and at most; what is wider than its card is scrolled. */
export function widths(visual, view) {
  if (visual.form !== "cohorts") return { least: 0, most: Infinity };
  const many = Math.max(1, view.offsets.length);
  return { least: MONTHS + many * 38, most: MONTHS + many * 160 };
}

export function option(visual, view, theme) {
  const draw = { trend, ranking, stack, cohorts }[visual.form];
  return { ...common(theme, visual.title), ...draw(visual, view, theme) };
}

function common(theme, title) {
  return {
    animation: false,
    textStyle: { fontFamily: theme.font, color: theme.ink },
    aria: { enabled: true, label: { general: { withTitle: "{title}", withoutTitle: title }, data: { maxCount: 12 } } },
  };
}

function tooltip(theme, more) {
  return {
    confine: true,
    transitionDuration: 0,
    backgroundColor: theme.card,
    borderColor: theme.line,
    borderWidth: 1,
    padding: [8, 12],
    textStyle: { fontFamily: theme.font, fontSize: 12, color: theme.ink },
    className: "tip",
    ...more,
  };
}

/** What a tooltip holds. Built of elements: styles in markup are what the page's policy forbids. */
function tip(heading, rows) {
  const box = document.createElement("div");
  const when = box.appendChild(document.createElement("div"));
  when.className = "when";
  when.textContent = heading;
  const table = box.appendChild(document.createElement("table"));
  for (const { name, value, colour } of rows) {
    const row = table.insertRow();
    const cell = row.insertCell();
    if (colour) {
      const dot = cell.appendChild(document.createElement("span"));
      dot.className = "dot";
      dot.style.background = colour;
    }
    cell.append(name);
    row.insertCell().textContent = value;
  }
  return box;
}

const axisText = (theme) => ({ color: theme.soft, fontSize: 12, fontFamily: theme.font });
const legend = (theme, data) => ({
  data, top: 0, left: 0, itemWidth: 14, itemHeight: 8, itemGap: 18, selectedMode: false, padding: 0,
  textStyle: { color: theme.soft, fontSize: 12, fontFamily: theme.font },
});
const within = { outerBoundsMode: "same", outerBoundsContain: "axisLabel" };

function trend(visual, view, theme) {
  const [main] = visual.columns;
  const { days, averages, currency, partial, width } = view;
  const step = Math.max(1, Math.ceil(days.length / Math.max(2, Math.floor(width / 78))));
  const average = "7-day average";
  const drawn = `${main.title} a day${main.format === "money" ? `, ${currency}` : ""}`;
  return {
    legend: legend(theme, [{ name: drawn }, { name: average, icon: "path://M0 3h14v2h-14z" }]),
    grid: { left: 0, right: 4, top: 34, bottom: 4, ...within },
    tooltip: tooltip(theme, {
      trigger: "axis",
      axisPointer: { type: "shadow", shadowStyle: { color: theme.hair, opacity: 0.6 } },
      formatter: ([{ dataIndex: at }]) => {
        const row = days[at];
        const rows = visual.columns.map((it, place) => ({
          name: it.title,
          value: format.written(row[it.name] ?? 0, it.format, currency, { exact: true }),
          colour: place === 0 ? theme.accent_pale : undefined,
        }));
        if (averages[at] !== null) {
          const value = format.written(averages[at], main.format, currency);
          rows.splice(1, 0, { name: average, value, colour: theme.accent });
        }
        return tip(format.longDay(row.day) + (row.day === partial ? " · so far" : ""), rows);
      },
    }),
    xAxis: {
      type: "category",
      data: days.map((it) => it.day),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: theme.line } },
      axisLabel: {
        ...axisText(theme),
        interval: (at) => (days.length - 1 - at) % step === 0,
        formatter: (it) => format.day(it),
        hideOverlap: true,
        alignMaxLabel: "right",
      },
    },
    yAxis: {
      type: "value",
      splitNumber: 4,
      axisLabel: { ...axisText(theme), formatter: (it) => format.written(it, main.format, currency, { compact: true }) },
      splitLine: { lineStyle: { color: theme.hair } },
    },
    series: [
      {
        name: drawn,
        type: "bar",
        data: days.map((it) => ({
          value: Number(it[main.name] ?? 0),
          itemStyle: it.day === partial ? { opacity: 0.45 } : undefined,
        })),
        itemStyle: { color: theme.accent_pale, borderRadius: days.length > 100 ? 0 : [2, 2, 0, 0] },
        barCategoryGap: days.length > 100 ? "12%" : "28%",
        emphasis: { disabled: true },
      },
      {
        name: average,
        type: "line",
        data: averages,
        showSymbol: false,
        symbol: "none",
        lineStyle: { color: theme.accent, width: 2.25 },
        itemStyle: { color: theme.accent },
        emphasis: { disabled: true },
      },
    ],
  };
}

function names(view, theme) {
  return {
    type: "category",
    inverse: true,
    data: view.labels.map(format.label),
    axisTick: { show: false },
    axisLine: { show: false },
    axisLabel: {
      ...axisText(theme), color: theme.ink, overflow: "truncate", ellipsis: "…",
      width: Math.round(Math.min(210, Math.max(96, view.width * 0.34))), align: "left",
      margin: Math.round(Math.min(210, Math.max(96, view.width * 0.34))) + 8,
    },
  };
}

function ranking(visual, view, theme) {
  const [main] = visual.columns;
  const values = view.rows.map((it) => Number(it[main.name]));
  const whole = Math.max(...values, 0) >= 1_000;
  return {
    grid: { left: 0, right: 78, top: 0, bottom: 0, ...within },
    tooltip: tooltip(theme, {
      trigger: "item",
      formatter: ({ dataIndex: at }) =>
        tip(format.label(view.labels[at]), visual.columns.map((it) => ({
          name: it.title,
          value: format.written(view.rows[at][it.name], it.format, view.currency, { exact: true }),
        }))),
    }),
    xAxis: { type: "value", show: false, min: 0, max: Math.max(...values, 0) || 1 },
    yAxis: names(view, theme),
    series: [{
      type: "bar",
      name: main.title,
      data: values,
      barWidth: 16,
      itemStyle: { color: theme.accent, borderRadius: [0, 3, 3, 0] },
      label: {
        show: true, position: "right", distance: 8, color: theme.ink, fontSize: 12, fontFamily: theme.font,
        formatter: ({ value }) => format.written(value, main.format, view.currency, { whole }),
      },
      emphasis: { disabled: true },
    }],
  };
}

function stack(visual, view, theme) {
  const colours = [theme.accent, theme.alarm, theme.rest];
  const totals = view.rows.map((row) => visual.columns.reduce((sum, it) => sum + Number(row[it.name]), 0));
  const share = (at, column) => (totals[at] ? Number(view.rows[at][column.name]) / totals[at] : 0);
  const [, second] = visual.columns;
  return {
    legend: legend(theme, visual.columns.map((it) => ({ name: it.title }))),
    grid: { left: 0, right: second ? 0 : 12, top: 30, bottom: 0, ...within },
    tooltip: tooltip(theme, {
      trigger: "axis",
      axisPointer: { type: "none" },
      formatter: ([{ dataIndex: at }]) =>
        tip(format.label(view.labels[at]), visual.columns.map((it, place) => ({
          name: it.title,
          value: `${format.written(view.rows[at][it.name], it.format, view.currency)} · ${format.percent(share(at, it))}`,
          colour: colours[place % colours.length],
        }))),
    }),
    xAxis: {
      type: "value", min: 0, max: 1, interval: view.width < 480 ? 0.5 : 0.25,
      axisLabel: { ...axisText(theme), formatter: (it) => format.percent(it, 0), alignMaxLabel: "right" },
      splitLine: { lineStyle: { color: theme.hair } },
    },
    // The share of the second outcome is what is looked for, and its piece is too small to write in.
    yAxis: [names(view, theme), {
      type: "category", inverse: true, position: "right", axisTick: { show: false }, axisLine: { show: false },
      data: view.rows.map((_, at) => (second ? `${format.percent(share(at, second))} ${second.title.toLowerCase()}` : "")),
      axisLabel: { ...axisText(theme), color: theme.ink, margin: 10 },
    }],
    series: visual.columns.map((column, place) => ({
      type: "bar",
      name: column.title,
      stack: "all",
      data: view.rows.map((_, at) => share(at, column)),
      barWidth: 18,
      itemStyle: { color: colours[place % colours.length], borderColor: theme.card, borderWidth: 1 },
      emphasis: { disabled: true },
    })),
  };
}

function cohorts(visual, view, theme) {
  const room = (view.width - MONTHS) / Math.max(1, view.offsets.length);
  const top = Math.max(0.01, ...view.cells.filter((it) => it.offset > 0).map((it) => it.share));
  return {
    grid: { left: 0, right: 0, top: 0, bottom: 0, ...within },
    tooltip: tooltip(theme, {
      trigger: "item",
      formatter: ({ data }) => {
        const it = view.cells[data.cell];
        const rows = [
          { name: "Ordered again", value: `${format.count(it.customers)} of ${format.count(it.size)}` },
          { name: "Share", value: format.percent(it.share) },
        ];
        if (it.partial) rows.push({ name: "The month is not over", value: "" });
        return tip(`${format.month(it.cohort)} · month ${it.offset}`, rows);
      },
    }),
    xAxis: {
      type: "category", position: "top", data: view.offsets.map((it) => (it === 1 && room >= 64 ? "+1 month" : `+${it}`)),
      axisTick: { show: false }, axisLine: { show: false }, axisLabel: { ...axisText(theme), interval: 0, margin: 8 },
    },
    yAxis: {
      type: "category", inverse: true, data: view.cohorts.map((it) => it.cohort),
      axisTick: { show: false }, axisLine: { show: false },
      axisLabel: {
        ...axisText(theme), align: "left", margin: 112,
        formatter: (it) => `{month|${format.month(it)}}{size|${format.count(view.sizes.get(it))}}`,
        rich: {
          month: { width: 64, color: theme.ink, fontSize: 12, fontFamily: theme.font },
          size: { width: 44, align: "right", color: theme.soft, fontSize: 12, fontFamily: theme.font },
        },
      },
    },
    series: [{
      type: "heatmap",
      name: visual.title,
      data: view.cells.map((it, cell) => ({ it, cell })).filter(({ it }) => it.offset > 0).map(({ it, cell }) => {
        const full = mix(theme.heat_low, theme.heat_high, Math.min(1, it.share / top));
        const colour = it.partial ? mix(full, theme.card, 0.35) : full;
        return {
          cell,
          value: [view.offsets.indexOf(it.offset), view.cohorts.findIndex((one) => one.cohort === it.cohort), it.share],
          itemStyle: { color: colour },
          label: { color: readable(colour) },
        };
      }),
      itemStyle: { borderColor: theme.card, borderWidth: 2, borderRadius: 4 },
      label: {
        show: true, fontSize: 12, fontFamily: theme.font,
        formatter: ({ value }) => format.percent(value[2], room < 54 ? 0 : 1),
      },
      emphasis: { disabled: true },
    }],
  };
}

const channels = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));

function mix(low, high, share) {
  const [from, to] = [channels(low), channels(high)];
  return `#${from.map((it, at) => Math.round(it + (to[at] - it) * share).toString(16).padStart(2, "0")).join("")}`;
}

/** Black or white, whichever is easier to read on a colour (WCAG's relative luminance). */
function readable(hex) {
  const [red, green, blue] = channels(hex).map((it) => (it / 255 <= 0.04045 ? it / 3294.6 : ((it / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.19 ? "#10151c" : "#ffffff";
}
