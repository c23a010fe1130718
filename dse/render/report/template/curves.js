// Throughput against speed per user: designs drawn through, chips that can be bought as broken lines.

const CURVE_DASHES = ["dash", "dashdot", "dot", "longdash", "longdashdot"];

/** Draws the machines of the chosen workload, where the section is open. */
function drawCurves() {
  if (!byId("curves")?.open || typeof Plotly === "undefined") return;
  const workload = byId("curve-workload").value, rate = byId("curve-rate").value, colours = fills();
  const lines = report.curves.lines.filter((line) => line.workload === workload);
  const traces = lines.map((line, place) => ({
    type: "scatter", mode: "lines+markers", name: line.chips > 1 ? `${line.name}, ${line.chips} chips` : line.name,
    x: line.users, y: line.rates[rate], connectgaps: false,
    text: line.batches.map((batch, k) => `${line.name}, ${numberText(batch)} at a time${line.within[k] ? "" : ", beyond the limits"}`),
    hovertemplate: "%{text}<br>%{x:.3g} token/s per user, %{y:.3g} token/s<extra></extra>",
    line: { color: colours[place % colours.length], width: line.baseline ? 1.5 : 2.5, dash: line.baseline ? CURVE_DASHES[place % CURVE_DASHES.length] : "solid" },
    marker: { size: 7, symbol: line.within.map((kept) => MARKS[place % MARKS.length] + (kept ? "" : "-open")), color: colours[place % colours.length] },
  }));
  const limit = lines.find((line) => line.limit)?.limit;
  const shapes = limit ? [{ type: "line", x0: 1000 / limit, x1: 1000 / limit, yref: "paper", y0: 0, y1: 1, line: { color: css("--ink"), width: 1, dash: "dot" } }] : [];
  draw("curve-chart", traces, layout({
    shapes, xaxis: axis("speed that a user sees in decode [token/s]", { type: "log" }),
    yaxis: axis(`output tokens per second per ${report.curves.rates[rate]}`, { type: "log" }),
  }));
}
