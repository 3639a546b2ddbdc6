// One cell: its numbers, its spectrum seed by seed, its kernel where saved.

const LINES = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]; // Paul Tol's bright scheme, safe for colour blindness
const MOST_SEEDS = 12;

function curvesOf(group, cell) {
  const { spectra } = group;
  const points = spectra.index.length;
  const curves = [];
  for (let row = 0; row < spectra.cell.length; row++)
    if (spectra.cell[row] === cell) {
      const name = spectra.kind === "seeds" ? `seed ${spectra.seed[row]}` : ["mean over seeds", "least of the seeds", "greatest of the seeds"][spectra.seed[row]];
      curves.push({ name, values: spectra.values.subarray(row * points, (row + 1) * points), errors: spectra.errors.subarray(row * points, (row + 1) * points) });
    }
  return curves;
}

// The eigenvalues of a cell on a logarithmic axis; those that do not exceed their bound as hollow upper bounds.
function drawSpectrum(place, group, cell, name) {
  const known = curvesOf(group, cell);
  const curves = known.slice(0, MOST_SEEDS);
  place.hidden = !curves.length;
  if (!curves.length) return;
  const index = [...group.spectra.index];
  const traces = [];
  let least = Infinity, most = 0;
  curves.forEach((curve, number) => {
    const line = LINES[number % LINES.length];
    const good = index.map((_, i) => curve.values[i] > curve.errors[i]);
    const text = index.map((one, i) => `<b>λ<sub>${one}</sub> ${good[i] ? formatted(curve.values[i], knownDigits(curve.values[i], curve.errors[i])) : `at most ${formatted(curve.values[i] + curve.errors[i], 2)}`}</b>${good[i] ? ` ± ${formatted(curve.errors[i], 2)}` : ""}<br>${curve.name}`);
    const y = index.map((_, i) => (good[i] ? curve.values[i] : null));
    for (const value of y) if (value !== null) [least, most] = [Math.min(least, value), Math.max(most, value)];
    traces.push({
      type: "scatter", mode: "lines+markers", name: curve.name, legendgroup: curve.name, x: index, y, text, hovertemplate: "%{text}<extra></extra>", connectgaps: false,
      line: { color: line, width: 1 }, marker: { color: line, size: index.length > 400 ? 2 : 3.5 },
      error_y: { type: "data", array: index.map((_, i) => (good[i] ? curve.errors[i] : 0)), color: line, thickness: 0.8, width: 0 },
    });
    const hollow = index.filter((_, i) => !good[i]);
    if (hollow.length)
      traces.push({
        type: "scatter", mode: "markers", name: `${curve.name}: at most`, legendgroup: curve.name, showlegend: false, x: hollow,
        y: index.map((_, i) => curve.values[i] + curve.errors[i]).filter((_, i) => !good[i]), text: text.filter((_, i) => !good[i]), hovertemplate: "%{text}<extra></extra>",
        marker: { symbol: "triangle-down-open", size: 5, color: line },
      });
  });
  const bound = index.map((_, i) => Math.max(...curves.map((curve) => curve.errors[i])));
  // Each bound beside its own eigenvalue: those of great ones lie above the small ones, and say nothing of them.
  const near = curves.some((curve) => index.some((_, i) => curve.errors[i] > 1e-3 * Math.abs(curve.values[i])));
  traces.push({ type: "scatter", mode: "lines", name: "error bound", x: index, y: bound.map((value) => value || null), visible: near || !Number.isFinite(least) ? true : "legendonly", hoverinfo: "skip", line: { color: colour("soft"), width: 1.2, dash: "dot" } });
  const predicted = group.quantities.find((one) => one.name === "limit_lambda_min");
  const limit = predicted.value[cell];
  if (Number.isFinite(limit))
    traces.push({ type: "scatter", mode: "lines", name: "λ<sub>min</sub> predicted", x: [index[0], index.at(-1)], y: [limit, limit], hovertemplate: `predicted from infinite width: ${formatted(limit, knownDigits(limit, predicted.error[cell]))}<extra></extra>`, line: { color: colour("ink"), width: 1, dash: "dash" } });
  const layout = {
    ...baseLayout(),
    height: 360,
    title: { text: known.length > curves.length ? `Spectrum, ${curves.length} of ${known.length} seeds` : "Spectrum", x: 0, xref: "paper", xanchor: "left", font: { size: 14 } },
    xaxis: axis("index, greatest eigenvalue first", { showgrid: true, gridcolor: colour("grid") }),
    yaxis: axis("eigenvalue", { type: "log", showgrid: true, gridcolor: colour("grid"), exponentformat: "power", dtick: most / least > 1e6 ? undefined : 1 }),
    legend: { orientation: "h", y: -0.22, font: { size: 11 } },
    margin: { l: 60, r: 8, t: 36, b: 60 },
  };
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", `The eigenvalues of the kernel of ${name} on a logarithmic axis, ${curves.map((curve) => curve.name).join(", ")}. They run from ${formatted(most, 3)} down to ${formatted(least, 3)}.`);
  plot(place, traces, layout);
}

function drawKernel(place, kernel, name, colours) {
  const { side, step, least, greatest } = kernel;
  const z = [];
  for (let row = 0; row < side; row++) z.push(Array.from(kernel.shades.subarray(row * side, (row + 1) * side), (shade) => least + (shade / 1023) * (greatest - least)));
  const inputs = Array.from({ length: side }, (_, i) => 1 + i * step);
  const layout = {
    ...baseLayout(),
    height: 360,
    title: { text: `Kernel, seed ${kernel.seed}${step > 1 ? `, every ${step}th input` : ""}`, x: 0, xref: "paper", xanchor: "left", font: { size: 14 } },
    xaxis: axis("input j", { constrain: "domain" }),
    yaxis: axis("input i", { autorange: "reversed", scaleanchor: "x", constrain: "domain" }),
    margin: { l: 52, r: 8, t: 36, b: 50 },
  };
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", `The kernel matrix of ${name}, seed ${kernel.seed}. Entries run from ${formatted(least, 4)} to ${formatted(greatest, 4)}.`);
  const trace = { type: "heatmap", x: inputs, y: inputs, z, colorscale: colours.viridis, colorbar: { thickness: 12, outlinewidth: 0 }, hovertemplate: "Θ(%{y}, %{x}) = %{z:.9g}<extra></extra>" };
  return plot(place, [trace], layout);
}

// All quantities of a cell.
function factsTable(group, cell) {
  const head = element("tr", {}, ...["quantity", "mean", "sd over seeds", "95 % interval", "error bound"].map((text, place) => element("th", { textContent: text, className: place ? "number" : "", scope: "col" })));
  const body = group.quantities.map((quantity) => {
    const unresolved = quantity.unresolved[cell] > 0;
    const mean = quantity.mean && quantity.seeded ? quantity.mean[cell] : quantity.value[cell];
    const several = quantity.sd && group.seeds[cell] > 1 && !unresolved;
    const shown = quantity.geometric && several ? quantity.value[cell] : mean;
    const known = (number, most) => formatted(number, knownDigits(number, quantity.error ? quantity.error[cell] : 0, most));
    const entries = [
      unresolved ? quantity.state : known(shown, 4),
      several ? formatted(quantity.sd[cell], 3) : "—",
      several ? `${known(quantity.low[cell], 3)} to ${known(quantity.high[cell], 3)}` : "—",
      quantity.error && !unresolved ? formatted(quantity.error[cell], 2) : "—",
    ];
    const title = element("td", { title: quantity.definition, innerHTML: symbols(quantity.title) + (quantity.geometric && several ? " <small>(geometric)</small>" : "") });
    return element("tr", {}, title, ...entries.map((text) => element("td", { textContent: text, className: "number" })));
  });
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}
