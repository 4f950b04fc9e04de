// Numbers, times and sizes as texts.

export const NONE = "–";

export function count(n) {
  return n === null || n === undefined ? NONE : n.toLocaleString("en");
}

// At most three digits that count: 1,234 and 12.3 and 0.12.
export function figure(x) {
  if (x === null || x === undefined || !isFinite(x)) return NONE;
  if (x === 0) return "0";
  const digits = Math.abs(x) >= 100 ? 0 : Math.abs(x) >= 10 ? 1 : 2;
  return x.toLocaleString("en", { maximumFractionDigits: digits });
}

export function duration(s) {
  if (s === null || s === undefined || !isFinite(s)) return NONE;
  if (s === 0) return "0 s";
  if (s < 0.0009995) return `${figure(s * 1e6)} µs`;
  if (s < 0.9995) return `${figure(s * 1e3)} ms`;
  if (s < 60) return `${figure(s)} s`;
  const whole = Math.floor(s);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (!hours) return `${minutes} min ${whole % 60} s`;
  return hours < 48 ? `${hours} h ${minutes} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${figure(bytes)} ${units[unit]}`;
}

function two(n) {
  return String(n).padStart(2, "0");
}

export function clock(seconds) {
  const date = new Date(seconds * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

export function date(seconds) {
  const date = new Date(seconds * 1000);
  const parts = [date.getFullYear(), date.getMonth() + 1, date.getDate()];
  return `${parts.map(two).join("-")} ${clock(seconds)}`;
}

export function series(name) {
  return name === null ? "none" : name;
}

export function urgency(value) {
  if (value === "doNext") return "before all (doNext)";
  if (value === "doLast") return "after all (doLast)";
  return figure(value).replace("-", "\u2212");
}

export function plural(n, one, many) {
  return `${count(n)} ${n === 1 ? one : many}`;
}
