// Heat maps: what they show, in which colours, and what hovering says.

// Nothing that leaves the page; on a phone, where fingers zoom, no buttons at all.
function config(place) {
  return { responsive: true, displaylogo: false, displayModeBar: place.clientWidth < 480 ? false : "hover", modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
}

// Draws, and fits what was drawn into its place, which may have become wider or narrower since it was drawn first.
async function plot(place, traces, layout) {
  await Plotly.react(place, traces, layout, config(place));
  if (Math.abs(place._fullLayout.width - place.clientWidth) > 1) await Plotly.Plots.resize(place);
}

const MOST_OUTLINED = 2000;

const TOGETHER = ["measured", "predicted", "ratio", "spread"];

const VIEWS = {
  measured: "measured",
  predicted: "predicted from infinite width",
  ratio: "measured / predicted",
  spread: "spread over seeds",
  probability: "probability to be the greatest",
  together: "side by side, of one activation",
};

function several(group) {
  return group.seeds.some((count) => count > 1);
}

// Where a cell that may be the greatest has one seed, no probability is known.
function contested(group) {
  return group.probability.some((value) => value >= 0);
}

// The views that a quantity has; those of the others are greyed, with the reason.
function viewsOf(group, quantity) {
  return {
    measured: "",
    predicted: quantity.views ? "" : "only λ_min is predicted",
    ratio: quantity.views ? "" : "only λ_min is predicted",
    spread: quantity.sd ? "" : several(group) ? "does not depend on the seed" : "one seed has no spread",
    probability: !quantity.views ? "of λ_min only" : contested(group) ? "" : "single draws tell no probability",
    together: quantity.views ? "" : "of λ_min only",
  };
}

// What is drawn: a value and a state for each cell, a title, the scale that suits it, and whether 1 is marked.
function layer(group, quantity, view) {
  const named = (name) => group.quantities.find((one) => one.name === name);
  if (view === "predicted") return layer(group, named("limit_lambda_min"), "measured");
  if (view === "ratio") return layer(group, named("ratio"), "measured");
  if (view === "spread") {
    const relative = quantity.geometric;
    const values = quantity.sd.map((sd, cell) => (relative ? sd / quantity.mean[cell] : sd));
    return { quantity, values, title: `${relative ? "sd / mean" : "sd"} of ${quantity.title} over seeds`, scale: "linear" };
  }
  if (view === "probability")
    return { quantity, values: group.probability, title: "probability to have the greatest geometric mean λ_min", scale: "linear" };
  return { quantity, values: quantity.value, title: quantity.title, scale: quantity.scale, ratio: quantity.scale === "ratio" };
}

// The scale that suits it; a logarithmic one needs positive values.
function suited({ values, scale }) {
  const known = [...values].filter(Number.isFinite);
  const positive = known.length > 0 && known.every((value) => value > 0);
  const wide = positive && known.reduce((a, b) => Math.max(a, b)) > 100 * known.reduce((a, b) => Math.min(a, b));
  return { positive, logarithmic: positive && (scale === "log" || scale === "ratio" || (scale === "auto" && wide)) };
}

// The cell with the greatest value; null where none has one.
function greatest(cells, values) {
  return cells.reduce((best, cell) => (Number.isFinite(values[cell]) && (best === null || values[cell] > values[best]) ? cell : best), null);
}

// The cells of an activation with a red frame: those that may well be the greatest by the mean that is drawn; where no probability is known, the greatest. The greatest stands first.
function framed(group, shown, cells) {
  if (!shown.quantity.greatest || shown.values !== shown.quantity.value) return [];
  const likely = shown.quantity.seeded ? cells.filter((cell) => group.probability[cell] > group.likely).sort((a, b) => shown.values[b] - shown.values[a]) : [];
  const best = greatest(cells, shown.values);
  return likely.length || best === null ? likely : [best];
}

function framesText(group, shown, together) {
  if (!together && (!shown.quantity.greatest || shown.values !== shown.quantity.value)) return "";
  if (!contested(group) || (!together && !shown.quantity.seeded)) return "Red frame: the greatest value of an activation.";
  const known = new Set(group.act.filter((_, cell) => group.probability[cell] >= 0));
  const others = known.size < group.activations.length ? " Where no probability is known: the greatest value." : "";
  return `Red frames: cells that have the greatest geometric mean of their activation with a probability above ${Math.round(100 * group.likely)} %.${others}`;
}

function finite(values, cells) {
  return cells.map((cell) => values[cell]).filter(Number.isFinite);
}

// Ends of the colours: those of the data.
function ends(values, logarithmic) {
  if (!values.length) return [0, 1];
  const least = values.reduce((a, b) => Math.min(a, b)), most = values.reduce((a, b) => Math.max(a, b));
  if (logarithmic) return least < most ? [Math.log10(least), Math.log10(most)] : [Math.log10(least) - 0.3, Math.log10(most) + 0.3];
  const half = Math.abs(least) / 2 || 0.5;
  return least < most ? [least, most] : [least - half, most + half];
}

// Ticks of a logarithmic axis of so many pixels at round numbers, about seven of them: powers of ten, then 1, 2, 5, then 1 to 9, and in a narrow range equal steps.
function ticks(low, high, room = 200) {
  const apart = (found) => found.every(([place], i) => !i || ((place - found[i - 1][0]) / (high - low)) * room >= 13);
  const inside = (steps, every = 1) => {
    const found = [];
    for (let exponent = Math.ceil((Math.floor(low) - 1) / every) * every; exponent <= high + 1; exponent += every) for (const step of steps) found.push([exponent + Math.log10(step), step, exponent]);
    return found.filter(([place]) => place >= low - 1e-9 && place <= high + 1e-9);
  };
  const choices = [1, 2, 3, 4, 5, 10, 20, 50].reverse().map((every) => inside([1], every));
  choices.push(inside([1, 3]), inside([1, 2, 5]), inside([1, 2, 3, 4, 5, 6, 7, 8, 9]), inside(Array.from({ length: 18 }, (_, i) => 1 + i / 2)));
  const fitting = choices.filter((one) => one.length >= 3 && one.length <= 8 && apart(one));
  let found = fitting.at(-1) ?? [];
  if (!found.length || (high - low < 0.4 && low > -3 && high < 4)) {
    found = [];
    const step = roundStep((10 ** high - 10 ** low) / Math.min(6, room / 25)); // within less than a half of a power of ten
    for (let value = Math.ceil(10 ** low / step) * step; value <= 10 ** high * (1 + 1e-9); value += step) found.push([Math.log10(value), value, 0]);
    return { tickvals: found.map(([place]) => place), ticktext: found.map(([, value]) => shortened(formatted(value, 4))) };
  }
  return {
    tickvals: found.map(([place]) => place),
    ticktext: found.map(([place, step, exponent]) => (step === 1 && Math.abs(exponent) > 3 ? power(exponent) : shortened(formatted(10 ** place, 2)))),
  };
}

// A triangle at the colour of the cell under the pointer.
function markColour(place, value, range) {
  const bar = place.querySelector(".cbfills");
  let marker = place.querySelector(".bar-marker");
  if (!marker) {
    marker = element("div", { className: "bar-marker" });
    marker.setAttribute("aria-hidden", "true");
    place.append(marker);
  }
  marker.hidden = !bar || !Number.isFinite(value);
  if (marker.hidden) return;
  const box = bar.getBoundingClientRect(), own = place.getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (value - range[0]) / (range[1] - range[0])));
  marker.style.left = `${box.left - own.left - 9}px`;
  marker.style.top = `${box.bottom - own.top - share * box.height - 6}px`;
}

// 0.010 is 0.01, and 3.0 × 10⁻⁴ is 3 × 10⁻⁴, but 10 stays 10.
function shortened(text) {
  return text.includes(".") ? text.replace(/\.?0+(?=$| ×)/, "") : text;
}

function seedsText(count) {
  return count === 1 ? "1 seed" : `${count} seeds`;
}

// Whole percents, as in the tables.
function probabilityText(value) {
  return value < 0.01 ? "< 1 %" : value >= 0.995 && value < 1 ? "> 99 %" : `${Math.round(100 * value)} %`;
}

// What hovering says of a cell, in the HTML that the library knows.
function hoverText(group, shown, cell, networkName) {
  const { quantity } = shown;
  const lines = [`<b>${escaped(networkName)}, width ${group.width[cell]}, depth ${group.depth[cell]}</b>`];
  const value = shown.values[cell];
  if (group.seeds[cell] === 0) lines.push(group.failed[cell] ? `no result: ${group.failed[cell]} failed` : "no result");
  else if (quantity.unresolved[cell] > 0) lines.push(`${quantity.state} for ${quantity.unresolved[cell]} of ${seedsText(group.seeds[cell])}`);
  else if (shown.values !== quantity.value) lines.push(`${symbols(shown.title)}: ${formatted(value)}`, seedsText(group.seeds[cell]));
  else {
    const seeds = seedsText(group.seeds[cell]), several = quantity.seeded && group.seeds[cell] > 1;
    const error = quantity.error ? ` ± ${formatted(quantity.error[cell], 2)} (error bound)` : "";
    const known = (number, most) => knownDigits(number, quantity.error ? quantity.error[cell] : 0, most);
    const interval = several ? `95 %: ${[quantity.low, quantity.high].map((end) => formatted(end[cell], known(end[cell], 3))).join(" to ")}` : "";
    const mean = several ? spread(quantity.mean[cell], quantity.sd[cell], known(quantity.mean[cell], 4)) : "";
    lines.push(`${symbols(quantity.title)} ${formatted(value, known(value, 4))}${error}`);
    if (several && quantity.geometric) lines.push(`geometric mean of ${seeds}, ${interval}`, `mean ${mean} (sd over seeds)`);
    else if (several) lines.push(`mean of ${seeds}, ${interval}`, `± ${mean.split(" ± ")[1].replace(")", "")} (sd over seeds)`);
    else if (quantity.seeded) lines.push("1 seed: a single random draw");
  }
  return lines.join("<br>");
}

// Labels of a map's axis: all values if they fit, else multiples of a round number, else every so many.
function thinnedTicks(values, most) {
  const places = [...values.keys()];
  const shown = (kept) => ({ tickvals: kept, ticktext: kept.map((place) => String(values[place])) });
  if (places.length <= most) return shown(places);
  for (let step = roundStep(values[1] - values[0]); step < values.at(-1) / 2; step = roundStep(1.5 * step)) {
    const kept = places.filter((place) => values[place] % step === 0);
    const even = kept.every((place, i) => i < 2 || place - kept[i - 1] === kept[1] - kept[0]);
    if (even && kept.length > 2 && kept.length <= most) return shown(kept);
  }
  return shown(places.filter((place) => place % Math.ceil(places.length / most) === 0));
}

function baseLayout() {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: colour("ink") },
    hoverlabel: { align: "left", bgcolor: colour("panel"), bordercolor: colour("line"), font: { family: "system-ui, sans-serif", color: colour("ink"), size: 12 } },
    margin: { l: 44, r: 8, t: 30, b: 44 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("ink") },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger scrolls the page
  };
}

function axis(title, more = {}) {
  return { title: { text: title, standoff: 6 }, zeroline: false, showgrid: false, linecolor: colour("line"), tickcolor: colour("line"), automargin: true, ...more };
}

function frame(column, row, line, width, dash = "solid") {
  return { type: "rect", x0: column - 0.5, x1: column + 0.5, y0: row - 0.5, y1: row + 0.5, line: { color: colour(line), width, dash }, layer: "above" };
}

// Draws the map of one activation under a title.
function drawMap(place, explorer, act, shown, range, logarithmic, title) {
  const { group, widths, depths, header } = explorer;
  const name = group.activations[act].title;
  const grid = () => depths.map(() => new Array(widths.length).fill(null));
  const z = grid(), text = grid(), gap = grid();
  const crosses = { x: [], y: [] };
  for (const row of text) row.fill("no result");
  for (const cell of explorer.cellsOf[act]) {
    const column = explorer.column.get(group.width[cell]), row = explorer.row.get(group.depth[cell]);
    const value = shown.values[cell];
    if (Number.isFinite(value)) z[row][column] = logarithmic ? Math.log10(value) : value;
    else if (group.seeds[cell] > 0) {
      gap[row][column] = 1;
      crosses.x.push(column);
      crosses.y.push(row);
    }
    text[row][column] = hoverText(group, shown, cell, name);
  }
  const small = widths.length * depths.length <= MOST_OUTLINED;
  const height = Math.min(560, Math.max(230, 22 * depths.length + 96));
  const marks = logarithmic ? ticks(...range, height - 96) : null;
  if (marks && shown.ratio) marks.ticktext = marks.ticktext.map((text) => (text === "1" ? "<b>1</b>" : text));
  const bar = { thickness: 12, outlinewidth: 0, tickcolor: colour("soft"), len: 1, ...(marks ? { tickmode: "array", ...marks } : { exponentformat: "power" }) };
  const traces = [
    { type: "heatmap", z, text, hovertemplate: "%{text}<extra></extra>", zmin: range[0], zmax: range[1], colorscale: header.colours.viridis, colorbar: bar, xgap: small ? 1 : 0, ygap: small ? 1 : 0, zsmooth: false },
    { type: "heatmap", z: gap, hoverinfo: "skip", showscale: false, colorscale: [[0, colour("gap")], [1, colour("gap")]], xgap: small ? 1 : 0, ygap: small ? 1 : 0 },
  ];
  if (explorer.outside.size) {
    const outside = grid();
    for (const cell of explorer.cellsOf[act]) if (explorer.outside.has(cell)) outside[explorer.row.get(group.depth[cell])][explorer.column.get(group.width[cell])] = 1;
    traces.push({ type: "heatmap", z: outside, hoverinfo: "skip", showscale: false, opacity: 0.8, colorscale: [[0, colour("paper")], [1, colour("paper")]] });
  }
  if (small && crosses.x.length)
    traces.push({ type: "scatter", mode: "markers", ...crosses, hoverinfo: "skip", showlegend: false, marker: { symbol: "x-thin", size: 6, line: { width: 1, color: colour("cross") } } });
  // Where both meet, the red one has an edge of the other.
  const around = (cell, ...look) => frame(explorer.column.get(group.width[cell]), explorer.row.get(group.depth[cell]), ...look);
  const best = framed(group, shown, explorer.cellsOf[act]);
  const shapes = best.map((cell) => around(cell, "paper", 4));
  for (const cell of explorer.compared.cells) if (group.act[cell] === act) shapes.push(around(cell, "chosen", 4, "dot"));
  const selected = explorer.selected;
  if (selected !== null && group.act[selected] === act) shapes.push(around(selected, "chosen", 4));
  shapes.push(...best.map((cell) => around(cell, "best", 2)));
  const layout = {
    ...baseLayout(),
    height,
    title: { text: escaped(title), x: 0, xref: "paper", xanchor: "left", y: 0.99, yanchor: "top", font: { size: 14 } },
    xaxis: axis("width", { range: [-0.5, widths.length - 0.5], ...thinnedTicks(widths, Math.max(4, Math.floor((place.clientWidth - 130) / 42))), tickangle: 0 }),
    yaxis: axis("depth", { range: [-0.5, depths.length - 0.5], ...thinnedTicks(depths, 20) }),
    shapes,
  };
  const values = finite(shown.values, explorer.cellsOf[act]);
  place.setAttribute("role", "group"); // not an image: the library puts buttons into it
  place.setAttribute(
    "aria-label",
    `Heat map of ${shown.title} of ${name} networks over width ${widths[0]} to ${widths.at(-1)} and depth ${depths[0]} to ${depths.at(-1)}. ` +
      (values.length ? `Values run from ${formatted(Math.min(...values), 3)} to ${formatted(Math.max(...values), 3)}.` : "No cell holds a value.") +
      (best.length ? ` Red frames: ${best.map((cell) => `${group.width[cell]} × ${group.depth[cell]}`).join(", ")}.` : ""),
  );
  return plot(place, traces, layout);
}
