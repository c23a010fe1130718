// How every chart looks: colours of the page, plain axes, no buttons that leave it.

// Plotly's own bar offers to upload the chart; the bar here holds nothing that leaves the page.
const CONFIG = { displaylogo: false, responsive: true, showTips: false, displayModeBar: false, showSendToCloud: false, plotlyServerURL: "" };
const BUTTONS = [["select2d", "lasso2d", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]];
// Cividis: even in lightness, safe with the common kinds of colour blindness.
const CIVIDIS = [[0, "#00224e"], [0.25, "#3f4c6b"], [0.5, "#7c7b78"], [0.75, "#bcae6c"], [1, "#fee838"]];
const MARKS = ["diamond", "square", "triangle-up", "cross", "x", "star", "pentagon", "hexagram"];

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const fills = () => [1, 2, 3, 4, 5, 6, 7, 8].map((place) => css(`--b${place}`));
const isNarrow = () => window.innerWidth < 620;

/** Returns a title in lines that fit beside each other on a phone. */
function folded(title) {
  const lines = [""];
  for (const word of title.split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (longer.length <= 34) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.filter(Boolean).join("<br>");
}

/** Returns an axis in the colours of the page. */
function axis(title, more = {}) {
  return {
    title: { text: isNarrow() ? folded(title) : title, standoff: 8 }, gridcolor: css("--line"), linecolor: css("--pale"), zerolinecolor: css("--line"),
    tickcolor: css("--pale"), automargin: true, ...more,
  };
}

/** Returns a layout in the colours of the page. */
function layout(more = {}) {
  return {
    paper_bgcolor: css("--paper"), plot_bgcolor: css("--paper"), font: { color: css("--ink"), size: isNarrow() ? 11 : 12 },
    margin: { l: 56, r: 14, t: 12, b: 44 }, hovermode: "closest", dragmode: "zoom",
    hoverlabel: { bgcolor: css("--panel"), bordercolor: css("--pale"), font: { color: css("--ink") } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, ...more,
  };
}

/** Draws into an element, keeping what is there where it can. */
function draw(id, traces, itsLayout, config = {}) {
  return Plotly.react(byId(id), traces, itsLayout, { ...CONFIG, ...config });
}

/** Draws parts of a whole as horizontal bars, the largest at the top. */
function drawParts(id, parts, unit, total) {
  const entries = Object.entries(parts).filter(([, amount]) => Math.abs(amount) > 1e-9 * Math.abs(total || 1));
  entries.sort((a, b) => a[1] - b[1]);
  const names = entries.map(([name]) => name.replaceAll("_", " ")), amounts = entries.map(([, amount]) => amount);
  const text = amounts.map((amount) => `${numberText(amount, 3)} (${numberText((100 * amount) / total, 2)} %)`);
  const bars = {
    type: "bar", orientation: "h", x: amounts, y: names, text, textposition: "auto", cliponaxis: false,
    marker: { color: css("--b1") }, insidetextfont: { color: css("--paper") }, outsidetextfont: { color: css("--ink") },
    hovertemplate: `%{y}: %{text}<extra>${unit}</extra>`,
  };
  const room = Math.max(...amounts, 0) * 1.25;
  draw(id, [bars], layout({ xaxis: axis(`[${unit}]`, { range: [Math.min(0, ...amounts), room] }), yaxis: axis("") }), { staticPlot: isNarrow() });
}
