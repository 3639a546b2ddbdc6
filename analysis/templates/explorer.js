// Ties switches, maps and the chosen cell together, a group at a time.

class Explorer {
  constructor(place, group, header) {
    Object.assign(this, { place, group, header, selected: null });
    this.widths = [...new Set(group.width)].sort((a, b) => a - b);
    this.depths = [...new Set(group.depth)].sort((a, b) => a - b);
    this.column = new Map(this.widths.map((width, number) => [width, number]));
    this.row = new Map(this.depths.map((depth, number) => [depth, number]));
    this.cellsOf = group.activations.map((_, act) => [...group.act.keys()].filter((cell) => group.act[cell] === act));
    this.cellAt = new Map([...group.act.keys()].map((cell) => [`${group.act[cell]} ${group.width[cell]} ${group.depth[cell]}`, cell]));
    this.control = {};
    for (const control of place.querySelectorAll("[data-control]")) this.control[control.dataset.control] = control;
    this.fillControls();
    for (const name of ["activation", "view", "scale", "shared"]) this.control[name].addEventListener("change", () => this.draw());
    this.control.quantity.addEventListener("change", () => this.quantityChanged());
    this.control.view.addEventListener("change", () => this.suitScale());
    for (const name of ["act", "width", "depth"]) this.control[name].addEventListener("change", () => this.chosen());
    this.control.kernel.addEventListener("change", () => this.drawDetail());
    place.addEventListener("submit", (event) => event.preventDefault());
    this.maps = place.querySelector(".maps");
    themeListeners.push(() => this.redraw());
  }

  fillControls() {
    const options = (name, entries) => this.control[name].replaceChildren(...entries.map(([value, text]) => element("option", { value, textContent: text })));
    const acts = this.group.activations.map((one, number) => [number, one.title]);
    options("activation", acts.length > 1 ? [["all", "all"], ...acts] : acts);
    options("quantity", this.group.quantities.filter((one) => !one.view).map((one) => [one.name, one.title.replace("λ_min", "λₘᵢₙ").replace("λ_max", "λₘₐₓ")]));
    options("view", Object.entries(VIEWS));
    options("act", acts);
    options("width", this.widths.map((width) => [width, width]));
    options("depth", this.depths.map((depth) => [depth, depth]));
  }

  get quantity() {
    return this.group.quantities.find((one) => one.name === this.control.quantity.value);
  }

  get shown() {
    return layer(this.group, this.quantity, this.control.view.value);
  }

  quantityChanged() {
    const reasons = viewsOf(this.group, this.quantity);
    for (const option of this.control.view.options) {
      option.disabled = reasons[option.value] !== "";
      option.textContent = VIEWS[option.value] + (option.disabled ? ` (${reasons[option.value].replace("λ_min", "λₘᵢₙ")})` : "");
    }
    if (this.control.view.selectedOptions[0].disabled) this.control.view.value = "measured";
    this.suitScale();
    this.draw();
  }

  // The scale that suits the quantity; a logarithmic one needs positive values.
  suitScale() {
    const { values, scale } = this.shown;
    const known = [...values].filter(Number.isFinite);
    const positive = known.length > 0 && known.every((value) => value > 0);
    this.control.scale.options[0].disabled = !positive;
    const wide = positive && Math.max(...known) > 100 * Math.min(...known);
    this.control.scale.value = positive && (scale === "log" || scale === "ratio" || (scale === "auto" && wide)) ? "log" : "linear";
    this.draw();
  }

  redraw() {
    this.draw();
    this.drawDetail();
  }

  draw() {
    const { control, group } = this;
    const acts = control.activation.value === "all" ? group.activations.map((_, act) => act) : [Number(control.activation.value)];
    const shown = this.shown, logarithmic = control.scale.value === "log";
    control.shared.closest("label").hidden = acts.length < 2;
    this.place.querySelector(".definition").innerHTML = `${symbols(shown.title)}: ${symbols(shown.quantity.definition)}.`;
    this.maps.classList.toggle("single", acts.length === 1);
    while (this.maps.children.length > acts.length) {
      Plotly.purge(this.maps.lastChild);
      this.maps.lastChild.remove();
    }
    while (this.maps.children.length < acts.length) this.maps.append(this.mapPlace());
    // Measured and predicted λ_min share their colours, as do all maps unless she says otherwise.
    const twins = shown.quantity.name === "lambda_min" || shown.quantity.name === "limit_lambda_min";
    const layers = twins && shown.values === shown.quantity.value ? ["measured", "predicted"].map((view) => layer(group, this.quantity, view)) : [shown];
    const rangeOf = (chosen) => ends(layers.flatMap((one) => chosen.flatMap((act) => finite(one.values, this.cellsOf[act]))), shown.ratio, logarithmic);
    const common = rangeOf(group.activations.map((_, act) => act));
    acts.forEach((act, number) => {
      const place = this.maps.children[number];
      place.dataset.act = act;
      const range = control.shared.checked && acts.length > 1 ? common : rangeOf([act]);
      drawMap(place, this, act, shown, range, logarithmic);
      if (!place.dataset.listening) {
        place.dataset.listening = "yes";
        place.on("plotly_click", (event) => this.clicked(Number(place.dataset.act), event.points[0]));
      }
    });
  }

  mapPlace() {
    return element("div", { className: "map" });
  }

  clicked(act, point) {
    const cell = this.cellAt.get(`${act} ${this.widths[point.x]} ${this.depths[point.y]}`);
    if (cell !== undefined) this.select(cell);
  }

  chosen() {
    const { act, width, depth } = this.control;
    this.selected = this.cellAt.get(`${act.value} ${width.value} ${depth.value}`) ?? null;
    if (this.selected === null) {
      this.place.querySelector(".cell").textContent = `${act.selectedOptions[0].textContent} ${width.value} × ${depth.value} was not computed.`;
      for (const part of [".plots", ".facts"]) this.place.querySelector(part).hidden = true;
      this.draw();
    } else this.select(this.selected);
  }

  select(cell) {
    const { group, control } = this;
    this.selected = cell;
    control.act.value = group.act[cell];
    control.width.value = group.width[cell];
    control.depth.value = group.depth[cell];
    const kernels = group.kernels.filter((kernel) => kernel.cell === cell);
    control.kernel.replaceChildren(...kernels.map((kernel) => element("option", { value: kernel.seed, textContent: `seed ${kernel.seed}` })));
    control.kernel.closest("label").hidden = kernels.length < 2;
    this.draw();
    this.drawDetail();
  }

  drawDetail() {
    const { group, place, selected } = this;
    if (selected === null) return;
    const name = `${group.activations[group.act[selected]].title} ${group.width[selected]} × ${group.depth[selected]}`;
    const find = (part) => place.querySelector(part);
    const none = group.seeds[selected] === 0;
    const chance = group.probability[selected];
    find(".cell").textContent = none
      ? `${name}: no result, ${group.failed[selected]} failed`
      : `${name}, ${seedsText(group.seeds[selected])}` + (chance > 0 ? `; greatest λₘᵢₙ of its activation with probability ${Math.round(100 * chance) || "< 1"} %` : "");
    find(".plots").hidden = find(".facts").hidden = none;
    if (none) return;
    const kernel = group.kernels.find((one) => one.cell === selected && String(one.seed) === this.control.kernel.value);
    find(".kernel").hidden = !kernel;
    find(".plots").classList.toggle("single", !kernel);
    drawSpectrum(find(".spectrum"), group, selected, name);
    if (kernel) drawKernel(find(".kernel"), kernel, name, this.header.colours);
    const { spectra } = group;
    const thinned = spectra.index.length < spectra.count ? `${spectra.index.length} of ${spectra.count} eigenvalues` : "all eigenvalues";
    const which = spectra.kind === "seeds" ? "every seed" : "mean, least and greatest over the seeds";
    const note = element("p", { className: "note", textContent: `To keep the page small, spectra hold ${thinned} of ${which}, to about four digits. The rows of the store hold all of them.` });
    find(".facts").replaceChildren(factsTable(group, selected), note);
  }

  // The cell with the greatest mean λ_min, of the first activation that has one.
  start() {
    this.place.hidden = false;
    const { value, mean = value } = this.group.quantities.find((one) => one.name === "lambda_min");
    let best = null;
    for (const cell of this.cellsOf[0]) if (Number.isFinite(mean[cell]) && (best === null || mean[cell] > mean[best])) best = cell;
    this.selected = best ?? this.group.seeds.findIndex((count) => count > 0);
    this.quantityChanged();
    this.select(this.selected);
  }
}

async function start() {
  const header = JSON.parse(document.getElementById("header").textContent);
  if (!header.groups.some(Boolean)) return;
  if (typeof DecompressionStream === "undefined") return; // an old browser keeps the static figures
  const [library, numbers] = await Promise.all([inflated("library"), inflated("numbers")]);
  document.head.append(element("script", { textContent: new TextDecoder().decode(library) }));
  const groups = opened(header.groups, numbers);
  const places = [...document.querySelectorAll(".explorer")];
  // Far down the page they wait until they are scrolled to: a page of ten groups would draw forty maps at once.
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries)
      if (entry.isIntersecting) {
        watcher.unobserve(entry.target);
        begin(entry.target.querySelector(".explorer"));
      }
  }, { rootMargin: "800px" });
  const begin = (place) => {
    new Explorer(place, groups[place.dataset.group], header).start();
    const section = place.closest("section");
    for (const one of section.querySelectorAll("details.twice")) one.open = false;
    place.dataset.ready = "yes";
  };
  places.forEach((place, number) => {
    if (number === 0) begin(place);
    else watcher.observe(place.closest("section"));
  });
  document.documentElement.dataset.ready = "yes";
}

start();
