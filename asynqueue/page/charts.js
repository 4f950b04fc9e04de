// Curves over time and histograms, drawn as SVG. Texts become text nodes only.

import * as words from "./words.js";
import { SPAN, sum } from "./history.js";

// How many seconds curves may span, and how far apart the marks of time are then.
const SPANS = [
  [60, 20],
  [90, 30],
  [120, 30],
  [180, 60],
  [240, 60],
  [SPAN, 60],
];

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 52;
const RIGHT = 6;
const TOP = 8;
const BOTTOM = 20;

// How large plots are. It is kept from when the browser has laid the page out: to ask
// while the page is being changed would have it do so once for each of them.
const sizes = new WeakMap();
let resized = () => {};
const observer = new ResizeObserver((entries) => {
  for (const entry of entries) sizes.set(entry.target, entry.contentRect);
  resized();
});

// Has something done whenever the size of a plot is another.
export function whenResized(f) {
  resized = f;
}

function sizeOf(plot) {
  if (!sizes.has(plot)) {
    sizes.set(plot, { width: plot.clientWidth, height: plot.clientHeight });
    observer.observe(plot);
  }
  return sizes.get(plot);
}

function add(parent, name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function begin(plot, label) {
  const { width, height } = sizeOf(plot);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  plot.replaceChildren(svg);
  return { svg, width, height };
}

// Round numbers from 0 to somewhat above the most.
function ticks(most) {
  const rough = Math.max(most, 1e-9) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((each) => each * power >= rough * 0.9999);
  const above = Math.max(1, Math.ceil(most / step - 1e-4));
  return Array.from({ length: above + 1 }, (_, i) => i * step);
}

function decades(least, most) {
  const low = Math.floor(Math.log10(least));
  const high = Math.max(low + 1, Math.ceil(Math.log10(most)));
  const step = Math.ceil((high - low) / 4);
  const found = [];
  for (let power = low; power < high + step; power += step) found.push(10 ** power);
  return found;
}

function grid(svg, marks, y, width, text) {
  for (const mark of marks) {
    add(svg, "line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(mark), y2: y(mark) });
    add(svg, "text", { x: LEFT - 6, y: y(mark) + 4, "text-anchor": "end" }, text(mark));
  }
}

// Curves of the points of a history, with what they are under the pointer.
//
// curves: [{name, key}, ...]; options: {text: value to text, log: a logarithmic scale}
export class TimeChart {
  constructor(figure, curves, options) {
    this.plot = figure.querySelector(".plot");
    this.reading = figure.querySelector(".reading");
    this.title = figure.querySelector("h2").textContent;
    this.curves = curves;
    this.options = options;
    this.points = [];
    this.pointer = null;
    this.plot.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.plot.addEventListener("pointerleave", () => this.point(null));
  }

  point(x) {
    this.pointer = x;
    this.draw(this.points, this.now);
  }

  draw(points, now) {
    this.points = points;
    this.now = now;
    const { width } = sizeOf(this.plot);
    if (now === undefined || !width) return;
    const age = points.length ? now - points[0].time : 0;
    const [span, apart] = SPANS.find(([most]) => age <= most) || SPANS.at(-1);
    const x = (time) => width - RIGHT - ((now - time) / span) * (width - LEFT - RIGHT);
    const chosen = this.chosen(x);
    this.read(chosen);
    const { svg, height } = begin(this.plot, this.label());
    const y = this.scale(svg, width, height);
    for (let ago = 0; ago < span; ago += apart) {
      const text = ago ? `\u2212${words.duration(ago).replace(" 0 s", "")}` : "now";
      const anchor = ago ? "middle" : "end";
      add(svg, "text", { x: x(now - ago), y: height - 4, "text-anchor": anchor }, text);
    }
    this.curves.forEach((curve, i) => this.curve(svg, curve.key, i + 1, x, y, height));
    if (chosen !== null && this.pointer !== null) {
      const at = x(chosen.time);
      add(svg, "line", { class: "cursor", x1: at, x2: at, y1: TOP, y2: height - BOTTOM });
      const isLeft = at < (LEFT + width) / 2;
      const place = { x: at + (isLeft ? 5 : -5), y: TOP + 8, "text-anchor": isLeft ? "start" : "end" };
      add(svg, "text", place, words.clock(chosen.time));
    }
  }

  // The point that is nearest to the pointer, or the last.
  chosen(x) {
    if (!this.points.length) return null;
    if (this.pointer === null) return this.points.at(-1);
    const far = (point) => Math.abs(x(point.time) - this.pointer);
    return this.points.reduce((a, b) => (far(b) <= far(a) ? b : a));
  }

  read(point) {
    const parts = this.curves.map((curve, i) => {
      const span = document.createElement("span");
      if (this.curves.length > 1) span.className = `key${i + 1}`;
      const value = point === null ? words.NONE : this.options.text(point[curve.key]);
      span.textContent = `${curve.name} ${value}`.trim();
      return span;
    });
    this.reading.replaceChildren(...parts);
  }

  values(key) {
    return this.points.map((point) => point[key]).filter((value) => value !== null);
  }

  label() {
    const told = this.curves.map((curve) => {
      const values = this.values(curve.key);
      if (!values.length) return `${curve.name} not known yet`;
      const most = this.options.text(Math.max(...values));
      return `${curve.name} now ${this.options.text(values.at(-1))}, at most ${most}`;
    });
    return `${this.title} in the last five minutes: ${told.join("; ")}`;
  }

  scale(svg, width, height) {
    const all = this.curves.flatMap((curve) => this.values(curve.key));
    const [low, high] = [height - BOTTOM, TOP];
    let y;
    let marks;
    if (this.options.log) {
      const positive = all.filter((value) => value > 0);
      marks = positive.length
        ? decades(Math.min(...positive), Math.max(...positive))
        : [1e-4, 1e-3, 1e-2];
      const [least, most] = [Math.log10(marks[0]), Math.log10(marks.at(-1))];
      y = (v) => low - ((Math.log10(Math.max(v, marks[0])) - least) / (most - least)) * (low - high);
    } else {
      marks = ticks(Math.max(this.options.least, ...all));
      y = (v) => low - (v / marks.at(-1)) * (low - high);
    }
    grid(svg, marks, y, width, this.options.mark || this.options.text);
    return y;
  }

  curve(svg, key, number, x, y, height) {
    let run = [];
    const flush = () => {
      if (run.length) {
        const line = run.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join("L");
        const base = height - BOTTOM;
        if (number === 1 && !this.options.log) {
          const area = `M${run[0][0]},${base}L${line}L${run.at(-1)[0]},${base}Z`;
          add(svg, "path", { class: "area1", d: area });
        }
        // A point alone is a dot, by the round ends of a line that goes nowhere.
        add(svg, "path", { class: `curve curve${number}`, d: `M${line}${run.length > 1 ? "" : "h0.01"}` });
      }
      run = [];
    };
    for (const point of this.points) {
      if (point[key] === null) flush();
      else run.push([x(point.time), y(point[key])]);
    }
    flush();
  }
}

function bucketName(bounds, i) {
  if (i === 0) return `up to ${words.duration(bounds[0])}`;
  if (i === bounds.length) return `above ${words.duration(bounds.at(-1))}`;
  return `${words.duration(bounds[i - 1])} to ${words.duration(bounds[i])}`;
}

// Bars, one for each bucket from the first to the last that has anything, with some
// beside them. What stands between two bars is the bound between the two buckets.
export function drawHistogram(figure, histogram, number, fact) {
  const plot = figure.querySelector(".plot");
  if (!sizeOf(plot).width) return;
  const title = figure.querySelector("h3").textContent;
  const { bounds, counts } = histogram;
  const all = sum(histogram);
  const told = all ? `${words.plural(all, "call", "calls")}, ${fact}` : "no call yet";
  figure.querySelector(".reading").textContent = told;
  const { svg, width, height } = begin(plot, `${title}: ${told}`);
  const used = counts.flatMap((n, i) => (n ? [i] : []));
  let [first, last] = used.length ? [used[0], used.at(-1)] : [0, counts.length - 1];
  while (last - first < 7 && (first > 0 || last < counts.length - 1)) {
    if (first > 0) first -= 1;
    if (last - first < 7 && last < counts.length - 1) last += 1;
  }
  const marks = ticks(Math.max(4, ...counts));
  const [low, high] = [height - BOTTOM, TOP];
  const y = (n) => low - (n / marks.at(-1)) * (low - high);
  grid(svg, marks, y, width, words.count);
  const step = (width - LEFT - RIGHT) / (last - first + 1);
  const every = Math.ceil(58 / step);
  for (let i = first; i <= last; i++) {
    const left = LEFT + (i - first) * step;
    const bar = add(svg, "rect", {
      class: `bar${number}`,
      x: left + step * 0.06,
      width: step * 0.88,
      y: counts[i] ? Math.min(y(counts[i]), low - 1.5) : low,
      height: counts[i] ? Math.max(low - y(counts[i]), 1.5) : 0,
      rx: 1.5,
    });
    const share = all ? words.figure((100 * counts[i]) / all) : "0";
    const text = words.plural(counts[i], "call", "calls");
    add(bar, "title", {}, `${bucketName(bounds, i)}: ${text}, ${share} %`);
    if (i < bounds.length && (i - first + 1) % every === 0 && i < last) {
      add(
        svg,
        "text",
        { x: left + step, y: height - 4, "text-anchor": "middle" },
        words.duration(bounds[i]),
      );
    }
  }
}
