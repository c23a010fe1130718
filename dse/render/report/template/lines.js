// Parallel coordinates: a line per design across what varies and what is optimised, drawn on a canvas.

const MAX_LINES = 3000, LINES_HEIGHT = 330, NEAR_PX = 7, MIN_GAP_PX = 76;
const lines = { order: [], hidden: new Set(), log: new Map(), rows: [], at: [], hovered: -1, drag: null };

/** Returns the columns that may be an axis: what varies, then the objectives and what is limited. */
function lineColumns() {
  const metrics = [...new Set([...report.objectives.map((one) => one.metric), ...report.limits.map((one) => one.metric)])];
  return [...report.columns.filter((column) => column.kind === "parameter"), ...metrics.map((name) => columnOf.get(name)).filter(Boolean)];
}

/** Puts the axes in their first order; what is the same in all of the best designs is hidden. */
function startLines() {
  const all = lineColumns(), best = bestState();
  lines.order = all.map((column) => column.name);
  for (const column of all) {
    const [low, high] = extentOf(column, (row) => report.states[row] >= best);
    if (!(high > low)) lines.hidden.add(column.name);
    lines.log.set(column.name, !column.names.length && low > 0 && (column.log || high > 10 * low));
  }
  const canvas = byId("lines");
  canvas.addEventListener("pointermove", moveOverLines);
  canvas.addEventListener("pointerdown", pressOnLines);
  canvas.addEventListener("pointerup", releaseOnLines);
  canvas.addEventListener("pointerleave", () => { lines.hovered = -1; byId("tip").hidden = true; paintLines(); });
  new ResizeObserver(drawParallel).observe(byId("parallel"));
}

const bestState = () => (report.counts.front ? FRONT : report.counts.feasible ? FEASIBLE : INFEASIBLE);
/** Returns how wide the axes stand together: where there is no room for all of their heads, the view scrolls. */
const linesWidth = () => Math.max(byId("parallel").clientWidth, MIN_GAP_PX * shownAxes().length);
const shownAxes = () => lines.order.filter((name) => !lines.hidden.has(name)).map((name) => columnOf.get(name));

/** Returns how a column's values stand on its axis: 0 at the bottom, 1 at the top. */
function railOf(column) {
  const best = bestState();
  const [low, high] = column.names.length ? [0, Math.max(1, column.names.length - 1)] : extentOf(column, (row) => report.states[row] >= best);
  const log = lines.log.get(column.name) && low > 0, scale = log ? Math.log : (value) => value;
  const bottom = scale(low), span = scale(high) - bottom || 1;
  const back = (place) => (log ? Math.exp(bottom + place * span) : bottom + place * span);
  return { low, high, log, place: (value) => (Number.isFinite(value) ? (scale(value) - bottom) / span : -0.06), back };
}

/** Draws axes and lines of the best designs that the scatter keeps. */
function drawParallel() {
  const best = bestState();
  let rows = [];
  for (let row = 0; row < report.states.length; row++) if (report.states[row] >= best && isKept(row)) rows.push(row);
  const step = Math.ceil(rows.length / MAX_LINES) || 1;
  rows = rows.filter((_, place) => place % step === 0);
  const columns = shownAxes(), width = linesWidth(), gap = width / Math.max(columns.length, 1);
  lines.rails = columns.map((column, k) => ({ column, x: gap * (k + 0.5), ...railOf(column) }));
  lines.rows = rows;
  lines.at = lines.rails.map((rail) => Float32Array.from(rows, (row) => rail.place(numberAt(rail.column, row))));
  const first = columnOf.get(byId("colour").value) ?? columnOf.get(report.objectives[0].metric);
  lines.colour = railOf(first);
  lines.colour.column = first;
  byId("parallel-hint").textContent = rows.length
    ? `${numberText(rows.length)} lines${step > 1 ? `, one in ${step}` : ""} of ${STATE_NAMES[best]} designs, coloured by ${titleOf(first)}. Drag along an axis to filter all views, click on it to undo; hover for the design, click to select it.`
    : "No design is left: clear the filters and the selection above.";
  drawHeads(gap);
  paintLines();
}

/** Writes the heads of the axes with their buttons, and the axes that are hidden. */
function drawHeads(gap) {
  byId("line-heads").replaceChildren(...lines.rails.map((rail, k) => {
    const head = element("div", "", { class: "head", style: `flex: 0 0 ${gap}px` }), { column } = rail, name = column.name;
    const goal = report.objectives.find((one) => one.metric === name);
    head.append(element("span", name.replaceAll("_", "_\u200b") + (column.unit ? ` [${column.unit}]` : "") + (goal ? (goal.direction === "minimize" ? " ▼" : " ▲") : ""), { title: column.meaning, class: goal ? "goal" : "" }));
    const button = (text, label, act, pressed) => {
      const made = element("button", text, { type: "button", "aria-label": `${label} ${name}`, title: label, ...(pressed === undefined ? {} : { "aria-pressed": String(pressed) }) });
      made.addEventListener("click", () => { act(); drawParallel(); remember(); });
      return made;
    };
    const bar = document.createElement("div");
    if (k) bar.append(button("◀", "move left", () => moveAxis(name, -1)));
    if (!column.names.length && rail.low > 0) bar.append(button("log", "logarithmic axis of", () => lines.log.set(name, !lines.log.get(name)), Boolean(rail.log)));
    bar.append(button("✕", "hide", () => lines.hidden.add(name)));
    if (k < lines.rails.length - 1) bar.append(button("▶", "move right", () => moveAxis(name, 1)));
    head.append(bar);
    return head;
  }));
  const hidden = lines.order.filter((name) => lines.hidden.has(name));
  byId("line-hidden").replaceChildren(...hidden.map((name) => {
    const column = columnOf.get(name), row = report.picks[0]?.row;
    const [low, high] = extentOf(column, (one) => report.states[one] >= bestState());
    const made = element("button", `+ ${name}${low === high && row !== undefined ? ` (all ${cellText(column, row)} ${column.unit})` : ""}`, { type: "button", "aria-label": `show ${name}` });
    made.addEventListener("click", () => { lines.hidden.delete(name); drawParallel(); remember(); });
    return made;
  }));
}

/** Moves an axis past the next one that is shown. */
function moveAxis(name, by) {
  const shown = shownAxes().map((column) => column.name), other = shown[shown.indexOf(name) + by];
  if (!other) return;
  const [a, b] = [lines.order.indexOf(name), lines.order.indexOf(other)];
  [lines.order[a], lines.order[b]] = [other, name];
}

const heightOf = (place) => 14 + (1 - place) * (LINES_HEIGHT - 44);

/** Returns a colour of the scale at a place from 0 to 1. */
function cividis(place) {
  const at = Math.min(Math.max(place, 0), 1) * (CIVIDIS.length - 1), k = Math.min(Math.floor(at), CIVIDIS.length - 2);
  const [a, b] = [CIVIDIS[k][1], CIVIDIS[k + 1][1]].map((hex) => [1, 3, 5].map((from) => parseInt(hex.slice(from, from + 2), 16)));
  return `rgb(${a.map((one, c) => Math.round(one + (at - k) * (b[c] - one))).join(",")})`;
}

/** Paints lines, axes, filters and the lines that stand out. */
function paintLines() {
  const canvas = byId("lines"), ratio = window.devicePixelRatio || 1, width = linesWidth();
  canvas.style.width = `${width}px`;
  canvas.width = width * ratio;
  canvas.height = LINES_HEIGHT * ratio;
  canvas.style.height = `${LINES_HEIGHT}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const path = (placeOn) => {
    pen.beginPath();
    lines.rails.forEach((rail, axis) => pen[axis ? "lineTo" : "moveTo"](rail.x, heightOf(placeOn(rail, axis))));
    pen.stroke();
  };
  pen.globalAlpha = Math.min(0.8, Math.max(0.12, 60 / Math.max(lines.rows.length, 1)));
  pen.lineWidth = 1;
  lines.rows.forEach((row, k) => { pen.strokeStyle = cividis(lines.colour.place(numberAt(lines.colour.column, row))); path((_, axis) => lines.at[axis][k]); });
  pen.globalAlpha = 1;
  for (const [row, colour, wide] of [[view.other, css("--good"), 2.5], [view.selected, css("--accent"), 3], [lines.hovered, css("--front"), 3]]) {
    if (!lines.rows.includes(row) && report.states[row] !== LIVE) continue;
    pen.strokeStyle = colour;
    pen.lineWidth = wide;
    path((rail) => Math.min(Math.max(rail.place(numberAt(rail.column, row)), -0.06), 1.06));
  }
  lines.rails.forEach((rail) => paintAxis(pen, rail));
}

/** Paints one axis: the line, its values, and what is filtered. */
function paintAxis(pen, rail) {
  const { column, x } = rail;
  pen.strokeStyle = css("--ink");
  pen.lineWidth = 1.2;
  pen.beginPath();
  pen.moveTo(x, heightOf(1));
  pen.lineTo(x, heightOf(0));
  pen.stroke();
  const filter = view.filters.get(column.name);
  if (filter) {
    const ends = (filter.name !== undefined ? [filter.name - 0.3, filter.name + 0.3] : [filter.low, filter.high]).map((value) => Math.min(Math.max(rail.place(value), 0), 1));
    pen.fillStyle = css("--front");
    pen.globalAlpha = 0.5;
    pen.fillRect(x - 5, heightOf(ends[1]), 10, Math.max(3, heightOf(ends[0]) - heightOf(ends[1])));
    pen.globalAlpha = 1;
  }
  pen.font = "10px system-ui, sans-serif";
  pen.textBaseline = "middle";
  let last = Infinity;
  for (const [value, text] of ticksOf(rail)) {
    const y = heightOf(rail.place(value));
    if (Math.abs(y - last) < 12) continue;
    last = y;
    const wide = pen.measureText(text).width;
    pen.fillStyle = css("--paper");
    pen.globalAlpha = 0.85;
    pen.fillRect(x + 4, y - 6, wide + 4, 12);
    pen.globalAlpha = 1;
    pen.fillStyle = css("--ink");
    pen.fillText(text, x + 6, y);
  }
}

/** Returns values of an axis and their words, from the bottom. */
function ticksOf({ column, low, high, log }) {
  if (column.names.length) {
    const there = new Set(lines.rows.map((row) => column.values[row]));
    return column.names.map((name, code) => [code, name.length > 14 ? `${name.slice(0, 13)}…` : name]).filter(([code]) => there.has(code));
  }
  const inner = log ? [0.25, 0.5, 0.75].map((share) => low * (high / low) ** share) : [0.25, 0.5, 0.75].map((share) => low + share * (high - low));
  const whole = column.kind === "parameter" && Number.isInteger(low) && Number.isInteger(high);
  return [low, ...inner.map((value) => (whole ? Math.round(value) : Number(value.toPrecision(3)))), high].map((value) => [value, numberText(value)]);
}

/** Returns the axis under the pointer, and how far up its axis the pointer is. */
function underPointer(event) {
  const box = byId("lines").getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const place = Math.min(Math.max(1 - (y - 14) / (LINES_HEIGHT - 44), 0), 1);
  return { x, y, place, axis: lines.rails.find((rail) => Math.abs(rail.x - x) < 10) };
}

function moveOverLines(event) {
  const { x, y, place } = underPointer(event);
  if (lines.drag) { lines.drag.to = place; return; }
  const right = lines.rails.findIndex((rail) => rail.x > x);
  let best = -1, least = NEAR_PX;
  if (right > 0) {
    const [a, b] = [lines.rails[right - 1].x, lines.rails[right].x], share = (x - a) / (b - a);
    for (let k = 0; k < lines.rows.length; k++) {
      const far = Math.abs(heightOf(lines.at[right - 1][k] + share * (lines.at[right][k] - lines.at[right - 1][k])) - y);
      if (far < least) { least = far; best = lines.rows[k]; }
    }
  }
  if (best !== lines.hovered) { lines.hovered = best; paintLines(); }
  if (best >= 0) showDesign(best, event); else byId("tip").hidden = true;
}

function pressOnLines(event) {
  const { place, axis } = underPointer(event);
  if (!axis) return;
  lines.drag = { axis, from: place, to: place };
  byId("lines").setPointerCapture(event.pointerId);
}

function releaseOnLines(event) {
  const drag = lines.drag;
  lines.drag = null;
  if (!drag) return lines.hovered >= 0 ? select(lines.hovered) : undefined;
  drag.to = underPointer(event).place;
  const { name } = drag.axis.column, ends = [drag.from, drag.to].sort((a, b) => a - b);
  // A click on an axis undoes its filter.
  if (ends[1] - ends[0] < 0.015) view.filters.delete(name);
  else view.filters.set(name, { low: drag.axis.back(ends[0]) - (ends[0] === 0 ? 1e-9 : 0), high: drag.axis.back(ends[1]) * (ends[1] === 1 ? 1 + 1e-5 : 1) });
  filtersChanged();
}
