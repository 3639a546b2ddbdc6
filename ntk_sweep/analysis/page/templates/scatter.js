// Any column against any other: points, or lines along an axis with bands over seeds.

const APART = ["task", "act", "width", "depth", "weight_std", "bias_std", "n_samples", "learning_rate", "learning_rate_unit", "batch_size", "optimiser", "centre_outputs", "stop_at_loss", "flow_time", "epochs", "data_normalise"];

class Scatter {
  constructor(place, rows, workbench) {
    Object.assign(this, { place, rows, workbench, control: {} });
    const shown = rows.columns.filter((column) => !column.fixed);
    const has = (...names) => names.find((name) => shown.some((column) => column.name === name)) ?? shown[0]?.name ?? "";
    const select = (name, label, value, none) => {
      const options = [...(none ? [["", none]] : []), ...shown.map((column) => [column.name, column.name])];
      this.control[name] = element("select", {}, ...options.map(([one, text]) => element("option", { value: one, textContent: text })));
      this.control[name].value = value;
      return element("label", {}, `${label} `, this.control[name]);
    };
    const box = (name, label, checked) => {
      this.control[name] = element("input", { type: "checkbox", checked });
      return element("label", { className: "check" }, this.control[name], label);
    };
    const form = element("form", { className: "controls", ariaLabel: `What the scatter plot shows${workbench.place.dataset.of}` },
      select("x", "x", has("a", "width", "depth", "seed")), box("logx", "log", rows.named.has("a")), select("y", "y", has("b", "lambda_min", "final_loss", "seconds")), box("logy", "log", true),
      select("colour", "colour", ["verdict", "act"].includes(has("verdict", "act")) ? has("verdict", "act") : "", "none"), select("size", "size", "", "none"), box("lines", "lines with bands over seeds", false));
    form.addEventListener("change", () => this.draw());
    form.addEventListener("submit", (event) => event.preventDefault());
    this.canvas = element("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "img");
    this.legend = element("div", { className: "legend" });
    this.tip = element("div", { className: "tip", hidden: true });
    this.frame = element("div", { className: "canvas-frame" }, this.canvas, this.tip);
    place.append(form, this.frame, this.legend, element("p", { className: "note", textContent: "Draw a rectangle to keep what lies in it, with a finger starting sideways; click a point to tick its row. With the arrow keys you go from point to point, Enter ticks." }));
    this.listen();
    rows.listeners.push((filtered) => (filtered ? this.draw() : this.drawOver()));
    new ResizeObserver(() => this.frame.clientWidth !== this.width && this.draw()).observe(this.frame);
  }

  column(name) {
    return this.rows.named.get(this.control[name].value);
  }

  draw() {
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.paint());
    this.base = null;
  }

  // Only what lies over the points.
  drawOver() {
    if (!this.base) return;
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.paintOver(restored(this.canvas, this.base)));
  }

  paint() {
    const { rows, canvas, frame } = this;
    const [x, y] = [this.column("x"), this.column("y")];
    if (!x || !y) return;
    const width = (this.width = frame.clientWidth || 600), height = (this.height = Math.min(420, Math.max(280, width * 0.55)));
    const pen = sharpCanvas(canvas, width, height);
    const every = [...Array(rows.count).keys()].filter((row) => Number.isFinite(x.values[row]) && Number.isFinite(y.values[row]));
    const chosen = every.filter((row) => rows.passes[row]);
    const room = this.control.lines.checked && chosen.length ? chosen : every;
    this.across = scaleOf(x, room, this.control.logx.checked, 64, width - 12);
    this.up = scaleOf(y, room, this.control.logy.checked, height - 42, 12);
    this.axes(pen, x, y, width, height);
    const shown = colouring(this.column("colour"), chosen, this.workbench.header.colours);
    const size = this.column("size"), range = size && bounds(size.values, chosen, positiveAndWide(size));
    const wide = range && positiveAndWide(size);
    const radius = (row) => {
      if (!range || range[0] === range[1]) return chosen.length > 3000 ? 2 : 3.2;
      const [a, b, v] = wide ? [...range, size.values[row]].map(Math.log) : [...range, size.values[row]];
      return Number.isFinite(v) ? 1.5 + 6 * Math.sqrt((v - a) / (b - a)) : 1.5;
    };
    this.points = [];
    if (this.control.lines.checked) this.lines(pen, chosen, x, y, shown);
    else {
      pen.fillStyle = colour("grid");
      for (const row of every) if (!rows.passes[row]) pen.fillRect(this.across.place(x.values[row]) - 1, this.up.place(y.values[row]) - 1, 2, 2);
      pen.globalAlpha = chosen.length > 2000 ? 0.6 : 0.85;
      for (const row of chosen) {
        const [px, py] = [this.across.place(x.values[row]), this.up.place(y.values[row])];
        if (Number.isNaN(px) || Number.isNaN(py)) continue;
        pen.fillStyle = shown.of(row);
        mark(pen, shown.shape(row), px, py, radius(row));
        pen.fill();
        this.points.push({ x: px, y: py, row });
      }
      pen.globalAlpha = 1;
    }
    this.points.sort((a, b) => a.x - b.x || a.y - b.y);
    canvas.setAttribute("aria-label", `${y.name} against ${x.name} of ${this.points.length} ${this.control.lines.checked ? "means over seeds" : "rows"}${this.column("colour") ? `, coloured by ${this.column("colour").name}` : ""}. The table below holds the same rows.`);
    this.showLegend(shown);
    this.base = snapshot(canvas);
    this.paintOver(pen);
  }

  paintOver(pen) {
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 2;
    for (const point of this.rows.ticked.size ? this.points : [])
      if (this.rows.ticked.has(point.row)) {
        mark(pen, 0, point.x, point.y, 6);
        pen.stroke();
      }
    if (this.drag) this.rectangle(pen);
  }

  axes(pen, x, y, width, height) {
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const { value, text } of this.up.ticks) {
      const at = this.up.place(value);
      pen.strokeStyle = colour("grid");
      pen.beginPath();
      pen.moveTo(64, at);
      pen.lineTo(width - 12, at);
      pen.stroke();
      pen.fillStyle = colour("ink");
      pen.fillText(text, 58, at);
    }
    pen.textAlign = "center";
    let last = -Infinity;
    for (const { value, text } of this.across.ticks) {
      const at = this.across.place(value), wide = pen.measureText(text).width;
      pen.strokeStyle = colour("grid");
      pen.beginPath();
      pen.moveTo(at, 12);
      pen.lineTo(at, height - 42);
      pen.stroke();
      if (at - wide / 2 < last + 6) continue;
      last = at + wide / 2;
      pen.fillText(text, at, height - 32);
    }
    pen.fillText(x.name, (52 + width) / 2, height - 12);
    pen.textAlign = "left";
    pen.textBaseline = "top";
    pen.fillText(y.name, 68, 0);
  }

  // A line for each setting of all that differs but the seed: the mean over seeds (geometric on a logarithmic axis), within least and greatest.
  lines(pen, chosen, x, y, shown) {
    const apart = APART.map((name) => this.rows.named.get(name)).filter((column) => column && !column.fixed && column !== x && column !== y);
    const series = new Map();
    for (const row of chosen) {
      if ((this.across.log && x.values[row] <= 0) || (this.up.log && y.values[row] <= 0)) continue;
      const name = apart.map((column) => column.values[row]).join(" ");
      if (!series.has(name)) series.set(name, new Map());
      const line = series.get(name);
      if (!line.has(x.values[row])) line.set(x.values[row], []);
      line.get(x.values[row]).push(row);
    }
    for (const line of series.values()) {
      const places = [...line.keys()].sort((a, b) => a - b);
      const stops = places.map((place) => {
        const rows = line.get(place), values = rows.map((row) => y.values[row]);
        const mean = this.up.log ? Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length) : values.reduce((sum, v) => sum + v, 0) / values.length;
        return { x: this.across.place(place), y: this.up.place(mean), low: this.up.place(Math.min(...values)), high: this.up.place(Math.max(...values)), row: rows[0], mean, many: rows.length };
      });
      pen.fillStyle = pen.strokeStyle = shown.of(stops[0].row);
      pen.globalAlpha = 0.16;
      pen.beginPath();
      stops.forEach((stop, i) => (i ? pen.lineTo(stop.x, stop.high) : pen.moveTo(stop.x, stop.high)));
      [...stops].reverse().forEach((stop) => pen.lineTo(stop.x, stop.low));
      pen.fill();
      pen.globalAlpha = 1;
      pen.lineWidth = 1.3;
      pen.beginPath();
      stops.forEach((stop, i) => (i ? pen.lineTo(stop.x, stop.y) : pen.moveTo(stop.x, stop.y)));
      pen.stroke();
      for (const stop of stops) {
        mark(pen, shown.shape(stop.row), stop.x, stop.y, 2.2);
        pen.fill();
        this.points.push(stop);
      }
    }
  }

  showLegend({ legend }) {
    const column = this.column("colour");
    const entries = legend.slice(0, 24).map((one) => {
      const canvas = element("canvas"), pen = sharpCanvas(canvas, 14, 14);
      canvas.setAttribute("aria-hidden", "true");
      pen.fillStyle = one.colour;
      mark(pen, one.shape, 7, 7, 4.5);
      pen.fill();
      return element("span", {}, canvas, one.text);
    });
    this.legend.replaceChildren(...(column ? [`${column.name}: `, ...entries] : []));
  }

  nearest(x, y, reach = 14) {
    let best = null, least = reach * reach;
    for (const point of this.points ?? []) {
      const far = (point.x - x) ** 2 + (point.y - y) ** 2;
      if (far < least) [best, least] = [point, far];
    }
    return best;
  }

  describe(point) {
    const [x, y] = [this.column("x"), this.column("y")];
    const lines = [this.workbench.nameOf(point.row), `${x.name} ${this.rows.text(x, point.row)}`, point.many ? `${y.name} ${formatted(point.mean, 4)}, mean of ${point.many}` : `${y.name} ${this.rows.text(y, point.row)}`];
    for (const name of ["colour", "size"]) if (this.column(name)) lines.push(`${this.column(name).name} ${this.rows.text(this.column(name), point.row)}`);
    return lines;
  }

  point(found) {
    this.current = found;
    this.tip.hidden = !found;
    if (!found) return;
    this.tip.replaceChildren(...this.describe(found).map((line) => element("div", { textContent: line })));
    this.tip.style.left = `${Math.min(found.x + 12, Math.max(0, this.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${Math.max(0, found.y - this.tip.offsetHeight - 8)}px`;
  }

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.x, event.clientY - box.y];
    };
    canvas.addEventListener("pointerdown", (event) => {
      this.drag = { from: at(event), to: at(event) };
      this.sideways = false;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.drag) {
        this.drag.to = at(event);
        this.drawOver();
      } else this.point(this.nearest(...at(event)));
    });
    canvas.addEventListener("pointerleave", () => this.point(null));
    // A finger that starts sideways draws; one that moves up or down scrolls the page (touch-action in the style sheet).
    canvas.addEventListener("touchmove", (event) => {
      if (!this.drag || !event.cancelable) return;
      const [{ clientX, clientY }] = event.touches, [x, y] = at({ clientX, clientY });
      this.sideways ||= Math.abs(x - this.drag.from[0]) > Math.abs(y - this.drag.from[1]);
      if (this.sideways) event.preventDefault();
    }, { passive: false });
    canvas.addEventListener("pointercancel", () => {
      this.drag = null;
      this.drawOver();
    });
    canvas.addEventListener("pointerup", (event) => {
      const { drag } = this;
      this.drag = null;
      this.drawOver();
      const [x, y] = at(event);
      if (!drag || Math.hypot(x - drag.from[0], y - drag.from[1]) < 5) {
        const found = this.nearest(x, y);
        if (found) this.rows.tick(found.row);
        if (event.pointerType === "touch") this.point(found);
      } else this.keep(drag.from, [x, y]);
      state.changed();
    });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step && this.points?.length) {
        const now = this.current ? this.points.findIndex((one) => one.row === this.current.row) : step > 0 ? -1 : this.points.length;
        this.point(this.points[Math.min(this.points.length - 1, Math.max(0, now + step))]);
        this.workbench.say(this.describe(this.current).join(", "));
      } else if (event.key === "Enter" && this.current) {
        this.rows.tick(this.current.row);
        state.changed();
      } else return;
      event.preventDefault();
    });
    canvas.addEventListener("blur", () => this.point(null));
  }

  // A rectangle becomes conditions on both columns.
  keep(from, to) {
    const limits = (column, scale, a, b) => {
      const [low, high] = [scale.value(a), scale.value(b)].sort((one, other) => one - other);
      return column.kind === "word" ? column.words.filter((_, code) => code >= low && code <= high).join(",") : interval(low, high);
    };
    const [x, y] = [this.column("x"), this.column("y")];
    this.rows.conditions.set(x.name, limits(x, this.across, from[0], to[0]));
    this.rows.conditions.set(y.name, limits(y, this.up, from[1], to[1]));
    this.rows.changed();
  }

  rectangle(pen) {
    const { from, to } = this.drag;
    pen.strokeStyle = colour("ink");
    pen.setLineDash([4, 3]);
    pen.strokeRect(from[0], from[1], to[0] - from[0], to[1] - from[1]);
    pen.setLineDash([]);
  }

  read() {
    return Object.fromEntries(Object.entries(this.control).map(([name, one]) => [name, one.type === "checkbox" ? (one.checked ? "yes" : "no") : one.value]));
  }

  write(values) {
    for (const [name, one] of Object.entries(this.control)) {
      if (one.type === "checkbox") one.checked = values[name] === "yes";
      else if ([...one.options].some((option) => option.value === (values[name] ?? ""))) one.value = values[name] ?? "";
    }
    this.draw();
  }
}
