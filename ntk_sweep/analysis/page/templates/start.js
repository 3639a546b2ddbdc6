// Opens what the page holds, and draws each part when it comes near the screen.

const KINDS = ".explorer, .workbench, .drift";

async function start() {
  showFigures();
  const header = JSON.parse(document.getElementById("header").textContent);
  if (typeof DecompressionStream === "undefined") return; // an old browser keeps the tables and links
  const [library, script, numbers] = await Promise.all(["library", "script", "numbers"].map(inflated));
  for (const one of [library, script]) document.head.append(element("script", { textContent: new TextDecoder().decode(one) }));
  const groups = opened(header.groups, numbers), rows = opened(header.rows, numbers), compared = opened(header.compared, numbers), drifts = opened(header.drifts, numbers);
  state.start();
  const root = document.documentElement;
  state.bind("page", () => ({ theme: root.dataset.theme ?? "" }), ({ theme }) => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    themeChanged();
  });
  themeButton.addEventListener("click", () => state.changed());
  const explorers = new Map(), benches = new Map();
  const makers = {
    explorer(place) {
      const group = groups[place.dataset.group];
      const bench = document.querySelector(`.workbench[data-group="${place.dataset.group}"]`);
      const explorer = new Explorer(place, group, header, bench && (() => begin(bench) ?? benches.get(bench)));
      explorers.set(place.dataset.group, explorer);
      explorer.start();
      state.bind(`${group.slug}.map`, () => explorer.read(), (values) => explorer.write(values));
    },
    drift(place) {
      new Drift(place, drifts[place.dataset.group], place.dataset.slug, header);
    },
    workbench(place) {
      const { group, compared: pair, slug } = place.dataset;
      const maps = document.querySelector(`.explorer[data-group="${group}"]`);
      if (maps) begin(maps); // which follow what the rows show
      benches.set(place, new Workbench(place, rows[group] ?? compared[pair], slug, header, explorers.get(group)));
    },
  };
  const begin = (place) => {
    if (place.dataset.ready) return;
    place.hidden = false;
    makers[place.classList[0]](place);
    for (const one of place.closest("section").querySelectorAll("details.twice")) one.open = false;
    place.dataset.ready = "yes";
  };
  // Far down the page they wait until they are scrolled to: a page of ten groups would draw forty maps at once.
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries)
      if (entry.isIntersecting) {
        watcher.unobserve(entry.target);
        entry.target.querySelectorAll(KINDS).forEach(begin);
      }
  }, { rootMargin: "800px" });
  const held = { explorer: groups, workbench: rows, drift: drifts };
  const places = [...document.querySelectorAll(KINDS)].filter((place) => "compared" in place.dataset || held[place.classList[0]][place.dataset.group]);
  const firstMap = places.find((place) => place.classList[0] === "explorer");
  places.forEach((place) => {
    // What the address speaks of stands before she looks.
    const part = { explorer: "map", workbench: "rows", drift: "drift" }[place.classList[0]];
    const named = [...state.parsed().values.keys()].some((name) => name.startsWith(`${place.dataset.slug}.${part}.`));
    if (place === firstMap || named) begin(place);
    else watcher.observe(place.closest("section"));
  });
  document.documentElement.dataset.ready = "yes";
  if (state.anchor) state.scroll();
}

start();
