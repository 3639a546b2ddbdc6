// Networks that stay in the spectrum beside the chosen one.

const MOST_COMPARED = LINES.length - 1;

class Compared {
  constructor(explorer) {
    Object.assign(this, { explorer, cells: [] });
    this.list = explorer.place.querySelector(".compared");
    this.button = explorer.place.querySelector(".compare");
    this.button.addEventListener("click", () => this.toggle(explorer.selected));
  }

  // Those in the spectrum: the chosen one first.
  get shown() {
    const { selected } = this.explorer;
    return [...new Set([selected, ...this.cells])].filter((cell) => cell !== null);
  }

  toggle(cell) {
    const { explorer } = this;
    if (cell === null) return;
    const name = explorer.nameOf(cell), known = this.cells.includes(cell);
    if (!known && this.cells.length === MOST_COMPARED) return explorer.say(`No more than ${MOST_COMPARED} networks are kept.`);
    this.cells = known ? this.cells.filter((one) => one !== cell) : [...this.cells, cell];
    explorer.redraw();
    explorer.say(known ? `${name} no longer kept.` : `${name} kept in the spectrum, with ${this.shown.length} network${this.shown.length > 1 ? "s" : ""}.`);
    state.changed();
  }

  draw() {
    const { explorer, cells, shown } = this, pressed = cells.includes(explorer.selected);
    this.button.textContent = pressed ? "Kept for comparison" : "Keep for comparison";
    this.button.setAttribute("aria-pressed", String(pressed));
    this.list.hidden = shown.length < 2 && !cells.length;
    const focused = [...this.list.children].indexOf(document.activeElement?.closest(".compared li"));
    this.list.replaceChildren(
      ...shown.map((cell, number) => {
        const name = explorer.nameOf(cell), kept = cells.includes(cell);
        const swatch = element("span", { className: "swatch", style: `background:${shown.length > 1 ? LINES[number] : "none"}` });
        swatch.setAttribute("aria-hidden", "true");
        const remove = element("button", { type: "button", textContent: "×", ariaLabel: `Remove ${name} from the spectrum`, hidden: !kept });
        remove.addEventListener("click", () => this.toggle(cell));
        return element("li", {}, swatch, cell === explorer.selected ? `${name}, chosen ` : `${name} `, remove);
      }),
    );
    if (focused >= 0) (this.list.children[Math.min(focused, this.list.children.length - 1)]?.querySelector("button:not([hidden])") ?? this.button).focus();
  }

  read() {
    const { group } = this.explorer;
    return this.cells.map((cell) => [group.act[cell], group.width[cell], group.depth[cell]].join(".")).join(",");
  }

  write(text) {
    const found = (text ?? "").split(",").map((one) => this.explorer.cellAt.get(one.replaceAll(".", " ")));
    this.cells = found.filter((cell) => cell !== undefined).slice(0, MOST_COMPARED);
  }
}
