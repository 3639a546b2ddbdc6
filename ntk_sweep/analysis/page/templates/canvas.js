// What scatter plot and parallel coordinates share: axes between numbers and dots, colours, a sharp canvas.

const SHAPES = 7; // of `mark`

function sharpCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.font = "12px system-ui, sans-serif";
  return pen;
}

// What a canvas shows now, to be laid under what a pointer draws: 20 000 marks are not drawn at every move.
function snapshot(canvas) {
  const copy = element("canvas", { width: canvas.width, height: canvas.height });
  copy.getContext("2d").drawImage(canvas, 0, 0);
  return copy;
}

function restored(canvas, copy) {
  const pen = canvas.getContext("2d");
  pen.save();
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(copy, 0, 0);
  pen.restore();
  return pen;
}

// The least and the greatest of some rows; of a logarithmic axis only what is positive counts.
function bounds(values, rows, logarithmic) {
  let low = Infinity, high = -Infinity;
  for (const row of rows) {
    const value = values[row];
    if (!Number.isFinite(value) || (logarithmic && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

// From numbers to dots and back, along one axis; a word stands at its place in the list.
function scaleOf(column, rows, logarithmic, from, to) {
  const log = logarithmic && column.kind !== "word" && column.kind !== "time";
  let [low, high] = column.kind === "word" ? [-0.5, column.words.length - 0.5] : (bounds(column.values, rows, log) ?? (log ? [1, 10] : [0, 1]));
  if (log) [low, high] = [Math.log10(low), Math.log10(high)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const margin = column.kind === "word" ? 0 : 0.03 * (high - low);
  [low, high] = [low - margin, high + margin];
  const place = (value) => (log ? (value > 0 ? from + ((Math.log10(value) - low) / (high - low)) * (to - from) : NaN) : from + ((value - low) / (high - low)) * (to - from));
  const value = (dot) => {
    const inside = low + ((dot - from) / (to - from)) * (high - low);
    return log ? 10 ** inside : inside;
  };
  return { log, place, value, ticks: ticksOf(column, low, high, log, Math.abs(to - from)) };
}

// Round numbers, as many as fit.
function ticksOf(column, low, high, log, room) {
  if (column.kind === "word") return column.words.map((word, code) => ({ value: code, text: word }));
  if (log) {
    const { tickvals, ticktext } = ticks(low, high, room);
    return tickvals.map((place, i) => ({ value: 10 ** place, text: ticktext[i] }));
  }
  const step = roundStep((high - low) / Math.max(2, room / 70));
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + 1e-9 * step; value += step) found.push({ value, text: column.kind === "time" ? new Date(value * 1000).toISOString().slice(5, 16).replace("T", " ") : shortened(formatted(Math.abs(value) < step * 1e-6 ? 0 : value, 4)) });
  return found.filter(({ text }, i) => !i || text !== found[i - 1].text); // what differs by less than the digits shown has one label
}

// 1, 2 or 5 times a power of ten, at least this.
function roundStep(least) {
  const unit = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((one) => one * unit).find((one) => one >= least * (1 - 1e-9));
}

function positiveAndWide(column) {
  if (column.kind !== "number") return false;
  if (column.wide === undefined) {
    const all = bounds(column.values, column.values.keys(), false);
    column.wide = all !== null && all[0] > 0 && all[1] > 30 * all[0];
  }
  return column.wide;
}

// A colour for each row, and what the legend says of it.
function colouring(column, rows, colours) {
  if (!column) return { of: () => LINES[0], shape: () => 0, legend: [] };
  // As many shapes as colours: the eighth word has the first colour and the second shape.
  const shapeOf = (code) => (code + Math.floor(code / LINES.length)) % SHAPES || 0;
  if (column.kind === "word") return { of: (row) => LINES[column.values[row] % LINES.length] ?? colour("soft"), shape: (row) => shapeOf(column.values[row]), legend: column.words.map((word, code) => ({ text: word, colour: LINES[code % LINES.length], shape: shapeOf(code) })) };
  const log = positiveAndWide(column), range = bounds(column.values, rows, log) ?? [1, 1];
  const inside = (value) => {
    const [a, b, v] = log ? [Math.log(range[0]), Math.log(range[1]), Math.log(value)] : [...range, value];
    return b > a ? Math.min(1, Math.max(0, (v - a) / (b - a))) : 0.5;
  };
  const at = (share) => colours.viridis[Math.round(share * (colours.viridis.length - 1))]?.[1] ?? colour("soft");
  const legend = [0, 0.25, 0.5, 0.75, 1].map((share) => ({ text: shortened(formatted(log ? range[0] ** (1 - share) * range[1] ** share : range[0] + share * (range[1] - range[0]), 3)), colour: at(share), shape: 0 }));
  return { of: (row) => (Number.isFinite(column.values[row]) ? at(inside(column.values[row])) : colour("soft")), shape: () => 0, legend: range[0] === range[1] ? legend.slice(0, 1) : legend };
}

// Path of a mark about a place.
function mark(pen, shape, x, y, r) {
  pen.beginPath();
  if (shape === 0) pen.arc(x, y, r, 0, 2 * Math.PI);
  else if (shape === 1) pen.rect(x - r, y - r, 2 * r, 2 * r);
  else {
    const corners = { 2: [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]], 3: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]], 6: [[0, 1.2], [1.1, -0.9], [-1.1, -0.9]], 4: [[-1, -1], [0, -0.35], [1, -1], [0.35, 0], [1, 1], [0, 0.35], [-1, 1], [-0.35, 0]], 5: [[-0.35, -1.2], [0.35, -1.2], [0.35, -0.35], [1.2, -0.35], [1.2, 0.35], [0.35, 0.35], [0.35, 1.2], [-0.35, 1.2], [-0.35, 0.35], [-1.2, 0.35], [-1.2, -0.35], [-0.35, -0.35]] }[shape];
    corners.forEach(([dx, dy], i) => (i ? pen.lineTo(x + r * dx, y + r * dy) : pen.moveTo(x + r * dx, y + r * dy)));
    pen.closePath();
  }
}
