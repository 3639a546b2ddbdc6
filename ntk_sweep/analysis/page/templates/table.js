// A table of all rows: only those in sight are in the document, so that 20 000 stay smooth.

const ROW_HEIGHT = 28;

class RowTable {
  constructor(place, rows, workbench) {
    Object.assign(this, { place, rows, workbench, sort: "", down: false, columns: [...rows.first] });
    this.head = element("thead");
    this.body = element("tbody");
    const table = element("table", { className: "rows" }, element("caption", { className: "unseen", textContent: "All rows" }), this.head, this.body);
    this.scroller = element("div", { className: "rows-scroller", tabIndex: 0 }, table);
    this.scroller.setAttribute("role", "region");
    this.scroller.setAttribute("aria-label", `Table of rows${workbench.place.dataset.of}; scrolls`);
    this.table = table;
    place.append(this.scroller);
    this.scroller.addEventListener("scroll", () => this.fill());
    rows.listeners.push(() => this.draw());
    this.drawHead();
  }

  drawHead() {
    const { rows } = this;
    const all = element("input", { type: "checkbox", ariaLabel: "Tick all rows that are shown" });
    all.addEventListener("change", (event) => {
      event.stopPropagation();
      rows.shown.forEach((row) => (all.checked ? rows.ticked.add(row) : rows.ticked.delete(row)));
      rows.changed(false);
      state.changed();
    });
    this.all = all;
    const names = element("tr", {}, element("th", { scope: "col" }, all));
    const filters = element("tr", {}, element("td"));
    for (const name of this.columns) {
      const column = rows.named.get(name);
      const button = element("button", { type: "button", className: "sort", textContent: name });
      button.addEventListener("click", () => {
        [this.sort, this.down] = this.sort !== name ? [name, false] : this.down ? ["", false] : [name, true];
        this.draw();
        state.changed();
        this.workbench.say(this.sort ? `Sorted by ${name}, ${this.down ? "greatest first" : "least first"}.` : "In the order of the store.");
      });
      const head = element("th", { scope: "col", className: column.kind === "word" ? "" : "number" }, button);
      head.dataset.column = name;
      names.append(head);
      const input = element("input", { type: "text", size: 8, placeholder: column.kind === "word" ? "filter" : "a..b", ariaLabel: `Filter ${name}`, autocomplete: "off", spellcheck: false });
      input.dataset.filter = name;
      input.addEventListener("change", () => rows.condition(name, input.value.trim()));
      filters.append(element("td", { className: column.kind === "word" ? "" : "number" }, input));
    }
    this.head.replaceChildren(names, filters);
  }

  choose(columns) {
    this.columns = columns.filter((name) => this.rows.named.has(name));
    this.drawHead();
    this.draw();
  }

  ordered() {
    const { rows, sort, down } = this;
    if (!sort || !rows.named.has(sort)) return rows.shown;
    const column = rows.named.get(sort), { values } = column, sign = down ? -1 : 1;
    const worded = column.kind === "word";
    return [...rows.shown].sort((a, b) => {
      const [one, other] = [values[a], values[b]];
      if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other) || a - b; // what is missing stands last
      return sign * (worded ? column.words[one].localeCompare(column.words[other]) : one - other) || a - b;
    });
  }

  draw() {
    const { rows } = this;
    this.order = this.ordered();
    for (const head of this.head.querySelectorAll("th[data-column]")) head.setAttribute("aria-sort", head.dataset.column !== this.sort ? "none" : this.down ? "descending" : "ascending");
    for (const input of this.head.querySelectorAll("input[data-filter]")) if (document.activeElement !== input || !input.value) input.value = rows.conditions.get(input.dataset.filter) ?? "";
    const ticked = rows.shown.filter((row) => rows.ticked.has(row)).length;
    this.all.checked = ticked > 0 && ticked === rows.shown.length;
    this.all.indeterminate = ticked > 0 && ticked < rows.shown.length;
    this.table.setAttribute("aria-rowcount", String(this.order.length + 2));
    this.from = -1;
    this.fill();
  }

  fill() {
    const { rows, scroller } = this;
    const many = Math.ceil((scroller.clientHeight || 400) / ROW_HEIGHT) + 20;
    const from = Math.max(0, Math.min(Math.floor(scroller.scrollTop / ROW_HEIGHT) - 10, this.order.length - many));
    if (from === this.from) return;
    this.from = from;
    const columns = this.columns.map((name) => rows.named.get(name));
    const spacer = (height) => element("tr", { ariaHidden: "true" }, element("td", { colSpan: columns.length + 1, className: "spacer", style: `height:${height}px` }));
    const visible = this.order.slice(from, from + many).map((row, place) => {
      const box = element("input", { type: "checkbox", checked: rows.ticked.has(row), ariaLabel: `Tick ${this.workbench.nameOf(row)}` });
      box.addEventListener("change", () => rows.tick(row, box.checked));
      const cells = columns.map((column) => element("td", { className: column.kind === "word" ? "" : "number", textContent: rows.text(column, row) }));
      const line = element("tr", { className: rows.ticked.has(row) ? "ticked" : "" }, element("td", {}, box), ...cells);
      line.dataset.row = row;
      line.setAttribute("aria-rowindex", String(from + place + 3));
      return line;
    });
    const focused = this.body.contains(document.activeElement) ? document.activeElement.closest("tr").dataset.row : null;
    const below = Math.max(0, this.order.length - from - visible.length);
    this.body.replaceChildren(spacer(from * ROW_HEIGHT), ...visible, spacer(below * ROW_HEIGHT));
    if (focused) this.body.querySelector(`tr[data-row="${focused}"] input`)?.focus();
  }
}
