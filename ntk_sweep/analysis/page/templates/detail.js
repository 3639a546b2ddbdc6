// One cell: all its quantities.

function factsTable(group, cell) {
  const head = element("tr", {}, ...["quantity", "mean", "sd over seeds", "95 % interval", "error bound"].map((text, place) => element("th", { textContent: text, className: place ? "number" : "", scope: "col" })));
  const body = group.quantities.map((quantity) => {
    const unresolved = quantity.unresolved[cell] > 0;
    const mean = quantity.mean && quantity.seeded ? quantity.mean[cell] : quantity.value[cell];
    const several = quantity.sd && group.seeds[cell] > 1 && !unresolved;
    const shown = quantity.geometric && several ? quantity.value[cell] : mean;
    const known = (number, most) => formatted(number, knownDigits(number, quantity.error ? quantity.error[cell] : 0, most));
    const entries = [
      unresolved ? quantity.state : known(shown, 4),
      several ? formatted(quantity.sd[cell], 3) : "—",
      several ? `${known(quantity.low[cell], 3)} to ${known(quantity.high[cell], 3)}` : "—",
      quantity.error && !unresolved ? formatted(quantity.error[cell], 2) : "—",
    ];
    const title = element("td", { title: quantity.definition, innerHTML: symbols(quantity.title) + (quantity.geometric && several ? " <small>(geometric)</small>" : "") });
    return element("tr", {}, title, ...entries.map((text) => element("td", { textContent: text, className: "number" })));
  });
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}
