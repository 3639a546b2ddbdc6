// The rows of a group in three views with one selection: table, scatter plot, parallel coordinates.

class Workbench {
  constructor(place, data, slug, header, explorer = null) {
    Object.assign(this, { place, header, slug, explorer });
    this.rows = new Rows(data);
    this.build();
    this.rows.listeners.push(() => this.count());
    if (explorer) follow(explorer, this.rows);
    state.bind(`${slug}.rows`, () => this.read(), (values) => this.write(values));
    this.rows.changed();
    themeListeners.push(() => this.rows.changed());
  }

  build() {
    const { rows, place, explorer } = this;
    const labelled = (text, control) => element("label", {}, `${text} `, control);
    this.search = element("input", { type: "search", placeholder: "any column", autocomplete: "off" });
    this.search.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.searched(), 150);
    });
    this.search.addEventListener("change", () => this.searched());
    this.picker = element("div", { className: "picker" }, ...rows.columns.map((column) => {
      const box = element("input", { type: "checkbox", value: column.name, checked: rows.first.includes(column.name) });
      box.addEventListener("change", () => this.table.choose([...this.picker.querySelectorAll("input:checked")].map((one) => one.value)));
      const label = element("label", {}, box, ` ${column.name}`);
      if (column.fixed) label.append(element("small", { textContent: ` = ${rows.text(column, 0)}` }));
      return label;
    }));
    const button = (text, action) => {
      const made = element("button", { type: "button", textContent: text });
      made.addEventListener("click", action);
      return made;
    };
    const clear = button("Show all", () => {
      this.search.value = "";
      rows.clear();
      state.changed();
    });
    this.status = element("p", { className: "note count", ariaLive: "polite" });
    this.said = element("p", { className: "unseen", ariaLive: "polite" });
    const shownColumns = () => this.table.columns.map((name) => rows.named.get(name));
    const exports = element("div", { className: "controls" }, element("span", { textContent: "Ticked rows, or all that are shown:" }),
      button("CSV", () => saved(`rows-${this.slug}.csv`, "text/csv", csvOf(rows, rows.selected, shownColumns()))),
      button("JSON", () => saved(`rows-${this.slug}.json`, "application/json", jsonOf(rows, rows.selected, shownColumns()))),
      ...(rows.commands ? [button("Command", () => this.command())] : []), ...(explorer ? [button("Spectra", () => this.say(showSpectra(explorer, rows)))] : []), clear);
    this.commandPlace = element("pre", { hidden: true, tabIndex: 0 });
    const tablePlace = element("div");
    const form = element("form", { className: "controls", ariaLabel: `Which rows are shown${place.dataset.of}` }, labelled("Search", this.search));
    form.addEventListener("submit", (event) => event.preventDefault());
    const summary = element("summary", { textContent: `Columns, ${rows.columns.length} of them` });
    summary.addEventListener("click", () => setTimeout(() => state.changed()));
    this.picking = element("details", { className: "columns" }, summary, this.picker);
    this.views = element("div", { className: "views" });
    place.append(form, this.status, this.said, this.views, exports, this.commandPlace, this.picking, tablePlace);
    this.table = new RowTable(tablePlace, rows, this);
    const parallelPlace = element("div", { className: "parallel" }), scatterPlace = element("div", { className: "scatter" });
    this.views.append(scatterPlace, parallelPlace);
    this.scatter = new Scatter(scatterPlace, rows, this);
    this.parallel = new Parallel(parallelPlace, rows, this);
  }

  searched() {
    if (this.rows.search === this.search.value.trim()) return;
    this.rows.search = this.search.value.trim();
    this.rows.changed();
    state.changed();
  }

  nameOf(row) {
    const { named } = this.rows;
    const shown = (name) => (named.has(name) ? this.rows.text(named.get(name), row) : "");
    return `${shown("act")} ${shown("width")} × ${shown("depth")}, seed ${shown("seed")}`;
  }

  say(text) {
    this.said.textContent = text;
  }

  count() {
    const { rows } = this;
    const conditions = [...rows.conditions].map(([name, text]) => `${name} ${text}`);
    if (rows.search) conditions.push(`“${rows.search}”`);
    const of = rows.total > rows.count ? ` (the first of ${rows.total}; the store holds all)` : "";
    this.status.textContent = `${rows.shown.length} of ${rows.count} rows${of}${conditions.length ? `: ${conditions.join("; ")}` : ""}${rows.ticked.size ? `. ${rows.ticked.size} ticked` : ""}. Numbers to five digits; the store has all.`;
    this.commandPlace.hidden = true;
  }

  async command() {
    this.say(await showCommands(this.commandPlace, this.rows.commandsOf(this.rows.selected)));
  }

  read() {
    const { rows, table } = this;
    const values = { sort: table.sort ? `${table.down ? "-" : ""}${table.sort}` : "", columns: table.columns.join(","), search: rows.search };
    values.picking = this.picking.open ? "open" : "";
    values.ticked = [...rows.ticked].map((row) => rows.keyOf(row)).join(",");
    for (const [name, text] of rows.conditions) values[`where.${name}`] = text;
    return { ...values, ...this.scatter.read() };
  }

  write(values) {
    const { rows, table } = this;
    table.sort = (values.sort ?? "").replace(/^-/, "");
    table.down = (values.sort ?? "").startsWith("-");
    const columns = (values.columns ?? "").split(",").filter((name) => rows.named.has(name));
    for (const box of this.picker.querySelectorAll("input")) box.checked = columns.includes(box.value);
    this.picking.open = values.picking === "open";
    rows.search = this.search.value = values.search ?? "";
    rows.conditions = new Map(Object.entries(values).filter(([name]) => name.startsWith("where.")).map(([name, text]) => [name.slice(6), text]));
    const keys = new Set((values.ticked ?? "").split(",").filter(Boolean));
    rows.ticked = new Set(keys.size ? [...Array(rows.count).keys()].filter((row) => keys.has(rows.keyOf(row))) : []);
    this.scatter.write(values);
    table.choose(columns);
    rows.changed();
  }
}
