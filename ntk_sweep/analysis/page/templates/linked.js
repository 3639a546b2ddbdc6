// What the maps and the rows below have in common: one selection, and the rows and command of a cell.

// The cell that each of some rows belongs to; undefined where the maps have none.
function cellsOfRows(explorer, rows, chosen) {
  const acts = new Map(explorer.group.activations.map(({ name }, act) => [name, act]));
  const [act, width, depth] = ["act", "width", "depth"].map((name) => rows.named.get(name));
  return chosen.map((row) => explorer.cellAt.get(`${acts.get(act.words[act.values[row]])} ${width.values[row]} ${depth.values[row]}`));
}

// The rows of the chosen cell, and what computes it.
function offerRows(explorer) {
  const find = (part) => explorer.place.querySelector(part);
  const show = find(".own-rows"), tell = find(".own-command"), command = find(".own-commands");
  show.hidden = tell.hidden = !explorer.bench;
  const names = () => {
    const { group, selected } = explorer;
    return { act: group.activations[group.act[selected]].name, width: String(group.width[selected]), depth: String(group.depth[selected]) };
  };
  show.addEventListener("click", () => {
    const { rows, place } = explorer.bench();
    for (const [name, text] of Object.entries(names())) rows.conditions.set(name, text);
    rows.changed();
    state.changed();
    place.closest("section").scrollIntoView();
  });
  tell.addEventListener("click", async () => {
    const { rows } = explorer.bench();
    explorer.say(await showCommands(command, rows.commandsOf(rows.ofCell(names()))));
  });
}

// Cells none of whose rows passes the conditions of the table are faded.
function follow(explorer, rows) {
  rows.listeners.push((filtered) => {
    if (!filtered) return;
    const kept = new Set(rows.shown.length < rows.count ? cellsOfRows(explorer, rows, rows.shown) : explorer.group.act.keys());
    const outside = [...explorer.group.act.keys()].filter((cell) => !kept.has(cell));
    if (!outside.length && !explorer.outside.size) return;
    explorer.outside = new Set(outside);
    clearTimeout(explorer.following);
    explorer.following = setTimeout(() => explorer.draw(), 50);
  });
}

// The spectra of the first networks of some rows.
function showSpectra(explorer, rows) {
  const cells = [...new Set(cellsOfRows(explorer, rows, rows.selected))].filter((cell) => cell !== undefined);
  if (!cells.length) return "None of these rows has a spectrum.";
  explorer.compared.cells = cells.slice(0, MOST_COMPARED);
  explorer.select(cells[0]);
  explorer.place.querySelector(".detail").scrollIntoView();
  state.changed();
  return `${explorer.compared.shown.length} networks in the spectrum.`;
}
