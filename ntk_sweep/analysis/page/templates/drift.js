// The change of kernels over epochs: a panel an activation, a line a width.

class Drift {
  constructor(place, drifts, slug, header) {
    Object.assign(this, { place, drifts, header, control: {} });
    const select = (name, label) => {
      this.control[name] = element("select");
      return element("label", {}, `${label} `, this.control[name]);
    };
    const form = element("form", { className: "controls", ariaLabel: `What the panels show${place.dataset.of}` }, select("setting", "Training"), select("quantity", "Quantity"), select("depth", "Depth"));
    this.fill("setting", drifts.map(({ title }, number) => [number, title]));
    this.control.setting.closest("label").hidden = drifts.length < 2;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => this.draw());
    this.panels = element("div", { className: "panels" });
    this.legend = element("div", { className: "legend" });
    this.note = element("p", { className: "note", textContent: "Lines: the median over seeds. Bands: from the least to the greatest." });
    place.append(form, this.panels, this.legend, this.note);
    this.draw();
    state.bind(`${slug}.drift`, () => this.read(), (values) => this.write(values));
    themeListeners.push(() => this.draw());
  }

  fill(name, options) {
    const control = this.control[name], before = control.value;
    control.replaceChildren(...options.map(([value, text]) => element("option", { value, textContent: text })));
    if (options.some(([value]) => String(value) === before)) control.value = before;
  }

  // Lines of neighbouring widths have neighbouring colours; the ends of the map that the paper hides are left out.
  lineColour(place, many) {
    const { viridis } = this.header.colours, [from, to] = isDark() ? [0.25, 1] : [0, 0.88];
    return viridis[Math.round((from + ((to - from) * place) / Math.max(1, many - 1)) * (viridis.length - 1))][1];
  }

  draw() {
    const shown = this.drifts[Number(this.control.setting.value)];
    const distinct = (values) => [...new Set(values)].sort((a, b) => a - b);
    this.fill("quantity", shown.quantities.map(({ name, title }) => [name, title.replace("λ_min", "λₘᵢₙ").replace("λ_max", "λₘₐₓ")]));
    this.fill("depth", distinct(shown.depth).map((depth) => [depth, depth]));
    const quantity = shown.quantities.find(({ name }) => name === this.control.quantity.value), depth = Number(this.control.depth.value);
    const first = quantity.name === "change"; // which is 0 before training
    const rows = [...shown.act.keys()].filter((row) => shown.depth[row] === depth && !(first && shown.epoch[row] === 0));
    const widths = distinct(rows.map((row) => shown.width[row])), acts = distinct(rows.map((row) => shown.act[row]));
    const ends = [quantity.low ?? quantity.middle, quantity.high ?? quantity.middle];
    const values = rows.flatMap((row) => ends.map((end) => end[row])).filter(Number.isFinite);
    const logarithmic = quantity.name !== "alignment" && values.some((value) => value > 0);
    const kept = logarithmic ? values.filter((value) => value > 0) : values;
    const [low, high] = kept.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]).map((end) => (logarithmic ? Math.log10(end) : end));
    const margin = 0.05 * (high - low) || 0.1, range = Number.isFinite(low) ? [low - margin, high + margin] : [0, 1];
    const colours = new Map(widths.map((width, place) => [width, this.lineColour(place, widths.length)]));
    while (this.panels.children.length > acts.length) {
      Plotly.purge(this.panels.lastChild);
      this.panels.lastChild.remove();
    }
    while (this.panels.children.length < acts.length) this.panels.append(element("div"));
    acts.forEach((act, number) => {
      const name = shown.activations[act], traces = [];
      for (const width of widths) {
        const own = rows.filter((row) => shown.act[row] === act && shown.width[row] === width), x = own.map((row) => shown.epoch[row]);
        const of = (values) => own.map((row) => (Number.isFinite(values[row]) && (!logarithmic || values[row] > 0) ? values[row] : null));
        if (quantity.low && own.length > 1 && !of(quantity.low).includes(null))
          traces.push({ type: "scatter", mode: "lines", x: [...x, ...[...x].reverse()], y: [...of(quantity.high), ...of(quantity.low).reverse()], fill: "toself", fillcolor: `${colours.get(width)}30`, line: { width: 0 }, hoverinfo: "skip", showlegend: false });
        traces.push({ type: "scatter", mode: "lines+markers", name: `width ${width}`, x, y: of(quantity.middle), line: { color: colours.get(width), width: 1.5 }, marker: { color: colours.get(width), size: 4 }, showlegend: false, hovertemplate: `width ${width}, epoch %{x}: %{y:.3g}<extra></extra>` });
      }
      const place = this.panels.children[number];
      place.setAttribute("role", "group");
      place.setAttribute("aria-label", `${quantity.title} of ${name} networks of depth ${depth} over epochs, a line for each width from ${widths[0]} to ${widths.at(-1)}.`);
      plot(place, traces, {
        ...baseLayout(),
        height: 280,
        title: { text: escaped(name), x: 0, xref: "paper", xanchor: "left", font: { size: 14 } },
        xaxis: axis("epoch", { showgrid: true, gridcolor: colour("grid") }),
        yaxis: axis("", { type: logarithmic ? "log" : "linear", range, showgrid: true, gridcolor: colour("grid"), ...(logarithmic ? { tickmode: "array", ...ticksAt(range) } : {}) }),
        margin: { l: 56, r: 8, t: 30, b: 44 },
      });
    });
    this.note.hidden = !quantity.low;
    const swatch = (background) => {
      const made = element("span", { className: "swatch", style: `background:${background}` });
      made.setAttribute("aria-hidden", "true");
      return made;
    };
    this.legend.replaceChildren("width: ", ...widths.map((width) => element("span", {}, swatch(colours.get(width)), String(width))));
  }

  read() {
    return Object.fromEntries(Object.entries(this.control).map(([name, one]) => [name, one.value]));
  }

  write(values) {
    this.control.setting.value = values.setting;
    this.draw();
    for (const name of ["quantity", "depth"]) this.control[name].value = values[name];
    this.draw();
  }
}

// `ticks` of powers, as an axis of the library takes them.
function ticksAt([low, high]) {
  const { tickvals, ticktext } = ticks(low, high);
  return { tickvals: tickvals.map((place) => 10 ** place), ticktext };
}
