// How values are written: by the reader's own locale, amounts always with their currency.

const formats = new Map();

function formatter(key, make) {
  if (!formats.has(key)) formats.set(key, make());
  return formats.get(key);
}

function numbers(options) {
  return formatter(JSON.stringify(options), () => new Intl.NumberFormat(undefined, options));
}

/** Writes an amount: in `whole` units where cents would only be noise, which by default depends on the amount. */
export function money(value, currency, { compact = false, exact = false, whole = !exact && Math.abs(value) >= 10_000 } = {}) {
  const options = { style: "currency", currency, currencyDisplay: "narrowSymbol" };
  if (compact) Object.assign(options, { notation: "compact", maximumFractionDigits: 1 });
  else if (whole) Object.assign(options, { minimumFractionDigits: 0, maximumFractionDigits: 0 });
  try {
    return numbers(options).format(value);
  } catch {
    // A code that is none: the events are free to hold one.
    return `${numbers({ maximumFractionDigits: 2 }).format(value)} ${currency}`;
  }
}

export const count = (value) => numbers({ maximumFractionDigits: 0 }).format(value);

export const decimal = (value) => numbers({ maximumFractionDigits: 1 }).format(value);

export const percent = (value, digits = 1) =>
  numbers({ style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** Writes a value as its column says. */
export function written(value, format, currency, options) {
  if (value === null || value === undefined || Number.isNaN(Number(value))) return "–";
  const number = Number(value);
  if (format === "money") return money(number, currency, options);
  if (format === "percent") return percent(number);
  if (format === "days") return `${numbers({ maximumFractionDigits: 0 }).format(number)} d`;
  return count(number);
}

/** Writes a label that the events hold as a code: `bank_transfer` becomes `Bank transfer`. */
export function label(text) {
  const plain = String(text ?? "–");
  if (!/^[a-z0-9]+(_[a-z0-9]+)*$/.test(plain)) return plain;
  const words = plain.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

const dates = (options) => formatter(`date${JSON.stringify(options)}`, () => new Intl.DateTimeFormat(undefined, options));

/** Days are UTC's, as in the tables. */
export const day = (iso) => dates({ day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${iso}T00:00:00Z`));
export const longDay = (iso) =>
  dates({ weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }).format(new Date(`${iso}T00:00:00Z`));
export const month = (iso) => dates({ month: "short", year: "numeric", timeZone: "UTC" }).format(new Date(`${iso}T00:00:00Z`));
export const clock = (date) => dates({ hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(date);
export const moment = (date) => dates({ dateStyle: "medium", timeStyle: "short" }).format(date);

export function span(first, last) {
  const format = dates({ day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  return format.formatRange(new Date(`${first}T00:00:00Z`), new Date(`${last}T00:00:00Z`));
}

/** Writes an age in milliseconds, in its largest unit. */
export function age(millis) {
  const minutes = Math.max(0, Math.floor(millis / 60_000));
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 12 ? `${hours} h ${minutes % 60} min ago` : `${hours} h ago`;
  return `${count(Math.floor(hours / 24))} days ago`;
}

const DAY = 86_400_000;

/** The day so many days later. */
export const later = (iso, days) => new Date(Date.parse(`${iso}T00:00:00Z`) + days * DAY).toISOString().slice(0, 10);
