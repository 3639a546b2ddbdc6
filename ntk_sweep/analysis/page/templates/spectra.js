// Eigenvalues of one network seed by seed, or of several in a colour each: over their index, or as a density.

const LINES = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]; // Paul Tol's bright scheme, safe for colour blindness
const DASHES = ["solid", "dash", "dot", "dashdot"];
const MOST_SEEDS = 12, MOST_SEEDS_COMPARED = 5;
const NEAR = 1e-3; // of an eigenvalue: narrower bounds cannot be told from the line

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

// What is predicted for a cell: all eigenvalues of Θ̄ where the page has them, else the least alone.
function predictedOf(group, cell) {
  const { limit } = group.kernels.find((one) => one.cell === cell && one.limit?.values) ?? {};
  const predicted = group.quantities.find((one) => one.name === "limit_lambda_min");
  return { all: limit ?? null, least: predicted.value[cell], error: predicted.error[cell] };
}

// The networks of a spectrum with their curves; one alone has a colour for each seed.
function networksOf(explorer, cells) {
  const alone = cells.length === 1;
  return cells
    .map((cell, number) => {
      const name = explorer.nameOf(cell), known = curvesOf(explorer.group, cell);
      const curves = known.slice(0, alone ? MOST_SEEDS : MOST_SEEDS_COMPARED).map((curve, seed) => {
        const place = alone ? seed : number;
        return { ...curve, colour: LINES[place % LINES.length], dash: DASHES[Math.floor(place / LINES.length) % DASHES.length], title: alone ? curve.name : name, label: alone ? curve.name : `${name}, ${curve.name}` };
      });
      return { cell, name, known, curves, colour: LINES[number], prediction: alone ? colour("ink") : LINES[number], predicted: predictedOf(explorer.group, cell) };
    })
    .filter(({ curves }) => curves.length);
}

function drawSpectrum(place, explorer, cells, view) {
  const networks = networksOf(explorer, cells);
  place.hidden = !networks.length;
  if (!networks.length) return "";
  const { traces, layout, words, about } = view === "density" ? densityOf(networks, explorer.group.spectra) : indexOf(networks, explorer.group.spectra);
  const title = { text: networks.length === 1 ? escaped(layout.heading) : `${escaped(layout.heading)}, ${networks.length} networks`, x: 0, xref: "paper", xanchor: "left", font: { size: 14 } };
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", words);
  plot(place, traces, { ...baseLayout(), height: 380, legend: { orientation: "h", y: -0.22, font: { size: 11 } }, margin: { l: 60, r: 8, t: 36, b: 60 }, ...layout, title });
  return about;
}

function eigenvalueText(index, value, error, label) {
  const good = value > error;
  return `<b>λ<sub>${index}</sub> ${good ? formatted(value, knownDigits(value, error)) : `at most ${formatted(value + error, 2)}`}</b>${good ? ` ± ${formatted(error, 2)}` : ""}<br>${escaped(label)}`;
}

// The lower end of the axis: below the bounds where they are within sight, else below the data; as `_bottom` of the chapter on spectra.
function bottomOf(curves) {
  let least = Infinity, floor = Infinity;
  for (const { values, errors } of curves)
    values.forEach((value, i) => {
      if (value > errors[i]) least = Math.min(least, value);
      if (errors[i] > 0) floor = Math.min(floor, errors[i]);
    });
  if (least === Infinity) return floor < Infinity ? floor / 10 : 1e-3;
  return floor === Infinity || floor < least * 1e-6 ? least / 3 : Math.min(floor, least) / 10;
}

// Over the index on a logarithmic axis. What does not exceed its bound is a hollow upper bound; a band is the error bound.
function indexOf(networks, spectra) {
  const index = [...spectra.index], every = networks.flatMap(({ curves }) => curves);
  const bottom = bottomOf(every), traces = [];
  let least = Infinity, most = 0, banded = false;
  for (const curve of every) {
    const { values, errors } = curve, line = curve.colour;
    const good = index.map((_, i) => values[i] > errors[i]);
    const text = index.map((one, i) => eigenvalueText(one, values[i], errors[i], curve.label));
    const first = curve === every.find(({ title }) => title === curve.title), group = { legendgroup: curve.title, showlegend: false };
    index.forEach((_, i) => good[i] && ([least, most] = [Math.min(least, values[i]), Math.max(most, values[i])]));
    if (index.some((_, i) => errors[i] > NEAR * Math.abs(values[i]))) {
      banded = true;
      const upper = index.map((_, i) => Math.max(values[i] + errors[i], bottom)), lower = index.map((_, i) => Math.max(values[i] - errors[i], bottom));
      traces.push({ type: "scatter", mode: "lines", name: `${curve.label}: error bound`, ...group, x: [...index, ...[...index].reverse()], y: [...upper, ...lower.reverse()], fill: "toself", fillcolor: `${line}40`, line: { width: 0 }, hoverinfo: "skip" });
    }
    traces.push({ type: "scatter", mode: "lines+markers", name: escaped(curve.title), ...group, showlegend: first, x: index, y: index.map((_, i) => (good[i] ? values[i] : null)), text, hovertemplate: "%{text}<extra></extra>", connectgaps: false, line: { color: line, width: 1, dash: curve.dash }, marker: { color: line, size: index.length > 400 || networks.length > 1 ? 2.5 : 3.5 } });
    const hollow = index.map((_, i) => i).filter((i) => !good[i]);
    if (hollow.length)
      traces.push({ type: "scatter", mode: "markers", name: `${curve.label}: at most`, ...group, x: hollow.map((i) => index[i]), y: hollow.map((i) => values[i] + errors[i]), text: hollow.map((i) => text[i]), hovertemplate: "%{text}<extra></extra>", marker: { symbol: "triangle-down-open", size: 5, color: line } });
    for (const i of hollow) most = Math.max(most, values[i] + errors[i]);
  }
  const whole = networks.filter(({ predicted }) => predicted.all), alone = networks.filter(({ predicted }) => !predicted.all && Number.isFinite(predicted.least));
  for (const { name, prediction, predicted: { all, least, error } } of [...whole, ...alone]) {
    const label = `${name}, predicted from infinite width`, style = { type: "scatter", mode: "lines", showlegend: networks.length === 1, name: all ? "all eigenvalues predicted" : "λ<sub>min</sub> predicted", hovertemplate: "%{text}<extra></extra>", line: { color: prediction, width: 1.2, dash: "dash" } };
    if (all) traces.push({ ...style, x: [...all.values.keys()].map((i) => i + 1), y: [...all.values].map((value, i) => (value > all.errors[i] ? value : null)), text: [...all.values].map((value, i) => eigenvalueText(i + 1, value, all.errors[i], label)) });
    else traces.push({ ...style, x: [index[0], index.at(-1)], y: [least, least], text: Array(2).fill(`λ<sub>min</sub> ${formatted(least, knownDigits(least, error))}<br>${escaped(label)}`) });
  }
  const hidden = networks.filter(({ known, curves }) => known.length > curves.length);
  const highest = Math.max(most, ...networks.map(({ predicted }) => predicted.all?.values[0] ?? 0));
  return {
    traces,
    layout: {
      heading: networks.length === 1 && hidden.length ? `Spectrum, ${networks[0].curves.length} of ${networks[0].known.length} seeds` : "Spectrum",
      xaxis: axis("index, greatest eigenvalue first", { range: [1 - 0.02 * spectra.count, 1 + 1.02 * spectra.count], showgrid: true, gridcolor: colour("grid") }),
      yaxis: axis("eigenvalue", { type: "log", range: [Math.log10(bottom), Math.log10(highest || 10 * bottom) + 0.3], showgrid: true, gridcolor: colour("grid"), exponentformat: "power", dtick: highest / bottom > 1e8 ? undefined : 1 }),
    },
    words: `The eigenvalues of the kernel of ${networks.map(({ name }) => name).join(", ")} on a logarithmic axis, ${networks.length === 1 ? every.map(({ name }) => name).join(", ") : "a colour a network"}. They run from ${formatted(most, 3)} down to ${formatted(least, 3)}.`,
    about: [banded ? "Bands: error bounds." : "Error bounds are narrower than the lines.", ...predictionNote(whole, alone), ...(networks.length > 1 && hidden.length ? [`At most ${MOST_SEEDS_COMPARED} seeds of each.`] : [])].join(" "),
  };
}

function predictionNote(whole, alone) {
  return [
    ...(whole.length ? ["Dashed: the eigenvalues of Θ̄, the kernel predicted from infinite width."] : []),
    ...(alone.length ? [`Dashed${whole.length ? ", straight" : ""}: the least eigenvalue of Θ̄, the kernel predicted from infinite width; the page has its other eigenvalues only beside saved kernels.`] : []),
  ];
}

// How many eigenvalues lie where, the mean over seeds: a histogram over the logarithm. Kept eigenvalues of a thinned spectrum stand for those left out.
function densityOf(networks, spectra) {
  const index = [...spectra.index], last = index.length - 1;
  const weights = index.map((one, i) => ((i < last ? index[i + 1] : one + 1) - (i ? index[i - 1] : one - 1)) / 2);
  const samples = networks.map(({ known }) => {
    const curves = spectra.kind === "seeds" ? known : known.slice(0, 1), found = [];
    let below = 0;
    for (const { values, errors } of curves) values.forEach((value, i) => (value > errors[i] ? found.push([Math.log10(value), weights[i] / curves.length]) : (below += weights[i] / curves.length)));
    return { found, below };
  });
  const limits = networks.map(({ predicted }) => (predicted.all ? [...predicted.all.values].filter((value, i) => value > predicted.all.errors[i]).map((value) => [Math.log10(value), 1]) : null));
  const range = [...samples.map(({ found }) => found), ...limits.filter(Boolean)].flat().reduce(([low, high], [place]) => [Math.min(low, place), Math.max(high, place)], [Infinity, -Infinity]);
  const [low, high] = range[0] < range[1] ? range : range[0] === range[1] ? [range[0] - 0.5, range[0] + 0.5] : [0, 1];
  const bins = Math.min(60, Math.max(12, Math.round(2 * Math.sqrt(spectra.count)))), step = (high - low) / bins;
  const heights = (found) => {
    const counts = new Array(bins + 2).fill(0);
    for (const [place, weight] of found) counts[1 + Math.min(bins - 1, Math.floor((place - low) / step))] += weight / step;
    return counts;
  };
  const x = Array.from({ length: bins + 2 }, (_, i) => 10 ** (low + (i - 0.5) * step));
  const traces = [];
  let most = 0;
  networks.forEach(({ name, colour: line }, number) => {
    const y = heights(samples[number].found);
    most = Math.max(most, ...y);
    traces.push({ type: "scatter", mode: "lines", name: escaped(name), x, y, line: { color: line, width: 1.5, shape: "hvh" }, fill: "tozeroy", fillcolor: `${line}${networks.length > 1 ? "18" : "40"}`, hovertemplate: `%{y:.3g} a decade about %{x:.3g}<br>${escaped(name)}<extra></extra>` });
  });
  networks.forEach(({ name, prediction, predicted }, number) => {
    const style = { type: "scatter", mode: "lines", showlegend: networks.length === 1, line: { color: prediction, width: 1.2, dash: "dash" } };
    if (limits[number]) {
      const y = heights(limits[number]);
      most = Math.max(most, ...y);
      traces.push({ ...style, name: "predicted", x, y, line: { ...style.line, shape: "hvh" }, hovertemplate: `%{y:.3g} a decade about %{x:.3g}<br>${escaped(name)}, predicted from infinite width<extra></extra>` });
    } else if (predicted.least > 0) traces.push({ ...style, name: "λ<sub>min</sub> predicted", x: [predicted.least, predicted.least], y: [0, most], hovertemplate: `λ<sub>min</sub> ${formatted(predicted.least, 3)}<br>${escaped(name)}, predicted from infinite width<extra></extra>` });
  });
  const below = samples.map(({ below: count }, number) => (count ? `Of ${networks[number].name} ${shortened(formatted(count, 3))} of ${spectra.count} eigenvalues lie below their error bounds, and are left out.` : "")).filter(Boolean);
  const whole = networks.filter((_, i) => limits[i]), alone = networks.filter(({ predicted }, i) => !limits[i] && predicted.least > 0);
  return {
    traces,
    layout: { heading: "Density of eigenvalues", xaxis: axis("eigenvalue", { type: "log", exponentformat: "power", showgrid: true, gridcolor: colour("grid") }), yaxis: axis("eigenvalues a decade", { rangemode: "tozero", showgrid: true, gridcolor: colour("grid") }) },
    words: `How many eigenvalues the kernel of ${networks.map(({ name }) => name).join(", ")} has where, over the logarithm of the eigenvalue from ${formatted(10 ** low, 3)} to ${formatted(10 ** high, 3)}; at the most ${formatted(most, 3)} a decade.`,
    about: [spectra.kind === "seeds" ? "The mean over seeds." : "Of the mean over seeds of each eigenvalue.", ...predictionNote(whole, alone), ...below].join(" "),
  };
}
