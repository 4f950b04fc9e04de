// Listens to the events of a queue and shows them.

import * as words from "./words.js";
import { History, sum } from "./history.js";
import { TimeChart, drawHistogram, whenResized } from "./charts.js";
import { showDeaths, showWaiting, showWorkers } from "./tables.js";

// For how many seconds a death is shown in the row of its worker.
const MOURNING = 10;

const at = (id) => document.getElementById(id);
const history = new History();
const diedAt = new Map();
const charts = [
  new TimeChart(at("rateChart"), [{ name: "", key: "rate" }], {
    text: (rate) => `${words.figure(rate)} calls/s`,
    mark: words.figure,
    least: 1,
  }),
  new TimeChart(
    at("depthChart"),
    [
      { name: "waiting", key: "waiting" },
      { name: "in hand", key: "inHand" },
    ],
    { text: words.figure, least: 4 },
  ),
  new TimeChart(
    at("timeChart"),
    [
      { name: "call", key: "call" },
      { name: "overhead", key: "overhead" },
    ],
    { text: words.duration, log: true },
  ),
];
let source = null;
let over = false;
let lastLook = null;
let lastCame = 0;
let drawing = false;

function put(id, text, alarm = false) {
  const node = at(id);
  if (node.textContent !== text) node.textContent = text;
  node.classList.toggle("alarm", alarm);
}

function say(state, text) {
  const node = at("state");
  node.dataset.state = state;
  if (node.textContent !== text) node.textContent = text;
}

// Who has died since the last look.
function noticeDeaths(look, last) {
  const before = new Map((last ? last.workers : []).map((each) => [each.ID, each.deaths]));
  for (const worker of look.workers) {
    if (worker.deaths > (before.get(worker.ID) ?? worker.deaths)) {
      diedAt.set(worker.ID, look.time);
    }
  }
  for (const [ID, time] of diedAt) {
    if (look.time - time > MOURNING || look.time < time) diedAt.delete(ID);
  }
}

function showTiles(look) {
  const [last, old] = history.pair(60);
  const since = (key) => last[key] - old[key];
  const seconds = last.time - old.time;
  const span = words.duration(Math.round(seconds)).replace(" 0 s", "");
  const lately = (key) => (since(key) > 0 ? `+${words.count(since(key))} in ${span}` : "");
  const point = history.points.at(-1);
  put("rate", point ? words.figure(point.rate) : words.NONE);
  const mean = (since("done") + since("failed")) / seconds;
  put("rateNote", seconds >= 5 ? `${words.figure(mean)} over ${span}` : "");
  put("waiting", words.count(look.waiting));
  const kinds = look.waitingRows.length + look.moreWaitingRows;
  put("waitingNote", kinds > 1 ? `of ${kinds} kinds` : "");
  put("inHand", words.count(look.inHand));
  put("inHandNote", `${words.plural(look.workers.length + look.moreWorkers, "worker", "workers")}`);
  put("done", words.count(look.done));
  put("doneNote", lately("done"));
  put("failed", words.count(look.failed), look.failed > 0);
  const cancelled = look.cancelled ? `and ${words.count(look.cancelled)} cancelled` : "";
  put("failedNote", lately("failed") || cancelled);
  put("deaths", words.count(look.deaths), look.deaths > 0);
  put("deathsNote", look.restarts ? words.plural(look.restarts, "restart", "restarts") : "");
}

function factOf(histogram) {
  const n = sum(histogram);
  return n ? `${words.duration(histogram.total / n)} in the mean` : "";
}

function show() {
  drawing = false;
  const look = lastLook;
  if (look === null) return;
  showTiles(look);
  for (const chart of charts) chart.draw(history.points, look.time);
  put("moreWorkers", showWorkers(at("workers"), look, diedAt));
  put("moreQueued", showWaiting(at("queued"), look));
  put("moreDied", showDeaths(at("died"), look));
  const span = document.querySelector("input[name=span]:checked").value;
  ["call", "overhead"].forEach((name, i) => {
    const histogram = history.histogram(`${name}Seconds`, span === "all" ? Infinity : 60);
    drawHistogram(at(`${name}Histogram`), histogram, i + 1, factOf(histogram));
  });
  put("freshness", `As of ${words.date(look.time)}, again every ${words.duration(look.interval)}.`);
}

// Once for all that came since the last frame, and not at all where nobody looks.
function showSoon() {
  if (!drawing) {
    drawing = true;
    requestAnimationFrame(show);
  }
}

function take(event) {
  const look = JSON.parse(event.data);
  noticeDeaths(look, lastLook);
  history.add(look);
  lastLook = look;
  lastCame = performance.now();
  if (document.title !== look.title) document.title = look.title;
  put("title", look.title);
  say(look.isRunning ? "live" : "over", look.isRunning ? "live" : "shutting down");
  showSoon();
}

function end(event) {
  over = true;
  source.close();
  say("over", event.data === "shutdown" ? "the queue is shut down" : "the program has stopped");
}

function connect() {
  if (source !== null) source.close();
  source = new EventSource("events");
  source.onmessage = take;
  source.addEventListener("end", end);
  source.onerror = () => {
    if (over) return;
    say("lost", "connection lost, trying again");
    // A browser tries again by itself, but not if it got an answer that is no stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
}

// A connection may also be lost without anybody being told.
setInterval(() => {
  if (over || lastLook === null) return;
  if (performance.now() - lastCame > 1000 * (3 * lastLook.interval + 5)) {
    say("lost", "connection lost, trying again");
    lastCame = performance.now();
    connect();
  }
}, 1000);

for (const input of document.querySelectorAll("input[name=span]")) {
  input.addEventListener("change", showSoon);
}
whenResized(showSoon);
connect();
