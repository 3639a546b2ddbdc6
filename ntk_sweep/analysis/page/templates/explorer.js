// Ties switches, maps and the chosen cell together, a group at a time.

const DETAILS = [".spectrum", ".about", ".kernels", ".facts", ".packed"];

class Explorer {
  // `bench` gives the rows of the group; null where the page has none.
  constructor(place, group, header, bench) {
    Object.assign(this, { place, group, header, bench, selected: null, outside: new Set() });
    this.widths = [...new Set(group.width)].sort((a, b) => a - b);
    this.depths = [...new Set(group.depth)].sort((a, b) => a - b);
    this.column = new Map(this.widths.map((width, number) => [width, number]));
    this.row = new Map(this.depths.map((depth, number) => [depth, number]));
    this.acts = group.activations.map((_, act) => act);
    this.cellsOf = group.activations.map((_, act) => [...group.act.keys()].filter((cell) => group.act[cell] === act));
    this.cellAt = new Map([...group.act.keys()].map((cell) => [`${group.act[cell]} ${group.width[cell]} ${group.depth[cell]}`, cell]));
    this.control = {};
    for (const control of place.querySelectorAll("[data-control]")) this.control[control.dataset.control] = control;
    this.fillControls();
    this.control.scale.addEventListener("change", () => this.draw());
    this.control.shared.addEventListener("change", () => this.draw());
    this.control.activation.addEventListener("change", () => this.activationChanged());
    this.control.quantity.addEventListener("change", () => this.quantityChanged());
    this.control.view.addEventListener("change", () => this.viewChanged());
    for (const name of ["act", "width", "depth"]) this.control[name].addEventListener("change", () => this.chosen());
    for (const name of ["kernel", "spectrum"]) this.control[name].addEventListener("change", () => this.drawDetail());
    this.compared = new Compared(this);
    place.addEventListener("submit", (event) => event.preventDefault());
    this.maps = place.querySelector(".maps");
    this.heard = place.querySelector(".heard");
    this.watchJump();
    offerRows(this);
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
    const view = this.control.view.value;
    return layer(this.group, this.quantity, view === "together" ? "measured" : view);
  }

  quantityChanged() {
    const reasons = viewsOf(this.group, this.quantity);
    for (const option of this.control.view.options) {
      option.disabled = reasons[option.value] !== "";
      option.textContent = VIEWS[option.value] + (option.disabled ? ` (${reasons[option.value].replace("λ_min", "λₘᵢₙ")})` : "");
    }
    if (this.control.view.selectedOptions[0].disabled) this.control.view.value = "measured";
    this.viewChanged();
  }

  viewChanged() {
    const { activation, view, scale, shared } = this.control;
    if (view.value === "together" && activation.value === "all") activation.value = this.selected === null ? 0 : this.group.act[this.selected];
    const { positive, logarithmic } = suited(this.shown);
    scale.options[0].disabled = !positive;
    scale.value = logarithmic ? "log" : "linear";
    shared.checked = this.comparable(this.shown, logarithmic);
    this.draw();
  }

  activationChanged() {
    if (this.control.view.value === "together" && this.control.activation.value === "all") {
      this.control.view.value = "measured";
      this.viewChanged();
    } else this.draw();
  }

  // Whether one scale for all activations leaves each its differences. Of sigmoid networks λ_min falls by ten decades where that of
  // the others falls by one, which then would have one colour; she may still ask for it.
  comparable(shown, logarithmic) {
    const span = (acts) => {
      const [low, high] = ends(acts.flatMap((act) => finite(shown.values, this.cellsOf[act])), logarithmic);
      return high - low;
    };
    const own = this.acts.filter((act) => finite(shown.values, this.cellsOf[act]).length > 1).map((act) => span([act])).sort((a, b) => a - b);
    return !own.length || span(this.acts) <= 3 * own[own.length >> 1];
  }

  redraw() {
    this.draw();
    this.drawDetail();
  }

  // The maps to draw: one of each activation, or all views of one.
  panels() {
    const { activation, view } = this.control;
    if (view.value !== "together") return (activation.value === "all" ? this.acts : [Number(activation.value)]).map((act) => ({ act, shown: this.shown, title: this.group.activations[act].title }));
    const reasons = viewsOf(this.group, this.quantity);
    const act = Number(activation.value);
    return TOGETHER.filter((name) => !reasons[name]).map((name) => ({ act, shown: layer(this.group, this.quantity, name), title: `${this.group.activations[act].title}, ${VIEWS[name]}` }));
  }

  // The ends of the colours of some activations; measured and predicted λ_min share them where they are compared.
  range(acts, shown, logarithmic, compared) {
    const twins = compared && ["lambda_min", "limit_lambda_min"].includes(shown.quantity.name) && shown.values === shown.quantity.value;
    const layers = twins ? ["measured", "predicted"].map((view) => layer(this.group, this.quantity, view)) : [shown];
    return ends(layers.flatMap((one) => acts.flatMap((act) => finite(one.values, this.cellsOf[act]))), logarithmic);
  }

  draw() {
    const { control } = this;
    const panels = this.panels();
    const together = control.view.value === "together";
    const shared = control.shared.checked && panels.length > 1 && !together;
    control.shared.closest("label").hidden = panels.length < 2 || together;
    control.scale.closest("label").hidden = together;
    this.place.querySelector(".scales").hidden = shared || panels.length < 2 || together;
    this.place.querySelector(".faded").hidden = !this.outside.size;
    const definition = together ? "λ_min measured and predicted from infinite width in the same colours, their ratio, and the spread over seeds" : `${this.shown.title}: ${this.shown.quantity.definition}`;
    this.place.querySelector(".frames").textContent = framesText(this.group, this.shown, together);
    this.place.querySelector(".definition").innerHTML = `${symbols(definition)}.`;
    this.maps.classList.toggle("single", panels.length === 1);
    while (this.maps.children.length > panels.length) {
      Plotly.purge(this.maps.lastChild);
      this.maps.lastChild.remove();
    }
    while (this.maps.children.length < panels.length) this.maps.append(this.mapPlace());
    panels.forEach(({ act, shown, title }, number) => {
      const place = this.maps.children[number];
      place.dataset.act = act;
      const logarithmic = together ? suited(shown).logarithmic : control.scale.value === "log";
      drawMap(place, this, act, shown, this.range(shared ? this.acts : [act], shown, logarithmic, together), logarithmic, title);
      if (!place.dataset.listening) {
        place.dataset.listening = "yes";
        place.on("plotly_hover", (event) => {
          const { zmin, zmax } = place.data[0];
          this.hear(event.points[0]);
          markColour(place, event.points[0].curveNumber === 0 ? event.points[0].z : NaN, [zmin, zmax]);
        });
        place.on("plotly_unhover", () => markColour(place, NaN, [0, 1]));
        place.on("plotly_click", (event) => this.clicked(Number(place.dataset.act), event.points[0], event.event?.shiftKey));
      }
    });
  }

  // By keyboard the arrows lead from cell to cell of a map; the chosen one is told below.
  mapPlace() {
    const place = element("div", { className: "map", tabIndex: 0 });
    place.addEventListener("keydown", (event) => {
      const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (event.target !== place || !(step || event.key === "Enter")) return;
      event.preventDefault();
      if (!step) return this.compared.toggle(this.selected);
      const act = Number(place.dataset.act), own = this.selected !== null && this.group.act[this.selected] === act ? this.selected : this.cellsOf[act][0];
      let column = this.column.get(this.group.width[own]) + step[0], row = this.row.get(this.group.depth[own]) + step[1];
      for (let cell; column in this.widths && row in this.depths; column += step[0], row += step[1])
        if ((cell = this.cellAt.get(`${act} ${this.widths[column]} ${this.depths[row]}`)) !== undefined) {
          this.select(cell);
          this.say(hoverText(this.group, this.shown, cell, this.group.activations[act].title).replaceAll("<br>", "; ").replace(/<[^>]*>/g, ""));
          state.changed();
          return;
        }
    });
    return place;
  }

  // What hovering shows, for those who hear it.
  hear(point) {
    clearTimeout(this.hearing);
    this.hearing = setTimeout(() => (this.heard.textContent = String(point.text ?? "").replaceAll("<br>", "; ").replace(/<[^>]*>/g, "")), 300);
  }

  say(text) {
    clearTimeout(this.hearing);
    this.heard.textContent = text;
  }

  nameOf(cell) {
    const { group } = this;
    return `${group.activations[group.act[cell]].title} ${group.width[cell]} × ${group.depth[cell]}`;
  }

  clicked(act, point, kept) {
    const cell = this.cellAt.get(`${act} ${this.widths[point.x]} ${this.depths[point.y]}`);
    if (cell === undefined) return;
    if (kept) return this.compared.toggle(cell);
    this.select(cell);
    this.offerJump();
    state.changed();
  }

  // Where the chosen cell's spectrum lies off the screen, as on a phone, a button leads to it.
  offerJump() {
    const heading = this.place.querySelector(".cell"), jump = this.place.querySelector(".jump");
    const { top, bottom } = heading.getBoundingClientRect();
    jump.hidden = top >= 0 && bottom <= window.innerHeight;
    jump.textContent = `${heading.textContent.split(/[,:;]/)[0]}: spectrum ${top < 0 ? "↑" : "↓"}`;
  }

  watchJump() {
    const heading = this.place.querySelector(".cell"), jump = this.place.querySelector(".jump");
    jump.addEventListener("click", (event) => {
      event.preventDefault();
      jump.hidden = true;
      heading.scrollIntoView({ behavior: "smooth", block: "start" });
    });
    // It goes when the spectrum is reached, and when she leaves the maps.
    new IntersectionObserver((entries) => entries.forEach((entry) => entry.isIntersecting && (jump.hidden = true))).observe(heading);
    new IntersectionObserver((entries) => entries.forEach((entry) => !entry.isIntersecting && (jump.hidden = true))).observe(this.place);
  }

  chosen() {
    const { act, width, depth } = this.control;
    this.selected = this.cellAt.get(`${act.value} ${width.value} ${depth.value}`) ?? null;
    if (this.selected === null) {
      this.place.querySelector(".cell").textContent = `${act.selectedOptions[0].textContent} ${width.value} × ${depth.value} was not computed.`;
      for (const part of DETAILS) this.place.querySelector(part).hidden = true;
      this.compared.draw();
      this.draw();
    } else this.select(this.selected);
  }

  select(cell, redraw = true) {
    const { group, control } = this;
    this.selected = cell;
    control.act.value = group.act[cell];
    control.width.value = group.width[cell];
    control.depth.value = group.depth[cell];
    const kernels = group.kernels.filter((kernel) => kernel.cell === cell);
    control.kernel.replaceChildren(...kernels.map((kernel) => element("option", { value: kernel.seed, textContent: `seed ${kernel.seed}` })));
    control.kernel.closest("label").hidden = kernels.length < 2;
    if (redraw) this.draw();
    this.drawDetail();
  }

  drawDetail() {
    const { group, place, selected } = this;
    if (selected === null) return;
    const name = this.nameOf(selected);
    const find = (part) => place.querySelector(part);
    const none = group.seeds[selected] === 0;
    const chance = group.probability[selected];
    find(".cell").textContent = none
      ? `${name}: no result, ${group.failed[selected]} failed`
      : `${name}, ${seedsText(group.seeds[selected])}` + (chance > 0 ? `; greatest geometric mean λₘᵢₙ of its activation with probability ${probabilityText(chance)}` : "");
    for (const part of DETAILS) find(part).hidden = none;
    this.compared.draw();
    find(".own-commands").hidden = true;
    if (none) return;
    const kernel = group.kernels.find((one) => one.cell === selected && String(one.seed) === this.control.kernel.value);
    find(".kernels").hidden = !kernel;
    find(".about").textContent = drawSpectrum(find(".spectrum"), this, this.compared.shown, this.control.spectrum.value);
    if (kernel) drawKernels({ theta: find(".kernel"), limit: find(".kernel-limit"), difference: find(".kernel-difference") }, kernel, name, this.header.colours);
    const { spectra } = group;
    const thinned = spectra.index.length < spectra.count ? `${spectra.index.length} of ${spectra.count} eigenvalues` : "all eigenvalues";
    const which = spectra.kind === "seeds" ? "every seed" : "mean, least and greatest over the seeds";
    const text = find(".spectrum").hidden
      ? "Of this network the store holds the extreme eigenvalues alone."
      : `To keep the page small, spectra hold ${thinned} of ${which}, to about four digits. The rows of the store hold all of them.`;
    const note = element("p", { className: "note", textContent: text });
    find(".facts").replaceChildren(factsTable(group, selected));
    find(".packed").replaceChildren(note);
  }

  read() {
    const values = {};
    for (const [name, control] of Object.entries(this.control)) values[name] = control.type === "checkbox" ? (control.checked ? "yes" : "no") : control.value;
    values.compared = this.compared.read();
    return values;
  }

  write(values) {
    const { control } = this;
    const set = (name) => {
      const one = control[name];
      if (one.type === "checkbox") one.checked = values[name] === "yes";
      else if ([...one.options].some((option) => option.value === values[name] && !option.disabled)) one.value = values[name];
    };
    set("quantity");
    set("activation");
    this.quantityChanged();
    for (const name of ["view", "activation"]) set(name);
    this.viewChanged();
    for (const name of ["activation", "scale", "shared", "act", "width", "depth", "spectrum"]) set(name);
    this.compared.write(values.compared);
    this.chosen();
    set("kernel");
    this.drawDetail();
  }

  // The cell with the greatest λ_min, of the first activation that has one.
  start() {
    this.place.hidden = false;
    const { value } = this.group.quantities.find((one) => one.name === "lambda_min");
    this.selected = greatest(this.cellsOf[0], value) ?? this.group.seeds.findIndex((count) => count > 0);
    this.quantityChanged();
    this.select(this.selected, false);
  }
}
