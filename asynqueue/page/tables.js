// Rows of tables. They are kept and changed in place, so that what is selected or
// focused in them stays so, and values become text nodes only.

import * as words from "./words.js";

function change(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// cells: [{text, kind: classes, title, note, badge: a state, share: 0 to 1}, ...]; the
// first is the head of the row.
function fillRow(row, cells, labels) {
  cells.forEach((cell, i) => {
    let node = row.cells[i];
    if (node === undefined) {
      node = document.createElement(i ? "td" : "th");
      if (!i) node.scope = "row";
      node.dataset.label = labels[i];
      row.append(node);
    }
    const kind = cell.kind || "";
    if (node.className !== kind) node.className = kind;
    if ((node.title || "") !== (cell.title || "")) node.title = cell.title || "";
    if (cell.badge !== undefined) {
      inner(node, "badge").dataset.state = cell.badge;
      change(node.firstChild, cell.text);
    } else if (cell.share !== undefined) {
      inner(node, "track").style.width = `${(100 * cell.share).toFixed(1)}%`;
    } else if (cell.note !== undefined) {
      change(inner(node, "name"), cell.text);
      if (node.children.length < 2) node.append(document.createElement("small"));
      change(node.lastChild, cell.note);
    } else {
      change(node, cell.text);
    }
  });
}

function inner(node, kind) {
  if (node.firstElementChild === null) {
    const span = document.createElement("span");
    span.className = kind;
    node.replaceChildren(span);
  }
  return node.firstElementChild;
}

function fill(table, rows) {
  const labels = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
  const body = table.tBodies[0];
  while (body.rows.length > rows.length) body.rows[body.rows.length - 1].remove();
  rows.forEach((cells, i) => fillRow(body.rows[i] || body.insertRow(), cells, labels));
  table.hidden = rows.length === 0;
}

const number = (text, alarm) => ({ text, kind: alarm ? "number alarm" : "number" });

// What a worker does, in a word: a state, and how it is told.
export function stateOf(worker, hasJustDied) {
  if (worker.state === "preparing") {
    if (hasJustDied) return ["dead", "died, restarting"];
    return ["preparing", worker.restarts ? "restarting" : "starting"];
  }
  if (worker.state === "leaving") return ["leaving", "leaving"];
  if (hasJustDied) return ["dead", "died, restarted"];
  return worker.calls.length ? ["busy", "busy"] : ["idle", "idle"];
}

function callsOf(worker) {
  const texts = worker.calls.map((call) =>
    call.series === null ? call.text : `${call.text}  [${call.series}]`,
  );
  if (worker.moreCalls) texts.push(`and ${words.plural(worker.moreCalls, "other", "others")}`);
  return texts.join("\n") || words.NONE;
}

function seriesOf(worker) {
  if (!worker.series.length) return "";
  const more = worker.moreSeries ? ` and ${worker.moreSeries} others` : "";
  return `for ${worker.series.map(words.series).join(", ")}${more}`;
}

export function showWorkers(table, look, justDied) {
  const rows = look.workers.map((worker) => {
    const [badge, state] = stateOf(worker, justDied.has(worker.ID));
    return [
      { text: `${worker.ID}  ${worker.kind}`, note: seriesOf(worker) },
      { text: state, badge },
      { text: worker.pid === null ? words.NONE : String(worker.pid) },
      { text: callsOf(worker), kind: "code lines" },
      number(worker.calls.length ? words.duration(worker.calls[0].seconds) : words.NONE),
      number(words.count(worker.done)),
      number(words.count(worker.failed), worker.failed),
      number(words.duration(worker.callMean)),
      number(words.duration(worker.overheadMean)),
      number(words.size(worker.memory)),
      number(words.count(worker.deaths), worker.deaths),
      number(words.count(worker.restarts)),
    ];
  });
  fill(table, rows);
  const others = words.plural(look.moreWorkers, "other is", "others are");
  return look.moreWorkers ? `${others} not shown.` : rows.length ? "" : "There is none.";
}

export function showWaiting(table, look) {
  const rows = look.waitingRows.map((row) => [
    { text: words.series(row.series), kind: "wide" },
    { text: words.urgency(row.urgency) },
    number(words.count(row.calls)),
    { share: row.calls / look.waiting, kind: "share" },
  ]);
  fill(table, rows);
  const more = look.moreWaitingRows;
  if (more) return `${words.plural(more, "other row is", "other rows are")} not shown.`;
  return rows.length ? "" : "None just now.";
}

export function showDeaths(table, look) {
  const rows = look.lastDeaths.map((death) => {
    const code = death.exitCode === null ? words.NONE : `exit code ${death.exitCode}`;
    const call = death.call ? `\nIn hand: ${death.call}` : "";
    return [
      { text: words.clock(death.time), title: words.date(death.time), kind: "whole" },
      { text: death.worker === null ? words.NONE : String(death.worker) },
      { text: death.pid === null ? words.NONE : String(death.pid) },
      { text: death.signal || code },
      { text: `${death.text}${call}`, kind: "wide lines" },
    ];
  });
  fill(table, rows);
  const more = look.deaths - rows.length;
  if (rows.length && more > 0) return `${words.plural(more, "earlier one is", "earlier ones are")} not shown.`;
  if (rows.length) return "";
  return look.deaths ? `${words.count(look.deaths)}, of which no more is known.` : "None.";
}
