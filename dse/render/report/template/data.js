// The data of the page: columns of designs, breakdowns, and how numbers are written.

// A page that a server answers holds one design more, which is in no view of the run's designs.
const INFEASIBLE = 0, FEASIBLE = 1, FRONT = 2, LIVE = 3, NO_NAME = 255;
const STATE_NAMES = ["infeasible", "feasible", "front", "what-if"];
const report = JSON.parse(document.getElementById("data").textContent);
const columnOf = new Map();

const byId = (id) => document.getElementById(id);

/** Unpacks gzip in base64. */
async function dequantized(id) {
  const element = byId(id);
  const text = atob(element.textContent);
  element.textContent = "";
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Reads columns that lie one after the other, each in byte planes, lowest byte first. */
function reader(bytes) {
  let offset = 0;
  const words = (count) => {
    const out = new Uint32Array(count);
    for (let plane = 0; plane < 4; plane++) {
      const start = offset + plane * count, shift = 8 * plane;
      for (let i = 0; i < count; i++) out[i] |= bytes[start + i] << shift;
    }
    offset += 4 * count;
    return out;
  };
  return {
    whole: words,
    numbers: (count) => new Float32Array(words(count).buffer),
    bytes: (count) => bytes.slice(offset, (offset += count)),
  };
}

/** Fills `report` with its columns: ids, states, missed conditions, and one column per parameter and metric. */
function readDesigns(bytes) {
  const read = reader(bytes), count = report.counts.shown;
  report.ids = read.whole(count);
  report.states = read.bytes(count);
  report.missed = read.whole(count);
  for (const column of report.columns) {
    column.values = column.names.length ? read.bytes(count) : read.numbers(count);
    columnOf.set(column.name, column);
  }
}

/** Keeps the breakdowns: a column of numbers per path, and the place of each design in them. */
function readDetails(bytes) {
  const read = reader(bytes), { rows, paths } = report.details;
  report.details.columns = paths.map(() => read.numbers(rows.length));
  report.details.place = new Map(rows.map((row, place) => [row, place]));
}

/** Returns the breakdown of a design as nested objects, null where the page holds none. */
function breakdownOf(row) {
  const place = report.details.place.get(row);
  if (place === undefined) return null;
  const root = {};
  report.details.paths.forEach((path, k) => {
    let node = root;
    for (const word of path.slice(0, -1)) node = node[word] ??= {};
    node[path.at(-1)] = report.details.columns[k][place];
  });
  return root;
}

/** Writes a number as people read it: four significant digits, thousands set apart by thin spaces. */
function numberText(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "n/a";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (size >= 10 ** (digits - 1) && size < 1e12)
    return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, "\u2009");
  if (size && (size < 1e-4 || size >= 1e12)) return value.toExponential(digits - 2);
  return String(Number(value.toPrecision(digits)));
}

/** Returns the value of a column in a row as text. */
function cellText(column, row) {
  const value = column.values[row];
  if (column.names.length) return value === NO_NAME ? "-" : column.names[value];
  if (Number.isNaN(value)) return column.kind === "parameter" ? "-" : "n/a";
  return numberText(value);
}

/** Returns a column's value as a number to draw; codes for names, NaN where there is none. */
function numberAt(column, row) {
  const value = column.values[row];
  return column.names.length && value === NO_NAME ? NaN : value;
}

const withUnit = (name, unit) => (unit ? `${name} [${unit}]` : name);
const titleOf = (column) => withUnit(column.name, column.unit);

/** Returns the conditions that a design misses. */
function missedBy(row) {
  return report.conditions.filter((_, place) => (report.missed[row] >>> place) & 1);
}

/** Returns the smallest and the largest finite number of a column over rows that pass; NaN where there is none. */
function extentOf(column, passes = () => true) {
  let low = Infinity, high = -Infinity;
  for (let row = 0; row < column.values.length; row++) {
    const value = numberAt(column, row);
    if (!Number.isFinite(value) || !passes(row)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [NaN, NaN];
}

/** Returns a new element with text and attributes. */
function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** Returns a definition list from pairs; an entry may carry a class as third. */
function definitionList(pairs) {
  const list = document.createElement("dl");
  for (const [name, text, kind] of pairs) list.append(element("dt", name), element("dd", text, kind ? { class: kind } : {}));
  return list;
}
