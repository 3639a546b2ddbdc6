// A saved kernel as an image, the one predicted from infinite width, and their difference.

// The whole of a symmetric matrix, of which the upper triangle is kept.
function matrixOf(side, { least, greatest, most, shades }) {
  const z = Array.from({ length: side }, () => new Array(side));
  for (let row = 0, at = 0; row < side; row++) for (let column = row; column < side; column++) z[row][column] = z[column][row] = least + (shades[at++] / most) * (greatest - least);
  return z;
}

function endsOf(matrix) {
  return matrix.flat().reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

function drawKernels(places, kernel, name, colours) {
  const limit = kernel.limit && matrixOf(kernel.side, kernel.limit), difference = limit && matrixOf(kernel.side, kernel.difference);
  const theta = limit ? limit.map((row, i) => row.map((value, j) => value + difference[i][j])) : matrixOf(kernel.side, kernel.kernel);
  for (const place of [places.limit, places.difference]) place.hidden = !difference;
  const [low, high] = endsOf(limit ? [...theta, ...limit] : theta);
  const shared = { zmin: low, zmax: high, colorscale: colours.viridis };
  const seed = `seed ${kernel.seed}${kernel.step > 1 ? `, every ${kernel.step}th input` : ""}`;
  drawMatrix(places.theta, theta, kernel.step, `Θ, ${seed}`, `The kernel matrix of ${name}, ${seed}`, "Θ", shared);
  if (!difference) return;
  const reach = Math.max(Math.abs(kernel.difference.least), Math.abs(kernel.difference.greatest)) || 1;
  drawMatrix(places.limit, limit, kernel.step, "Θ̄, infinite width", `The kernel predicted from infinite width for ${name}`, "Θ̄", shared);
  drawMatrix(places.difference, difference, kernel.step, "Θ − Θ̄", `The difference of both kernels of ${name}`, "Θ − Θ̄", { zmin: -reach, zmax: reach, colorscale: colours.coolwarm });
}

function drawMatrix(place, z, step, title, words, symbol, colours) {
  const inputs = z.map((_, i) => 1 + i * step), [least, greatest] = endsOf(z);
  const layout = {
    ...baseLayout(),
    height: 330,
    title: { text: escaped(title), x: 0, xref: "paper", xanchor: "left", font: { size: 14 } },
    xaxis: axis("input j", { constrain: "domain" }),
    yaxis: axis("input i", { autorange: "reversed", scaleanchor: "x", constrain: "domain" }),
    margin: { l: 52, r: 8, t: 36, b: 50 },
  };
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", `${words}. Entries run from ${formatted(least, 4)} to ${formatted(greatest, 4)}.`);
  const trace = { type: "heatmap", x: inputs, y: inputs, z, ...colours, colorbar: { thickness: 12, outlinewidth: 0, exponentformat: "power" }, hovertemplate: `${symbol}(%{y}, %{x}) = %{z:.5g}<extra></extra>` };
  return plot(place, [trace], layout);
}
