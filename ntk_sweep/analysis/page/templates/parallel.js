// Parallel coordinates: a line a row, and brushes that keep an interval of an axis.

const PREFERRED = ["act", "width", "depth", "weight_std", "bias_std", "n_samples", "lambda_min", "condition_number", "epochs", "final_loss", "verdict", "a", "b", "ratio"];

const TOP = 34, BOTTOM = 16;

class Parallel {
  constructor(place, rows, workbench) {
    Object.assign(this, { place, rows, workbench });
    this.canvas = element("canvas");
    this.canvas.setAttribute("role", "img");
    this.frame = element("div", { className: "canvas-frame" }, this.canvas);
    place.append(this.frame, element("p", { className: "note", textContent: "Drag along an axis, with pointer or finger, to keep what lies there; click it to keep all. The filters of the table do the same by keyboard." }));
    this.columns = PREFERRED.map((name) => rows.named.get(name)).filter((column) => column && !column.fixed && this.varies(column));
    this.listen();
    rows.listeners.push((filtered) => (filtered ? this.draw() : this.drawOver()));
    new ResizeObserver(() => this.frame.clientWidth !== this.width && this.draw()).observe(this.frame);
  }

  varies(column) {
    const range = bounds(column.values, column.values.keys(), false);
    return range !== null && range[0] < range[1];
  }

  draw() {
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.paint());
    this.base = null;
  }

  // Only what lies over the lines.
  drawOver() {
    if (!this.base) return;
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.paintOver(restored(this.canvas, this.base)));
  }

  paint() {
    const { rows, columns } = this;
    this.place.hidden = columns.length < 2;
    if (columns.length < 2) return;
    const width = (this.width = this.frame.clientWidth || 600), height = (this.height = 260);
    const pen = sharpCanvas(this.canvas, width, height);
    this.places ??= columns.map((column) => {
      const scale = scaleOf(column, column.values.keys(), positiveAndWide(column), height - BOTTOM, TOP);
      return { column, scale, y: Float64Array.from(column.values, scale.place) };
    });
    this.axes = this.places.map((place, i) => ({ ...place, x: 46 + (i * (width - 92)) / (columns.length - 1) }));
    const stroke = (row) => this.stroke(pen, row);
    pen.lineWidth = 1;
    if (rows.shown.length < rows.count) {
      pen.strokeStyle = colour("grid");
      pen.globalAlpha = 0.35;
      pen.beginPath();
      for (let row = 0; row < rows.count; row++) if (!rows.passes[row]) stroke(row);
      pen.stroke();
    }
    // Rows of one colour are one path: 20 000 lines in a few strokes.
    const shown = colouring(columns[0].kind === "word" ? columns[0] : null, rows.shown, this.workbench.header.colours);
    const byColour = new Map();
    for (const row of rows.shown) {
      const own = shown.of(row);
      if (!byColour.has(own)) byColour.set(own, []);
      byColour.get(own).push(row);
    }
    pen.globalAlpha = Math.max(0.06, Math.min(0.8, 40 / Math.sqrt(rows.shown.length + 1) / 5));
    for (const [own, members] of byColour) {
      pen.strokeStyle = own;
      for (let from = 0; from < members.length; from += 50) {
        pen.beginPath();
        members.slice(from, from + 50).forEach(stroke);
        pen.stroke();
      }
    }
    pen.globalAlpha = 1;
    this.base = snapshot(this.canvas);
    this.paintOver(pen);
    this.canvas.setAttribute("aria-label", `Parallel coordinates of ${rows.shown.length} of ${rows.count} rows over ${columns.map((column) => column.name).join(", ")}.`);
  }

  stroke(pen, row) {
    let down = false;
    for (const { x, y } of this.axes) {
      if (Number.isFinite(y[row])) down ? pen.lineTo(x, y[row]) : pen.moveTo(x, y[row]);
      down = Number.isFinite(y[row]);
    }
  }

  paintOver(pen) {
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 2;
    pen.beginPath();
    for (const row of this.rows.ticked) this.stroke(pen, row);
    pen.stroke();
    this.drawAxes(pen, this.height);
  }

  drawAxes(pen, height) {
    this.axes.forEach(({ column, x, scale }, i) => {
      pen.strokeStyle = colour("soft");
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(x, TOP - 4);
      pen.lineTo(x, height - BOTTOM + 4);
      pen.stroke();
      pen.fillStyle = colour("ink");
      pen.textAlign = "center";
      pen.textBaseline = "top";
      pen.font = "600 12px system-ui, sans-serif";
      const most = (2 * (this.width - 92)) / Math.max(1, this.axes.length - 1) - 8;
      const half = Math.min(pen.measureText(column.name).width, most) / 2; // long names end at the border
      pen.fillText(column.name, Math.max(half, Math.min(x, this.width - half)), i % 2 && this.width < 560 ? 14 : 0, most);
      pen.font = "11px system-ui, sans-serif";
      pen.textBaseline = "middle";
      pen.textAlign = i === this.axes.length - 1 ? "right" : "left";
      const every = Math.ceil(scale.ticks.length / 8);
      scale.ticks.forEach(({ value, text }, number) => {
        if (number % every) return;
        const y = scale.place(value), side = i === this.axes.length - 1 ? -4 : 4, wide = pen.measureText(text).width;
        pen.fillStyle = colour("paper");
        pen.globalAlpha = 0.75;
        pen.fillRect(side > 0 ? x + side - 1 : x + side - wide - 1, y - 7, wide + 2, 14);
        pen.globalAlpha = 1;
        pen.fillStyle = colour("ink");
        pen.fillText(text, x + side, y);
      });
      const brush = this.drag?.axis === i ? [this.drag.from, this.drag.to] : this.brushOf(column, scale);
      if (!brush) return;
      pen.fillStyle = colour("focus");
      pen.globalAlpha = 0.3;
      pen.fillRect(x - 7, Math.min(...brush), 14, Math.abs(brush[1] - brush[0]));
      pen.globalAlpha = 1;
    });
  }

  // Where the condition of a column keeps its values, from the first to the last that passes.
  brushOf(column, scale) {
    const text = this.rows.conditions.get(column.name);
    if (!text) return null;
    const range = text.match(/^([^,]*?)\.\.([^,]*)$/);
    if (range && column.kind !== "word") return range.slice(1).map((one, i) => (one === "" ? (i ? TOP : this.height - BOTTOM) : scale.place(Number(one))));
    const test = tester(column, text);
    const kept = [...new Set(column.values)].filter((value) => Number.isFinite(value) && test(value)).map(scale.place);
    return kept.length ? [Math.min(...kept) - 6, Math.max(...kept) + 6] : null;
  }

  listen() {
    const { canvas } = this;
    const y = (event) => Math.min(this.height - BOTTOM, Math.max(TOP, event.clientY - canvas.getBoundingClientRect().y));
    const axisAt = (clientX) => this.axes?.findIndex((one) => Math.abs(one.x - (clientX - canvas.getBoundingClientRect().x)) < 20) ?? -1;
    // A finger on an axis brushes; between the axes it scrolls the page.
    canvas.addEventListener("touchstart", (event) => axisAt(event.touches[0].clientX) >= 0 && event.touches.length === 1 && event.cancelable && event.preventDefault(), { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      const axis = axisAt(event.clientX);
      if (axis < 0) return;
      this.drag = { axis, from: y(event), to: y(event) };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.drag) return;
      this.drag.to = y(event);
      this.drawOver();
    });
    canvas.addEventListener("pointercancel", () => {
      this.drag = null;
      this.drawOver();
    });
    canvas.addEventListener("pointerup", () => {
      const { drag } = this;
      if (!drag) return;
      this.drag = null;
      const { column, scale } = this.axes[drag.axis];
      const [low, high] = [scale.value(drag.from), scale.value(drag.to)].sort((a, b) => a - b);
      if (Math.abs(drag.to - drag.from) < 4) this.rows.condition(column.name, "");
      else if (column.kind === "word") this.rows.condition(column.name, column.words.filter((_, code) => code >= low && code <= high).join(",") || column.words[Math.round((low + high) / 2)]);
      else this.rows.condition(column.name, interval(low, high));
      state.changed();
    });
  }
}
