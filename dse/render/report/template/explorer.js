// The scatter and the table: views of the same designs as the lines, filtered and selected together.

/** Returns how many designs a page of the table holds: on a phone each is a block of lines. */
const pageRows = () => (isNarrow() ? 3 : 12);
const view = { filters: new Map(), brush: null, box: null, selected: -1, other: -1, sort: { name: "", down: false }, page: 0, rows: [] };

/** Returns whether the filters (of one column less, where named) let a design pass. */
function passes(row, except = "") {
  for (const [name, filter] of view.filters) {
    if (name === except) continue;
    const value = numberAt(columnOf.get(name), row);
    if (filter.name !== undefined ? value !== filter.name : !(value >= filter.low && value <= filter.high)) return false;
  }
  return true;
}

const isShown = (row) => report.states[row] !== LIVE && byId(`show-${report.states[row]}`).checked && passes(row);
const isKept = (row) => isShown(row) && (!view.brush || view.brush[row] === 1);

// -- scatter ------------------------------------------------------------------------------------------------------

/** Returns whether the numbers in view, baselines among them, spread over more than a decade: the axis is logarithmic. */
function spreads(column) {
  if (column.names.length) return false;
  const ends = extentOf(column), theirs = byId("zoom").checked ? [] : report.baselines.map((one) => one.values[column.name] ?? NaN);
  const [low, high] = [Math.min, Math.max].map((end) => end(...[...ends, ...theirs].filter(Number.isFinite)));
  return low > 0 && high > 10 * low;
}

/** Returns whether the feasible designs would shrink to a corner of what all designs span. */
function isCrowded() {
  return report.counts.feasible > 0 && ["x", "y"].some((which) => {
    const column = columnOf.get(byId(which).value), scale = spreads(column) ? Math.log : (value) => value;
    const [whole, part] = [extentOf(column), extentOf(column, (row) => report.states[row] >= FEASIBLE)].map(([low, high]) => scale(high) - scale(low));
    return part < 0.25 * whole;
  });
}

/** Returns the axis of a column; names stand at their codes. */
function axisOf(column) {
  const more = column.names.length
    ? { tickvals: column.names.map((_, code) => code), ticktext: column.names, range: [-0.5, column.names.length - 0.5] }
    : { type: spreads(column) ? "log" : "linear" };
  if (byId("zoom").checked && !column.names.length) {
    const best = report.counts.feasible ? FEASIBLE : INFEASIBLE;
    const [low, high] = extentOf(column, (row) => report.states[row] >= best && passes(row));
    if (high > low) {
      const ends = more.type === "log" ? [Math.log10(low), Math.log10(high)] : [low, high];
      const room = 0.06 * (ends[1] - ends[0]);
      more.range = [ends[0] - room, ends[1] + room];
    }
  }
  return axis(titleOf(column), more);
}

/** Returns the shapes and words of the targets on the two axes. */
function targets(x, y) {
  const shapes = [], annotations = [];
  for (const limit of report.limits) {
    for (const [which, column] of [["x", x], ["y", y]]) {
      if (limit.metric !== column.name) continue;
      const across = which === "x", other = across ? "y" : "x";
      shapes.push({
        type: "line", [`${which}0`]: limit.value, [`${which}1`]: limit.value, [`${other}0`]: 0, [`${other}1`]: 1,
        [`${other}ref`]: "paper", line: { color: css("--front"), width: 1.5, dash: "dash" }, layer: "above",
      });
      const at = spreads(column) ? Math.log10(limit.value) : limit.value;
      annotations.push({
        [which]: at, [other]: 1, [`${other}ref`]: "paper", text: `target ${limit.text}`, showarrow: false,
        font: { color: css("--bad"), size: 11 }, bgcolor: css("--paper"), textangle: across ? -90 : 0,
        xanchor: across ? "left" : "right", yanchor: across ? "top" : "bottom",
      });
    }
  }
  return { shapes, annotations };
}

/** Returns the trace of the designs of one state; rows remember which design each point is. */
function traceOf(state, x, y, colour) {
  const rows = [], at = [[], []], shade = [];
  for (let row = 0; row < report.states.length; row++) {
    if (report.states[row] !== state || !isShown(row)) continue;
    const across = numberAt(x, row), up = numberAt(y, row);
    if (!Number.isFinite(across) || !Number.isFinite(up)) continue;
    rows.push(row);
    at[0].push(across);
    at[1].push(up);
    if (colour) shade.push(numberAt(colour, row));
  }
  const faded = state === INFEASIBLE && report.counts.feasible > 0;
  const marker = {
    size: state === FRONT ? 8 : state === FEASIBLE ? 6 : 4, opacity: faded ? 0.28 : 0.9,
    symbol: state === FRONT ? "diamond" : "circle",
    color: [css("--pale"), css("--feasible"), css("--front")][state],
    line: { width: state === FRONT ? 0.5 : 0, color: css("--paper") },
  };
  if (colour && !faded) {
    const [low, high] = view.colourExtent;
    Object.assign(marker, { color: shade, colorscale: CIVIDIS, cmin: low, cmax: high, coloraxis: "coloraxis" });
  }
  const selectedpoints = view.brush ? rows.flatMap((row, place) => (view.brush[row] ? [place] : [])) : null;
  return {
    type: "scattergl", mode: "markers", name: STATE_NAMES[state], x: at[0], y: at[1], rows, marker, hoverinfo: "none",
    selectedpoints, unselected: { marker: { opacity: 0.06 } },
  };
}

/** Returns baselines, picks and the selected design as traces on top. */
function marksOf(x, y) {
  const colours = fills();
  const known = (values) => Number.isFinite(values[0]) && Number.isFinite(values[1]);
  const traces = report.baselines.flatMap((baseline, place) => {
    const at = [baseline.values[x.name], baseline.values[y.name]].map((value) => value ?? NaN);
    if (!known(at)) return [];
    return [{
      type: "scatter", mode: "markers+text", name: baseline.name, x: [at[0]], y: [at[1]], text: [baseline.name],
      textposition: ["bottom center", "top center", "middle right", "middle left"][place % 4], cliponaxis: false, hovertemplate: `${baseline.words}<extra>${baseline.name}</extra>`,
      marker: { size: 13, symbol: `${MARKS[(place + 1) % MARKS.length]}-open`, color: colours[(place + 4) % 8], line: { width: 2.5 } },
    }];
  });
  const picks = report.picks.filter((pick) => known([numberAt(x, pick.row), numberAt(y, pick.row)]));
  traces.push({
    type: "scatter", mode: "markers", name: "picks", x: picks.map((p) => numberAt(x, p.row)), y: picks.map((p) => numberAt(y, p.row)),
    rows: picks.map((p) => p.row), hoverinfo: "none", marker: { size: 15, symbol: "circle-open", color: css("--ink"), line: { width: 2 } },
  });
  return traces;
}

/** Returns the diamond and cross around the selected design, as shapes: moving them leaves the points alone. */
function selectedShapes(x, y) {
  const here = view.selected < 0 ? [NaN, NaN] : [numberAt(x, view.selected), numberAt(y, view.selected)];
  if (!here.every(Number.isFinite)) return [];
  const line = { color: css("--accent"), width: 2.5 };
  // Shapes, unlike annotations, take the values themselves on logarithmic axes.
  const place = { xsizemode: "pixel", ysizemode: "pixel", xanchor: here[0], yanchor: here[1], xref: "x", yref: "y", layer: "above", line };
  return [
    { ...place, type: "path", path: "M-13,0L0,-13L13,0L0,13Z" },
    { ...place, type: "path", path: "M-22,0L-13,0M13,0L22,0M0,-22L0,-13M0,13L0,22" },
  ];
}

/** Draws the scatter anew. */
function drawScatter() {
  const x = columnOf.get(byId("x").value), y = columnOf.get(byId("y").value), colour = columnOf.get(byId("colour").value);
  const best = report.counts.feasible ? FEASIBLE : INFEASIBLE;
  view.colourExtent = colour ? extentOf(colour, (row) => report.states[row] >= best) : [0, 1];
  const traces = [INFEASIBLE, FEASIBLE, FRONT].map((state) => traceOf(state, x, y, colour));
  const { shapes, annotations } = targets(x, y);
  view.targets = shapes;
  const its = layout({
    xaxis: axisOf(x), yaxis: axisOf(y), dragmode: "select", annotations, shapes: [...shapes, ...selectedShapes(x, y)], margin: { l: 60, r: 34, t: 34, b: 50 }, modebar: { orientation: "v" },
    // What was zoomed into stays as long as the axes are the same.
    uirevision: `${x.name} ${y.name} ${byId("zoom").checked}`, selectionrevision: view.brush ? 1 : 0, selections: view.brush ? undefined : [],
  });
  if (colour) {
    const named = colour.names.length ? { tickvals: colour.names.map((_, code) => code), ticktext: colour.names } : {};
    const [low, high] = view.colourExtent;
    its.coloraxis = { colorscale: CIVIDIS, cmin: low, cmax: high, colorbar: { title: { text: titleOf(colour), side: "right" }, thickness: 12, ...named } };
  }
  tellOutside(x, y, its);
  return draw("scatter", [...traces, ...marksOf(x, y)], its, { displayModeBar: !isNarrow(), modeBarButtons: BUTTONS });
}

/** Names the baselines that have no place in the scatter, with what is known of them. */
function tellOutside(x, y, its) {
  const words = report.baselines.flatMap((baseline) => {
    const at = [x, y].map((column) => baseline.values[column.name] ?? NaN);
    const inside = at.every((value, k) => {
      const its_axis = [its.xaxis, its.yaxis][k], shown = its_axis.type === "log" ? Math.log10(value) : value;
      return Number.isFinite(value) && (!its_axis.range || (shown >= its_axis.range[0] && shown <= its_axis.range[1]));
    });
    return inside ? [] : [`${baseline.name} (${[x, y].map((column, k) => `${column.name} ${numberText(at[k])} ${Number.isFinite(at[k]) ? column.unit : ""}`.trim()).join(", ")})`];
  });
  byId("outside").textContent = words.length ? `Not in view: ${words.join("; ")}.` : "";
}

/** Shows the design under the pointer. */
function showTip(event) {
  const point = event.points[0], rows = point.data.rows;
  if (rows) showDesign(rows[point.pointNumber], event.event);
}

/** Shows a whole design beside the pointer. */
function showDesign(row, event) {
  const tip = byId("tip");
  const missed = missedBy(row);
  tip.replaceChildren(element("strong", `design ${report.ids[row]}, ${STATE_NAMES[report.states[row]]}`), definitionList(
    report.columns.filter((column) => column.kind === "parameter" || isHeadline(column.name)).map((column) => [column.name, `${cellText(column, row)} ${column.unit}`]),
  ));
  if (missed.length) tip.append(element("div", `misses ${missed.join(", ")}`, { class: "bad" }));
  tip.hidden = false;
  const { clientX, clientY } = event;
  const left = clientX + 18 + tip.offsetWidth > window.innerWidth ? clientX - tip.offsetWidth - 14 : clientX + 18;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, Math.min(clientY + 12, window.innerHeight - tip.offsetHeight - 6))}px`;
}

/** Returns whether a metric is an objective, a constraint, or one of a design's own numbers. */
function isHeadline(name) {
  return report.objectives.some((one) => one.metric === name) || report.limits.some((one) => one.metric === name) || !name.includes(".");
}

/** Takes the designs inside a box or lasso, or none. */
function brushFrom(event) {
  if (!event || !event.points || !(event.range || event.lassoPoints)) {
    view.brush = view.box = null;
  } else {
    view.box = event.range ? { x: event.range.x, y: event.range.y } : null;
    view.brush = new Uint8Array(report.states.length);
    for (const point of event.points) if (point.data.rows) view.brush[point.data.rows[point.pointNumber]] = 1;
  }
  view.page = 0;
  drawParallel();
  drawTable();
  remember();
}

/** Takes the designs inside a box of the two axes, as a link brings it. */
function brushBox(box) {
  const [x, y] = ["x", "y"].map((which) => columnOf.get(byId(which).value));
  const within = (value, [a, b]) => value >= Math.min(a, b) && value <= Math.max(a, b);
  view.box = box;
  view.brush = Uint8Array.from(report.states, (_, row) => Number(isShown(row) && within(numberAt(x, row), box.x) && within(numberAt(y, row), box.y)));
}

// -- filters ------------------------------------------------------------------------------------------------------

/** Draws everything that the filters touch, and lists them. */
function filtersChanged() {
  const list = byId("filter-list");
  list.replaceChildren(...[...view.filters].map(([name, filter]) => {
    const column = columnOf.get(name);
    const words = filter.name !== undefined ? `is ${column.names[filter.name]}`
      : column.names.length ? `is ${column.names.filter((_, code) => code >= filter.low && code <= filter.high).join(" or ") || "nothing"}`
      : `${numberText(filter.low)} to ${numberText(filter.high)} ${column.unit}`;
    const item = document.createElement("li"), button = element("button", `${name} ${words} ✕`, { type: "button", "aria-label": `Remove the filter ${name} ${words}` });
    button.addEventListener("click", () => { view.filters.delete(name); filtersChanged(); });
    item.append(button);
    return item;
  }));
  view.page = 0;
  drawScatter();
  drawParallel();
  drawTable();
  remember();
}

// -- table --------------------------------------------------------------------------------------------------------

/** Returns the columns of the table. */
function tableColumns() {
  const metrics = report.columns.filter((column) => column.kind === "metric" && isHeadline(column.name) && column.name !== "edge_fraction");
  return [...report.columns.filter((column) => column.kind === "parameter"), ...metrics];
}

/** Fills the table with a page of the designs that every view keeps, the best first. */
function drawTable() {
  const rows = [];
  let infeasible = 0;
  for (let row = 0; row < report.states.length; row++) {
    if (!isKept(row)) continue;
    rows.push(row);
    infeasible += report.states[row] === INFEASIBLE;
  }
  const column = columnOf.get(view.sort.name), sign = view.sort.down ? -1 : 1;
  if (column) {
    rows.sort((a, b) => {
      const [p, q] = [numberAt(column, a), numberAt(column, b)];
      return Number.isNaN(p) ? 1 : Number.isNaN(q) ? -1 : sign * (p - q) || report.states[b] - report.states[a];
    });
  } else {
    const first = columnOf.get(report.objectives[0].metric), best = report.objectives[0].direction === "minimize" ? 1 : -1;
    rows.sort((a, b) => report.states[b] - report.states[a] || best * (first.values[a] - first.values[b]));
  }
  view.rows = rows;
  const perPage = pageRows(), pages = Math.max(1, Math.ceil(rows.length / perPage));
  view.page = Math.min(view.page, pages - 1);
  const columns = tableColumns();
  drawTableHead(columns);
  byId("table").tBodies[0].replaceChildren(...rows.slice(view.page * perPage, (view.page + 1) * perPage).map((row, place) => tableRow(row, columns, place)));
  byId("page").textContent = `${view.page + 1} of ${numberText(pages)}`;
  byId("state").textContent = `${numberText(report.counts.shown)} designs on this page, ${numberText(rows.length)} kept by filters and selection, ${numberText(infeasible)} of those infeasible.`;
  byId("clear-here").hidden = rows.length > 0;
}

function drawTableHead(columns) {
  const head = document.createElement("tr");
  for (const column of [null, null, ...columns]) {
    const cell = element("th", "", { scope: "col" });
    if (!column) cell.textContent = head.children.length ? "state" : "design";
    else {
      const sorted = view.sort.name === column.name;
      const mark = sorted ? (view.sort.down ? " ▼" : " ▲") : "";
      const button = element("button", `${column.name.replace(".", ".\n")}${column.unit ? `\n[${column.unit}]` : ""}${mark}`, { type: "button", title: column.meaning });
      button.dataset.sort = column.name;
      cell.append(button);
      cell.setAttribute("aria-sort", sorted ? (view.sort.down ? "descending" : "ascending") : "none");
    }
    head.append(cell);
  }
  byId("table").tHead.replaceChildren(head);
  byId("sort").value = view.sort.name;
  byId("sort-down").checked = view.sort.down;
}

function tableRow(row, columns, place) {
  const line = element("tr", "", { tabindex: place ? "-1" : "0", "aria-selected": String(row === view.selected) });
  line.dataset.row = row;
  line.append(element("th", String(report.ids[row]), { scope: "row" }), element("td", STATE_NAMES[report.states[row]]));
  for (const column of columns) line.append(element("td", cellText(column, row), { "data-label": titleOf(column), ...(column.names.length ? {} : { class: "number" }) }));
  return line;
}

/** Moves between the rows of the table by keyboard. */
function tableKeys(event) {
  const line = event.target.closest("tbody tr");
  if (!line) return;
  const steps = { ArrowDown: line.nextElementSibling, ArrowUp: line.previousElementSibling };
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    select(Number(line.dataset.row));
    byId("table").querySelector(`tr[data-row="${line.dataset.row}"]`)?.focus();
  } else if (event.key in steps) {
    event.preventDefault();
    if (steps[event.key]) steps[event.key].focus();
    else turnPage(event.key === "ArrowDown" ? 1 : -1, true);
  }
}

/** Turns the pages of the table. */
function turnPage(by, focus = false) {
  const last = Math.ceil(view.rows.length / pageRows()) - 1, to = Math.min(Math.max(view.page + by, 0), Math.max(last, 0));
  if (to === view.page) return;
  view.page = to;
  drawTable();
  const lines = byId("table").tBodies[0].rows;
  if (focus) (by > 0 ? lines[0] : lines[lines.length - 1])?.focus();
}

/** Saves every design that filters and selection keep as CSV, every column of the page. */
function saveCsv() {
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const cell = (column, row) => (column.names.length ? (column.values[row] === NO_NAME ? "" : column.names[column.values[row]]) : Number.isNaN(column.values[row]) ? "" : String(Number(column.values[row].toPrecision(6))));
  const head = ["design", "state", ...report.columns.map(titleOf)].map(quoted).join(",");
  const body = view.rows.map((row) => [report.ids[row], STATE_NAMES[report.states[row]], ...report.columns.map((column) => quoted(cell(column, row)))].join(","));
  const link = element("a", "", { href: URL.createObjectURL(new Blob([[head, ...body].join("\n") + "\n"], { type: "text/csv" })), download: `${report.name}-designs.csv` });
  link.click();
  URL.revokeObjectURL(link.href);
}

// -- a link that reopens what is seen -------------------------------------------------------------------------------

/** Keeps axes, filters, selection and comparison in the address, so that the page reopens as it is. */
function remember() {
  const state = {
    x: byId("x").value, y: byId("y").value, c: byId("colour").value, f: [...view.filters], b: view.box,
    s: view.selected < 0 ? undefined : report.ids[view.selected], o: view.other < 0 ? undefined : report.ids[view.other],
    p: report.live ? live.design : undefined, a: lines.order, h: [...lines.hidden], l: [...lines.log].filter(([, log]) => log).map(([name]) => name),
  };
  history.replaceState(null, "", `#view=${encodeURIComponent(JSON.stringify(state))}`);
}

/** Takes what the address says; nothing where it says nothing, or nothing that fits this page. */
function recall() {
  if (!location.hash.startsWith("#view=")) return false;
  let state;
  try { state = JSON.parse(decodeURIComponent(location.hash.slice(6))); } catch { return false; }
  const known = (name) => columnOf.has(name);
  for (const [id, name] of [["x", state.x], ["y", state.y], ["colour", state.c]]) if (known(name)) byId(id).value = name;
  view.filters = new Map((state.f ?? []).filter(([name]) => known(name)).map(([name, f]) => [name, f.name !== undefined ? f : { low: f.low ?? -Infinity, high: f.high ?? Infinity }]));
  const all = lineColumns().map((column) => column.name), given = (state.a ?? []).filter((name) => all.includes(name));
  lines.order = [...given, ...all.filter((name) => !given.includes(name))];
  lines.hidden = new Set((state.h ?? []).filter(known));
  for (const name of all) lines.log.set(name, (state.l ?? []).includes(name));
  view.selected = report.ids.indexOf(state.s ?? -1);
  view.other = report.ids.indexOf(state.o ?? -1);
  if (state.b) brushBox(state.b);
  if (report.live && state.p) live.design = state.p;
  return true;
}
