// The selected design: its values, and where its time, power, area and cost go.

const BOUND_NAMES = ["memory", "arithmetic", "dequantizing", "kernels", "collective", "near memory"];
const EDGE_OF = { memory_interface: "memory", host_interface: "host", link_interface: "links" };

/** Selects a design in every view. */
function select(row) {
  view.selected = row;
  const pick = report.picks.findIndex((one) => one.row === row);
  byId("pick").value = pick >= 0 ? String(pick) : "";
  drawValues(row);
  drawScatterSelection();
  paintLines();
  remember();
  for (const line of byId("table").tBodies[0].rows) line.setAttribute("aria-selected", String(Number(line.dataset.row) === row));
  drawBreakdown();
}

/** Moves the mark of the selected design, without drawing the points anew. */
function drawScatterSelection() {
  const [x, y] = ["x", "y"].map((which) => columnOf.get(byId(which).value));
  return Plotly.relayout(byId("scatter"), { shapes: [...view.targets, ...selectedShapes(x, y)] });
}

/** Writes the values of the selected design, parameters first, beside those of the one that it is compared with. */
function drawValues(row) {
  const state = report.states[row], missed = missedBy(row), other = view.other;
  const pickOf = (one) => report.picks.find((pick) => pick.row === one)?.names ?? "";
  const named = (one) => `design ${report.ids[one]}${pickOf(one) ? ` (${pickOf(one)})` : ""}`;
  byId("selected-values").replaceChildren(
    element("p", `D${named(row).slice(1)}`),
    missed.length ? element("p", `Misses ${missed.join(", ")}.`, { class: "bad" })
      : element("p", state === LIVE ? placeWords() : state === FRONT ? "Meets every constraint, and is on the front." : "Meets every constraint.", { class: "good" }),
  );
  const workloads = [...new Set(report.columns.filter((one) => one.kind === "metric" && one.name.includes(".")).map((one) => one.name.split(".")[0]))];
  const groups = [
    ["parameters", report.columns.filter((one) => one.kind === "parameter")],
    ["the chip", report.columns.filter((one) => one.kind === "metric" && !one.name.includes("."))],
    ...workloads.map((name) => [name, report.columns.filter((one) => one.kind === "metric" && one.name.startsWith(`${name}.`))]),
  ];
  byId("selected-table").replaceChildren(...groups.map(([title, columns]) => valuesTable(title, columns, row, other)));
  byId("uncompare").hidden = other < 0;
  const shared = Object.entries(report.shared).map(([name, value]) => [name, typeof value === "number" ? numberText(value) : String(value)]);
  byId("selected-shared").replaceChildren(definitionList(shared));
}

/** Returns a table of columns of a design, beside those of another one where there is one. */
function valuesTable(title, columns, row, other) {
  const table = document.createElement("table"), head = document.createElement("tr");
  for (const text of [title, `${report.ids[row]}`, ...(other < 0 ? [] : [`${report.ids[other]}`, "ratio"])]) head.append(element("th", text, { scope: "col", class: head.children.length ? "number" : "" }));
  table.createTHead().append(head);
  const body = table.createTBody();
  for (const column of columns) {
    const line = element("tr"), value = column.values[row];
    line.append(element("th", withUnit(column.name.split(".").at(-1), column.unit), { scope: "row", title: column.meaning }), element("td", cellText(column, row), { class: "number" }));
    if (other >= 0) {
      const its = column.values[other], same = value === its || (Number.isNaN(value) && Number.isNaN(its));
      const ratio = same ? "same" : column.names.length ? "differs" : Number.isFinite(value / its) ? `${numberText(value / its, 3)}x` : "n/a";
      line.append(element("td", cellText(column, other), { class: "number" }), element("td", ratio, { class: same ? "number quiet" : "number" }));
    }
    body.append(line);
  }
  return table;
}

/** Draws where time, power, area and cost of the selected design go, or says why the page cannot. */
function drawBreakdown() {
  if (report.live && isUnseen()) return;
  const found = breakdownOf(view.selected), words = byId("breakdown-words");
  const charts = document.querySelector("#breakdown .charts");
  charts.hidden = byId("breakdown-controls").hidden = !found;
  byId("breakdown-table").parentElement.hidden = !found;
  const id = report.ids[view.selected];
  if (!found) {
    words.textContent = `The page holds breakdowns of ${numberText(report.details.rows.length)} designs: picks and ${report.counts.feasible ? "front" : "least infeasible designs"}. For design ${id}: dse explain ${report.run} ${id}`;
    return;
  }
  const workload = byId("workload").value, phase = byId("phase").value, table = found.workloads[workload], work = table[phase];
  const stale = report.stale ? " The library or the program has changed since the run, so these numbers may differ from the table's." : "";
  const holds = table.fits ? "" : " It does not fit in the memory of its chips: the numbers are those of chips that could hold it.";
  words.textContent = `Design ${id} on ${workload}: ${numberText(work.total_ms)} ms ${phase === "decode" ? "per decode step of the whole batch" : "for the prefill of the whole batch"}, ${numberText(work.bound_ms)} ms of them at full bandwidth or arithmetic rate; ${numberText(work.board_w)} W.${holds}${stale}`;
  drawTime(work, phase);
  drawRoofline(table);
  drawBlocks(found, work);
  drawFloorplan(found);
  drawMargins(found.margins);
  drawAgainst();
  drawUncertainty();
  drawBreakdownTable(found, workload, phase);
}

/** Draws the time of every operator, coloured and hatched by what it waits for. */
function drawTime(work, phase) {
  const names = Object.keys(work.ms), colours = fills(), shapes = ["", "/", ".", "\\", "x", "-", ""];
  const kinds = [...BOUND_NAMES, "outside operators"];
  const traces = kinds.flatMap((kind, place) => {
    const own = names.filter((name) => (name in work.bound ? BOUND_NAMES[work.bound[name]] : kinds.at(-1)) === kind && work.ms[name] > 0);
    if (!own.length) return [];
    return [{
      type: "bar", orientation: "h", name: place < BOUND_NAMES.length ? `waits for ${kind}` : kind, y: own.map((name) => name.replaceAll("_", " ")), x: own.map((name) => work.ms[name]),
      text: own.map((name) => `${numberText(work.ms[name], 3)} ms (${numberText((100 * work.ms[name]) / work.total_ms, 2)} %)`), textposition: "auto", cliponaxis: false,
      textfont: { color: css("--ink") }, insidetextanchor: "start",
      marker: { color: colours[place], opacity: 0.75, pattern: { shape: shapes[place], solidity: 0.2, fillmode: "overlay", fgcolor: css("--ink") } }, hovertemplate: "%{y}: %{text}<extra></extra>",
    }];
  });
  const order = names.map((name) => name.replaceAll("_", " ")).reverse();
  const most = Math.max(...names.map((name) => work.ms[name]));
  draw("time", traces, layout({ barmode: "overlay", xaxis: axis(`time in ${phase} [ms]`, { range: [0, most * 1.3] }), yaxis: axis("", { categoryarray: order, categoryorder: "array" }) }));
}

/** Draws the roofs of one chip and the operators of both phases under them. */
function drawRoofline(table) {
  const bandwidth = table.roofs.bandwidth_gbps / 1e3, colours = fills(), traces = [];
  const points = ["decode", "prefill"].map((phase) => Object.keys(table[phase].bound).flatMap((name) => {
    const { macs, bytes, ms } = table[phase];
    return macs[name] > 0 && bytes[name] > 0 && ms[name] > 0 ? [{ name, x: (2 * macs[name]) / bytes[name], y: (2 * macs[name]) / (ms[name] * 1e9), ms: ms[name] }] : [];
  }));
  const all = points.flat(), low = Math.min(...all.map((p) => p.x), 1) / 2, peaks = table.roofs;
  const high = Math.max(...all.map((p) => p.x), peaks.linear_tflops / bandwidth) * 3;
  [["linear", "solid"], ["attention", "dash"], ["head", "dot"]].forEach(([part, dash]) => {
    const peak = peaks[`${part}_tflops`], ridge = peak / bandwidth;
    traces.push({ type: "scatter", mode: "lines", name: `roof, ${part}: ${numberText(peak, 3)} TFLOP/s`, x: [low, ridge, high], y: [low * bandwidth, peak, peak], line: { color: css("--ink"), width: 1.5, dash }, hoverinfo: "skip" });
  });
  ["decode", "prefill"].forEach((phase, place) => traces.push({
    type: "scatter", mode: "markers", name: phase, x: points[place].map((p) => p.x), y: points[place].map((p) => p.y),
    text: points[place].map((p) => `${p.name.replaceAll("_", " ")}: ${numberText(p.ms, 3)} ms`), hovertemplate: "%{text}<br>%{x:.3g} op/byte, %{y:.3g} TFLOP/s<extra></extra>",
    marker: { size: 11, symbol: place ? "square-open" : "circle", color: colours[place ? 4 : 0], line: { width: 2 } },
  }));
  draw("roofline", traces, layout({
    xaxis: axis(`op/byte through memory; ${numberText(peaks.bandwidth_gbps)} GB/s`, { type: "log" }), yaxis: axis("rate of one chip [TFLOP/s]", { type: "log" }),
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 10 } },
  }));
}

/** Draws power of the phase, area and cost by block. */
function drawBlocks(found, work) {
  const sum = (parts) => Object.values(parts).reduce((total, part) => total + part, 0);
  byId("power-title").textContent = `Power in ${byId("phase").value}, all boards: ${numberText(work.board_w)} W`;
  drawParts("power", work.power_w, "W", work.board_w);
  const { area_mm2: area, cost_usd: cost } = found.blocks;
  byId("area-title").textContent = `Area of one die: ${numberText(sum(area))} mm²`;
  drawParts("area", area, "mm²", sum(area));
  byId("cost-title").textContent = `Production cost of one board: ${numberText(sum(cost))} USD`;
  drawParts("cost", cost, "USD", sum(cost));
}

/** Returns the pieces of a stretch of the edge, clockwise from the top left corner: each [side, from, to]. */
function alongEdge(start, length, sides) {
  const pieces = [];
  let at = start % (2 * (sides[0] + sides[1])), left = length, side = 0;
  while (at >= sides[side]) { at -= sides[side]; side++; }
  while (left > 1e-9 && pieces.length < 6) {
    const piece = Math.min(left, sides[side] - at);
    pieces.push([side, at, at + piece]);
    left -= piece;
    at = 0;
    side = (side + 1) % 4;
  }
  return pieces;
}

/** Returns the inner outline of a strip so deep, cut along the diagonals of the corners that strips meet in. */
function profileOf([side, low, high], depth, sides, met) {
  const long = sides[side], places = [low, high, ...[depth, long - depth, long / 2].filter((at) => at > low && at < high)];
  const inward = (at) => Math.min(depth, met.has(side) ? at : Infinity, met.has((side + 1) % 4) ? long - at : Infinity);
  return [...new Set(places)].sort((a, b) => a - b).map((at) => [at, inward(at)]);
}

/** Returns how deep strips are that cover an area together. */
function depthOf(area, pieces, sides, met) {
  const covered = (depth) => pieces.reduce((sum, piece) => {
    const profile = profileOf(piece, depth, sides, met);
    return sum + profile.slice(1).reduce((part, [at, up], k) => part + ((at - profile[k][0]) * (up + profile[k][1])) / 2, 0);
  }, 0);
  let low = 0, high = Math.max(...sides);
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (covered(middle) < area) low = middle; else high = middle;
  }
  return high;
}

/** Draws the die to scale: interfaces along the edge that they take, blocks inside by area. Not a layout. */
function drawFloorplan(found) {
  const { area_mm2: areas, edge_mm: edges } = found.blocks, ratio = report.floorplan.aspect_ratio, colours = fills();
  const die = Object.values(areas).reduce((a, b) => a + b, 0), width = Math.sqrt(die * ratio), height = die / width;
  const centres = [], shapes = [{ type: "rect", x0: 0, y0: 0, x1: width, y1: height, line: { color: css("--ink"), width: 2 } }], notes = [];
  const scale = Math.min((0.8 * byId("floorplan").clientWidth) / width, 330 / height);
  const note = (x, y, text, size, angle = 0) => notes.push({ textangle: angle, x, y, text, showarrow: false, font: { size, color: css("--ink") }, bgcolor: css("--paper"), opacity: 0.9 });
  const inset = [0, 0, 0, 0]; // top, right, bottom, left
  let start = 0;
  const sides = [width, height, width, height], stretches = [];
  for (const [block, edge] of Object.entries(EDGE_OF)) {
    if (!(edges[edge] > 0)) continue;
    stretches.push({ block, edge, pieces: alongEdge(start, edges[edge], sides) });
    start += edges[edge];
  }
  const every = stretches.flatMap((one) => one.pieces), near = Math.min(width, height) / 4;
  const ends = new Set(every.filter(([side, , high]) => high > sides[side] - near).map(([side]) => (side + 1) % 4));
  const met = new Set(every.filter(([side, low]) => low < near && ends.has(side)).map(([side]) => side));
  const onDie = (side, along, up) => [[along, height - up], [width - up, height - along], [width - along, up], [up, along]][side];
  stretches.forEach(({ block, edge, pieces }, place) => {
    const depth = depthOf(areas[block], pieces, sides, met);
    pieces.forEach((piece, k) => {
      const [side, low, high] = piece, profile = profileOf(piece, depth, sides, met);
      inset[side] = Math.max(inset[side], ...profile.map(([, up]) => up));
      const outline = [[low, 0], [high, 0], ...profile.reverse()].map(([along, up]) => onDie(side, along, up));
      shapes.push({ type: "path", path: `M${outline.map((point) => point.join(",")).join("L")}Z`, fillcolor: colours[place], opacity: 0.55, line: { color: css("--ink"), width: 0.7 } });
      if (!k) note(...onDie(side, (low + high) / 2, depth / 2), `${edge}: ${numberText(edges[edge], 3)} mm edge, ${numberText(areas[block], 3)} mm²`, 10);
    });
  });
  const inside = Object.entries(areas).filter(([block, area]) => !(block in EDGE_OF) && area > 0).sort((a, b) => b[1] - a[1]);
  slices(inside, inset[3], inset[2], width - inset[1], height - inset[0]).forEach(([block, area, x0, y0, x1, y1], k) => {
    shapes.push({ type: "rect", x0, y0, x1, y1, fillcolor: colours[(k + 3) % 8], opacity: 0.35, line: { color: css("--ink"), width: 0.7 } });
    const text = labelWithin([...block.split("_"), `${numberText(area, 3)} mm²`], (x1 - x0) * scale, (y1 - y0) * scale);
    if (text) note((x0 + x1) / 2, (y0 + y1) / 2, text.words, 10, text.angle);
    centres.push({ x: (x0 + x1) / 2, y: (y0 + y1) / 2, text: `${block.replaceAll("_", " ")}: ${numberText(area, 3)} mm²` });
  });
  const used = found.limits.die_edge_mm.used, allowed = found.limits.die_edge_mm.allowed;
  byId("floorplan-title").textContent = `Floorplan: ${numberText(width, 3)} x ${numberText(height, 3)} mm, edge ${numberText(used, 3)} of ${numberText(allowed, 3)} mm usable (${numberText(2 * (width + height), 3)} mm around); die and edge to scale, blocks inside in proportion, places not a layout`;
  const room = 0.04 * Math.max(width, height);
  // Invisible points name every block under the pointer, those too small for a label too.
  const named = { x: centres.map((p) => p.x), y: centres.map((p) => p.y), text: centres.map((p) => p.text), hovertemplate: "%{text}<extra></extra>" };
  draw("floorplan", [{ type: "scatter", ...named, mode: "markers", marker: { opacity: 0, size: 24 }, showlegend: false }], layout({
    shapes, annotations: notes, dragmode: false, xaxis: axis("[mm]", { range: [-room, width + room], showgrid: false, zeroline: false }),
    yaxis: axis("[mm]", { range: [-room, height + room], scaleanchor: "x", showgrid: false, zeroline: false }),
  }));
}

/** Returns the words of a label in lines that fit into so many pixels, upright where they only fit so; null for none. */
function labelWithin(words, across, up) {
  const [letter, line] = [5.8, 14];
  for (const [angle, width, height] of [[0, across, up], [-90, up, across]]) {
    const lines = [""];
    for (const word of words) {
      const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
      if (longer.length * letter <= width - 4) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    const written = lines.filter(Boolean);
    if (written.length * line <= height - 2 && written.every((one) => one.length * letter <= width - 4)) return { words: written.join("<br>"), angle };
  }
  return null;
}

/** Cuts a rectangle into slices by area, always across its longer side. */
function slices(parts, x0, y0, x1, y1) {
  if (!parts.length) return [];
  const [[name, area], ...rest] = parts, share = area / parts.reduce((total, part) => total + part[1], 0);
  if (x1 - x0 >= y1 - y0) {
    const cut = x0 + share * (x1 - x0);
    return [[name, area, x0, y0, cut, y1], ...slices(rest, cut, y0, x1, y1)];
  }
  const cut = y1 - share * (y1 - y0);
  return [[name, area, x0, cut, x1, y1], ...slices(rest, x0, y0, x1, cut)];
}

/** Draws how much every limit and constraint leaves, the tightest at the top. */
function drawMargins(margins) {
  const entries = Object.entries(margins).sort((a, b) => b[1] - a[1]);
  const shown = entries.map(([, margin]) => Math.max(-1, Math.min(1, margin)) * 100);
  const bars = {
    type: "bar", orientation: "h", y: entries.map(([label]) => label), x: shown, textposition: "auto", constraintext: "none", cliponaxis: false,
    text: entries.map(([, margin]) => `${margin >= 0 ? "met" : "MISSED"} ${numberText(100 * margin, 3)} %`), insidetextanchor: "start",
    textfont: { color: css("--ink") }, marker: { color: entries.map(([, margin]) => (margin < 0 ? css("--front") : css("--feasible"))), opacity: 0.6 },
    hovertemplate: "%{y}: %{text}<extra></extra>",
  };
  draw("margins", [bars], layout({ xaxis: axis("margin over the bound [%], cut at 100", { range: [Math.min(-15, ...shown) * 1.25, 130] }), yaxis: axis("", { tickfont: { size: 10 } }) }));
}

/** Draws the selected design over each baseline, as ratios on a logarithmic axis. */
function drawAgainst() {
  const metrics = [...new Set([...report.objectives.map((one) => one.metric), ...report.limits.map((one) => one.metric), "price_usd"])].filter((name) => columnOf.has(name) && report.baselines.some((one) => one.values[name] > 0));
  const colours = fills(), traces = report.baselines.flatMap((baseline, place) => {
    const known = metrics.filter((name) => baseline.values[name] > 0 && columnOf.get(name).values[view.selected] > 0);
    const ratios = known.map((name) => columnOf.get(name).values[view.selected] / baseline.values[name]);
    return known.length ? [{
      type: "scatter", mode: "markers+text", name: `over ${baseline.name}`, x: ratios, text: ratios.map((ratio) => `${numberText(ratio, 2)}x`),
      y: known.map((name) => metrics.indexOf(name) + 0.7 * ((place + 0.5) / report.baselines.length - 0.5)), textposition: "middle right", cliponaxis: false, customdata: known,
      marker: { size: 11, symbol: MARKS[(place + 1) % MARKS.length], color: colours[(place + 4) % 8] }, hovertemplate: `%{customdata}: %{x:.3g}x that of ${baseline.name}<extra></extra>`,
    }] : [];
  });
  draw("against", traces, layout({ xaxis: axis("one chip of this design over the whole baseline", { type: "log" }), yaxis: axis("", { tickfont: { size: 10 }, tickvals: metrics.map((_, k) => k), ticktext: metrics }), shapes: [{ type: "line", x0: 1, x1: 1, y0: 0, y1: 1, yref: "paper", line: { color: css("--pale"), dash: "dash" } }] }));
}

/** Draws P10 to P90 of what the sweep asks for, over the typical value; and what moves the analysed design. */
function drawUncertainty() {
  const found = report.uncertainty, row = view.selected, known = found && row in found.probability;
  byId("intervals").parentElement.hidden = !known;
  byId("swings").parentElement.hidden = !(found && found.of.row === row);
  if (!known) return;
  byId("intervals-title").textContent = `Uncertainty: P10 to P90 of ${found.draws} Monte Carlo samples; meets every target in ${numberText(100 * found.probability[row], 3)} % of them`;
  const asked = [...new Set([...report.objectives.map((one) => one.metric), ...report.limits.map((one) => one.metric), "die_mm2", "tdp_w", "cost_usd", "price_usd"])];
  const shown = asked.filter((name) => found.metrics[name]?.[row]?.every((value) => value > 0)).reverse();
  const at = (k) => shown.map((name) => found.metrics[name][row][k] / found.metrics[name][row][0]);
  const middle = at(2);
  const traces = [{
    type: "scatter", mode: "markers", name: "P10, P50, P90", x: middle, y: shown, marker: { size: 8, color: css("--feasible") },
    error_x: { type: "data", symmetric: false, array: at(3).map((value, k) => value - middle[k]), arrayminus: at(1).map((value, k) => middle[k] - value), color: css("--feasible"), thickness: 2.5, width: 6 },
    text: shown.map((name) => found.metrics[name][row].slice(1).map((value) => numberText(value)).join(" / ") + ` ${report.units[name] ?? ""}`), hovertemplate: "%{y}: P10 / P50 / P90 %{text}<extra></extra>",
  }, {
    type: "scatter", mode: "markers", name: "target", marker: { size: 16, symbol: "line-ns-open", color: css("--front"), line: { width: 3 } },
    ...targetsOver(shown, row, found), hovertemplate: "%{y}: target %{text}<extra></extra>",
  }];
  draw("intervals", traces, layout({ xaxis: axis("over the value at typical parameters"), yaxis: axis("", { tickfont: { size: 10 }, categoryorder: "array", categoryarray: shown }) }));
  if (found.of.row === row) drawSwings(found);
}

/** Returns the targets of metrics over their typical values. */
function targetsOver(shown, row, found) {
  const limits = report.limits.filter((limit) => shown.includes(limit.metric));
  const ratios = limits.map((limit) => limit.value / found.metrics[limit.metric][row][0]);
  // A target several times away would squeeze everything else.
  const near = limits.filter((_, k) => ratios[k] < 3 && ratios[k] > 1 / 3);
  return { x: near.map((limit) => limit.value / found.metrics[limit.metric][row][0]), y: near.map((limit) => limit.metric), text: near.map((limit) => limit.text) };
}

/** Draws how far each input moves the first objective of the analysed design (a tornado). */
function drawSwings(found) {
  const metric = report.objectives[0].metric, most = isNarrow() ? 8 : 12;
  const own = found.swings.filter((swing) => swing[0] === metric && swing.slice(2, 5).every(Number.isFinite)).slice(0, most).reverse();
  const name = (swing) => (swing[1].length > 34 ? `…${swing[1].slice(-32)}` : swing[1]) + ` (${swing[5]})`;
  const bars = (k, label, colour, shape) => ({
    type: "bar", orientation: "h", name: label, y: own.map(name), x: own.map((swing) => swing[k] - swing[3]), base: own.map((swing) => swing[3]),
    marker: { color: colour, pattern: { shape, solidity: 0.2, fillmode: "overlay", fgcolor: css("--ink") } },
    text: own.map((swing) => numberText(swing[k])), customdata: own.map((swing) => swing[1]), hovertemplate: "%{customdata}: %{text}<extra></extra>", textposition: "none",
  });
  byId("swings-title").textContent = `Sensitivity: what moves ${withUnit(metric, report.units[metric])} of this design, one input at a time (confidence in brackets)`;
  draw("swings", [bars(2, "at the low end", css("--b1"), ""), bars(4, "at the high end", css("--b2"), "/")], layout({ barmode: "overlay", xaxis: axis(withUnit(metric, report.units[metric])), yaxis: axis("", { tickfont: { size: 10 } }) }));
}

/** Writes the breakdown as a table, for those who do not see the charts. */
function drawBreakdownTable(found, workload, phase) {
  const work = found.workloads[workload][phase], table = document.createElement("table");
  const add = (cells, kind = "td") => {
    const line = document.createElement("tr");
    cells.forEach((text, place) => line.append(element(place ? kind : "th", text, place && kind === "td" ? { class: "number" } : { scope: kind === "th" ? "col" : "row" })));
    (kind === "th" ? table.createTHead() : table.tBodies[0] ?? table.createTBody()).append(line);
  };
  add(["part", "amount", "unit", "waits for"], "th");
  for (const [name, ms] of Object.entries(work.ms)) add([`time, ${name}`, numberText(ms), "ms", BOUND_NAMES[work.bound[name]] ?? ""]);
  for (const [name, watts] of Object.entries(work.power_w)) add([`power, ${name}`, numberText(watts), "W", ""]);
  for (const [total, parts] of Object.entries(found.blocks)) {
    const cut = total.lastIndexOf("_");
    for (const [name, amount] of Object.entries(parts)) add([`${total.slice(0, cut)}, ${name}`, numberText(amount), total.slice(cut + 1), ""]);
  }
  byId("breakdown-table").replaceChildren(table);
}
