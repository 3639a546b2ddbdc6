// Opens what the page holds, and draws each part when it comes near the screen.

async function start() {
  showFigures();
  const header = JSON.parse(document.getElementById("header").textContent);
  if (typeof DecompressionStream === "undefined") return; // an old browser keeps the tables and links
  const [library, numbers] = await Promise.all([inflated("library"), inflated("numbers")]);
  document.head.append(element("script", { textContent: new TextDecoder().decode(library) }));
  const groups = opened(header.groups, numbers), rows = opened(header.rows, numbers), compared = opened(header.compared, numbers);
  state.start();
  const makers = {
    explorer(place) {
      const group = groups[place.dataset.group];
      const explorer = new Explorer(place, group, header);
      explorer.start();
      state.bind(`${group.slug}.map`, () => explorer.read(), (values) => explorer.write(values));
      for (const one of place.closest("section").querySelectorAll("details.twice")) one.open = false;
    },
    workbench(place) {
      new Workbench(place, rows[place.dataset.group] ?? compared[place.dataset.compared], place.dataset.slug, header);
    },
  };
  const begin = (place) => {
    if (place.dataset.ready) return;
    place.hidden = false;
    makers[place.classList[0]](place);
    place.dataset.ready = "yes";
  };
  // Far down the page they wait until they are scrolled to: a page of ten groups would draw forty maps at once.
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries)
      if (entry.isIntersecting) {
        watcher.unobserve(entry.target);
        entry.target.querySelectorAll(".explorer, .workbench").forEach(begin);
      }
  }, { rootMargin: "800px" });
  const places = [...document.querySelectorAll(".explorer, .workbench")].filter((place) => "compared" in place.dataset || (place.classList[0] === "explorer" ? groups : rows)[place.dataset.group]);
  const firstMap = places.find((place) => place.classList[0] === "explorer");
  places.forEach((place) => {
    // What the address speaks of stands before she looks.
    const named = [...state.parsed().values.keys()].some((name) => name.startsWith(`${place.dataset.slug}.${place.classList[0] === "explorer" ? "map" : "rows"}.`));
    if (place === firstMap || named) begin(place);
    else watcher.observe(place.closest("section"));
  });
  document.documentElement.dataset.ready = "yes";
  if (state.anchor) state.scroll();
}

start();
