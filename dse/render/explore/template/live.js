// What if: a design that the reader changes; the server that the page comes from answers by the run's equations.

const live = { row: -1, design: {}, filled: {}, place: {}, changed: "", busy: false, again: false, unseen: false, controls: new Map() };
const SLIDER_STEPS = 1000, SLIDER_REACH = 8, SIGHT_PX = 100;

/** Asks the server, and returns its answer. */
async function ask(what, content) {
  const answer = await fetch(what, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.issues.join("; "));
  return found;
}

/** Makes room for the design behind those of the run. */
function addLiveRow() {
  const longer = (values, last) => { const made = new values.constructor(values.length + 1); made.set(values); made[values.length] = last; return made; };
  live.row = report.ids.length;
  report.ids = [...report.ids, "what-if"];
  report.states = longer(report.states, LIVE);
  report.missed = longer(report.missed, 0);
  for (const column of report.columns) column.values = longer(column.values, column.names.length ? NO_NAME : NaN);
  report.details.place.set(live.row, report.details.columns[0].length);
  report.details.columns = report.details.columns.map((values) => longer(values, NaN));
  live.design = { ...report.live.start };
}

/** Returns whether the breakdown is out of sight; it is then drawn when it comes into sight, so that controls stay quick. */
function isUnseen() {
  const { top, bottom } = byId("breakdown").getBoundingClientRect();
  live.unseen = top > window.innerHeight + SIGHT_PX || bottom < -SIGHT_PX;
  return live.unseen;
}

/** Takes an answer into every view. */
function takeAnswer(found) {
  if (!live.again) live.design = found.design;
  live.filled = found.filled;
  live.place = found.place;
  for (const column of report.columns) {
    const value = (column.kind === "parameter" ? found.filled : found.metrics)[column.name];
    if (!column.names.length) { column.values[live.row] = value ?? NaN; continue; }
    if (value !== undefined && !column.names.includes(value)) column.names.push(value);
    column.values[live.row] = value === undefined ? NO_NAME : column.names.indexOf(value);
  }
  report.missed[live.row] = report.conditions.reduce((bits, label, place) => (found.missed.includes(label) ? bits | (1 << place) : bits), 0);
  const details = new Map(found.details.map(([path, value]) => [path.join("\n"), value]));
  report.details.paths.forEach((path, k) => { report.details.columns[k][report.details.place.get(live.row)] = details.get(path.join("\n")) ?? NaN; });
  showLive(found);
  select(live.row);
  if (isOutside()) drawScatter();
}

/** Returns whether the scatter's axes end before the design. */
function isOutside() {
  return ["x", "y"].some((which) => {
    const axis = byId("scatter")._fullLayout[`${which}axis`], value = numberAt(columnOf.get(byId(which).value), live.row);
    const at = axis.type === "log" ? Math.log10(value) : value;
    return Number.isFinite(at) && (at < axis.range[0] || at > axis.range[1]);
  });
}

/** Says how the design stands beside the front. */
function placeWords() {
  const { feasible, beaten_by: beaten } = live.place, front = report.counts.front;
  if (!feasible) return "Has no value for an objective.";
  if (!front) return "Meets every constraint, which no design of the run does.";
  return beaten ? `Meets every constraint; ${numberText(beaten)} of the ${numberText(front)} designs of the front are at least as good in every objective.`
    : "Meets every constraint, and no design of the front is as good in every objective.";
}

/** Shows figures, and what the controls stand at. */
function showLive(found) {
  const missed = missedBy(live.row);
  byId("live-words").replaceChildren(missed.length ? element("span", `Misses ${missed.join(", ")}.`, { class: "bad" }) : element("span", placeWords(), { class: live.place.feasible ? "good" : "bad" }));
  byId("live-figures").replaceChildren(valuesTable("what is asked for", lineColumns().filter((column) => column.kind === "metric"), live.row, view.other));
  const spans = Object.entries(found.intervals).map(([name, [low, high]]) => `${name} ${numberText(low)} to ${numberText(high)}`);
  byId("live-figures").append(element("p", spans.length ? `80 % prediction intervals: ${spans.join(", ")}.` : "Times have no interval: nothing of this serving stack was measured.", { class: "hint", id: "live-intervals" }));
  byId("live-followed").textContent = found.followed.length ? `${live.changed} took with it: ${found.followed.map((name) => `${name} ${found.filled[name]}`).join(", ")}.` : "";
  for (const [name, control] of live.controls) control.show(live.design[name] ?? found.filled[name] ?? control.given.default, live.design[name] === undefined);
}

/** Follows the controls: one question at a time, and always the last one. */
async function follow(changed) {
  live.changed = changed;
  live.again = true;
  if (live.busy) return;
  live.busy = true;
  while (live.again) {
    live.again = false;
    const started = performance.now(), state = byId("live-state");
    try {
      const found = await ask("evaluate", { design: live.design, changed: live.changed });
      takeAnswer(found);
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
      const whole = performance.now() - started;
      state.className = "hint";
      state.textContent = `Answered in ${numberText(found.ms, 2)} ms by the equations, on screen after ${numberText(whole, 2)} ms.`;
      Object.assign(state.dataset, { model: found.ms, whole, answers: Number(state.dataset.answers ?? 0) + 1 });
    } catch (error) {
      state.className = "bad";
      state.textContent = error.message;
    }
  }
  live.busy = false;
}

/** Sets a parameter, or leaves it to the library, and follows. */
function setLive(name, value) {
  if (value === undefined) delete live.design[name];
  else live.design[name] = value;
  follow(name);
}

/** Returns a control of names. */
function choiceOf(given) {
  const box = element("select", "", { "aria-label": given.name, "data-name": given.name });
  const undecided = given.default === null ? [element("option", "by the library", { value: "" })] : [];
  box.append(...undecided, ...given.names.map((name) => element("option", name, { value: name })));
  box.addEventListener("change", () => setLive(given.name, box.value || undefined));
  return { given, parts: [element("span"), box], show: (value) => { box.value = value ?? ""; } };
}

/** Returns a control of numbers: a slider over what the sweep allows or what is near, and the number itself. */
function numberControlOf(given) {
  const slider = element("input", "", { type: "range", min: 0, max: SLIDER_STEPS, "aria-label": `${given.name}, slider` });
  const box = element("input", "", { type: "number", step: "any", "aria-label": given.name, "data-name": given.name, placeholder: given.default === null ? "by the library" : "" });
  let span = null;
  const spanAt = (value) => {
    const near = value > 0 ? [value / SLIDER_REACH, value * SLIDER_REACH] : given.most === null ? null : [given.least ?? 0, given.most];
    const ends = given.low === null ? near : [given.low, given.high];
    if (!ends || !Number.isFinite(value)) return null;
    return [Math.max(Math.min(ends[0], value), given.least ?? (given.whole ? 1 : 0)), Math.min(Math.max(ends[1], value), given.most ?? Infinity)];
  };
  const isLog = () => span[0] > 0 && span[1] >= SLIDER_REACH * span[0];
  const valueAt = (share) => {
    const value = isLog() ? span[0] * (span[1] / span[0]) ** share : span[0] + share * (span[1] - span[0]);
    return given.whole ? Math.round(value) : Number(value.toPrecision(3));
  };
  const shareOf = (value) => (isLog() ? Math.log(value / span[0]) / Math.log(span[1] / span[0]) : (value - span[0]) / (span[1] - span[0] || 1));
  slider.addEventListener("input", () => { box.value = valueAt(slider.value / SLIDER_STEPS); setLive(given.name, Number(box.value)); });
  slider.addEventListener("change", () => { span = spanAt(Number(box.value)); });
  box.addEventListener("change", () => setLive(given.name, box.value === "" ? undefined : Number(box.value)));
  const show = (value, byDefault) => {
    if (document.activeElement === slider) return;
    const number = value === null || value === undefined ? NaN : Number(value);
    if (!span || number < span[0] || number > span[1] || document.activeElement === box) span = spanAt(number);
    slider.style.visibility = span ? "visible" : "hidden";
    if (span) slider.value = SLIDER_STEPS * shareOf(number);
    box.value = Number.isNaN(number) ? "" : Number(number.toPrecision(6));
    box.classList.toggle("quiet", byDefault);
  };
  return { given, parts: [slider, box], show };
}

/** Makes the panel: words, figures, and a control per parameter. */
function makePanel() {
  const panel = element("section", "", { id: "what-if", "aria-label": "What if" });
  const button = (id, text, act) => { const made = element("button", text, { id, type: "button" }); made.addEventListener("click", act); return made; };
  const buttons = element("p");
  buttons.append(
    button("live-reset", "Start anew", () => { live.design = { ...report.live.start }; follow(""); }),
    button("live-take", "Start from the selected design", async () => { if (view.selected === live.row) return; view.other = view.selected; live.design = await ask("design", { id: report.ids[view.selected] }); follow(""); }),
    button("live-save", "Save as design file", saveDesign),
  );
  const stale = report.stale ? [element("p", "The library or the program has changed since the run; this design is by those of today.", { id: "live-stale", class: "bad" })] : [];
  panel.append(element("h3", "What if"), ...stale, element("p", "", { id: "live-words", "aria-live": "polite" }), element("div", "", { id: "live-figures" }), buttons,
    element("p", "", { id: "live-state", class: "hint", role: "status" }), element("p", "", { id: "live-followed", class: "hint" }));
  report.live.groups.forEach((group, place) => {
    const fold = element("details", "", place ? {} : { open: "" });
    fold.append(element("summary", group.title));
    for (const given of group.controls) {
      const control = given.names.length ? choiceOf(given) : numberControlOf(given), row = element("div", "", { class: "control", title: given.meaning });
      row.append(element("span", withUnit(given.name, given.unit)), ...control.parts);
      fold.append(row);
      live.controls.set(given.name, control);
    }
    panel.append(fold);
  });
  byId("overview").before(panel);
  byId("explorer").after(byId("overview"));
  document.head.append(element("style", `
    #what-if { max-height: 36rem; overflow-y: auto; background: var(--panel); border-radius: 6px; padding: .1rem .9rem .6rem; border: 0; }
    #what-if h3 { margin: .4rem 0 .1rem; } #what-if p { margin: .2rem 0; } #what-if button { margin-right: .4rem; }
    #live-figures table { width: 100%; font-size: .8rem; margin: .1rem 0; } #overview { margin-top: .6rem; }
    .control { display: grid; grid-template-columns: minmax(0, 1fr) minmax(4rem, 9rem) 8.5rem; gap: .5rem; align-items: center; font-size: .82rem; padding: .08rem 0; }
    .control > span:first-child { overflow-wrap: anywhere; } .control input, .control select { width: 100%; padding: .05rem .3rem; }
    @media (max-width: 560px) { .control { grid-template-columns: minmax(0, 1fr) 9rem; } .control > span:first-child { grid-column: 1 / -1; } }
  `));
}

/** Saves the design as a file that dse explain, compare and require read. */
async function saveDesign() {
  const { text } = await ask("file", { design: live.design });
  const link = element("a", "", { href: URL.createObjectURL(new Blob([text], { type: "text/yaml" })), download: `${report.name}-what-if.yaml` });
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Starts with the first pick, beside itself. */
function startLive() {
  const recalled = view.selected === live.row;
  if (!recalled && view.selected >= 0) view.other = view.selected;
  makePanel();
  new IntersectionObserver(() => live.unseen && drawBreakdown(), { rootMargin: `${SIGHT_PX}px` }).observe(byId("breakdown"));
  return follow("");
}
