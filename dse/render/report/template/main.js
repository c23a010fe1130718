// Starts the page: dequantizes, fills the controls, connects the views.

const THEMES = ["auto", "light", "dark"];
const THEME_WORDS = { auto: "as the system", light: "light", dark: "dark" };
let theme = "auto";

/** Fills a select with options of name and text. */
function fill(id, options, chosen) {
  byId(id).replaceChildren(...options.map(([value, text]) => element("option", text, { value })));
  byId(id).value = chosen;
}

/** Puts the colours of the page to light or dark. */
function applyTheme() {
  const dark = theme === "dark" || (theme === "auto" && window.matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme").textContent = `Colours: ${THEME_WORDS[theme]}`;
  byId("theme").setAttribute("aria-label", byId("theme").textContent);
}

/** Draws everything. */
function drawAll() {
  drawScatter();
  drawParallel();
  drawTable();
  drawCurves();
  if (view.selected >= 0) { drawValues(view.selected); drawBreakdown(); }
}

/** Opens the section that a link of the page names, where it is folded. */
function openNamed() {
  const target = location.hash.length > 1 && !location.hash.startsWith("#view=") ? byId(location.hash.slice(1)) : null;
  if (target?.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
}

/** Takes the selected design, or none, as the other one of the comparison. */
function compareWith(row) {
  view.other = row;
  drawValues(view.selected);
  paintLines();
  remember();
}

/** Fills the controls with what the report holds. */
function fillControls() {
  const options = report.columns.map((column) => [column.name, titleOf(column)]);
  const [first, second] = report.objectives.map((one) => one.metric);
  fill("x", options, first);
  fill("y", options, second ?? report.limits.find((limit) => limit.metric !== first)?.metric ?? "die_mm2");
  fill("colour", [["", "by state"], ...options], "");
  fill("filter-column", options, options[0][0]);
  fill("sort", [["", "best first"], ...tableColumns().map((column) => [column.name, titleOf(column)])], "");
  fill("pick", [["", "none of the picks"], ...report.picks.map((pick, place) => [String(place), pick.names])], "");
  const workloads = [...new Set(report.details.paths.filter((path) => path[0] === "workloads").map((path) => path[1]))];
  fill("workload", workloads.map((name) => [name, name]), workloads[0]);
  byId("zoom").checked = isCrowded();
  filterColumnChanged();
}

/** Shows the inputs that fit the column to filter by. */
function filterColumnChanged() {
  const column = columnOf.get(byId("filter-column").value), named = column.names.length > 0;
  byId("filter-range").hidden = named;
  byId("filter-named").hidden = !named;
  if (named) return fill("filter-name", column.names.map((name, code) => [String(code), name]), "0");
  const [low, high] = extentOf(column);
  byId("filter-low").value = Number(low.toPrecision(6));
  byId("filter-high").value = Number(high.toPrecision(6));
}

/** Adds the filter that the inputs describe. */
function addFilter() {
  const column = columnOf.get(byId("filter-column").value);
  const number = (id, otherwise) => (byId(id).value === "" ? otherwise : Number(byId(id).value));
  // Shown numbers are rounded, so a bound is widened by as much as it may be off.
  view.filters.set(column.name, column.names.length ? { name: Number(byId("filter-name").value) }
    : { low: number("filter-low", -Infinity) * (1 - 1e-5), high: number("filter-high", Infinity) * (1 + 1e-5) });
  filtersChanged();
}

/** Connects what people do to what happens. */
function connect() {
  for (const id of ["x", "y", "zoom"]) byId(id).addEventListener("change", () => { drawScatter(); remember(); });
  byId("colour").addEventListener("change", () => { drawScatter(); drawParallel(); remember(); });
  for (const state of [0, 1, 2]) byId(`show-${state}`).addEventListener("change", () => { drawScatter(); drawParallel(); drawTable(); });
  for (const id of ["clear", "clear-here"]) byId(id).addEventListener("click", () => { view.filters.clear(); view.brush = view.box = null; filtersChanged(); });
  byId("csv").addEventListener("click", saveCsv);
  byId("compare").addEventListener("click", () => compareWith(view.selected));
  byId("uncompare").addEventListener("click", () => compareWith(-1));
  window.addEventListener("hashchange", openNamed);
  // What was drawn while folded has no size.
  byId("breakdown").addEventListener("toggle", () => byId("breakdown").open && view.selected >= 0 && drawBreakdown());
  for (const id of ["curves", "curve-workload", "curve-rate"]) byId(id)?.addEventListener(id === "curves" ? "toggle" : "change", drawCurves);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("filter-column").addEventListener("change", filterColumnChanged);
  byId("filter-add").addEventListener("click", addFilter);
  byId("pick").addEventListener("change", (event) => event.target.value !== "" && select(report.picks[Number(event.target.value)].row));
  for (const id of ["workload", "phase"]) byId(id).addEventListener("change", drawBreakdown);
  for (const id of ["sort", "sort-down"]) byId(id).addEventListener("change", () => { view.sort = { name: byId("sort").value, down: byId("sort-down").checked }; view.page = 0; drawTable(); });
  byId("before").addEventListener("click", () => turnPage(-1));
  byId("after").addEventListener("click", () => turnPage(1));
  byId("table").addEventListener("keydown", tableKeys);
  byId("table").addEventListener("click", (event) => {
    const name = event.target.closest("button")?.dataset.sort, line = event.target.closest("tbody tr");
    if (name) { view.sort = { name, down: view.sort.name === name && !view.sort.down }; drawTable(); byId("table").querySelector(`[data-sort="${name}"]`).focus(); }
    else if (line) select(Number(line.dataset.row));
  });
  byId("theme").addEventListener("click", () => { theme = THEMES[(THEMES.indexOf(theme) + 1) % 3]; applyTheme(); drawAll(); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { applyTheme(); drawAll(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") byId("tip").hidden = true; });
  const scatter = byId("scatter");
  scatter.on("plotly_hover", showTip);
  scatter.on("plotly_unhover", () => { byId("tip").hidden = true; });
  scatter.on("plotly_click", (event) => { const rows = event.points[0].data.rows; if (rows) select(rows[event.points[0].pointNumber]); });
  scatter.on("plotly_selected", brushFrom);
  scatter.on("plotly_deselect", () => { brushFrom(null); drawScatter(); });
}

/** Starts plotly from its packed text, as a script of this page. */
async function startPlotly() {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await dequantized("packed-plotly"));
  document.head.append(script);
}

async function start() {
  applyTheme();
  byId("state").textContent = "Unpacking …";
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack gzip; one of 2023 or later can");
  const [designs, details] = await Promise.all([dequantized("packed-designs"), dequantized("packed-details")]);
  readDesigns(designs);
  readDetails(details);
  if (report.live) addLiveRow();
  fillControls();
  startLines();
  const knee = report.picks.find((pick) => pick.names.includes("knee")) ?? report.picks[0];
  if (!recall() || view.selected < 0) view.selected = knee?.row ?? -1;
  drawTable();
  if (view.selected >= 0) { drawValues(view.selected); byId("pick").value = String(report.picks.findIndex((pick) => pick.row === view.selected)); }
  drawParallel();
  await startPlotly();
  await drawScatter();
  performance.mark("first-plot");
  connect();
  openNamed();
  if (view.filters.size) filtersChanged();
  if (report.live) await startLive();
  else if (view.selected >= 0) drawBreakdown();
  document.body.dataset.ready = "yes";
  performance.mark("ready");
}

start().catch((error) => {
  byId("state").textContent = `The plots cannot be drawn: ${error.message}. The tables below are complete.`;
  console.error(error);
});
