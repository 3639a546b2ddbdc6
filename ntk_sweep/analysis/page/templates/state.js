// The state of every control in the fragment of the address: #section?control=value&…

const state = {
  parts: new Map(),
  anchor: "",
  quiet: false,

  // Ties the controls of a part of the page to the fragment: `read` gives names and texts, `write` takes them.
  bind(prefix, read, write) {
    const initial = read();
    this.parts.set(prefix, { read, write, initial });
    const own = this.ofPart(prefix, this.parsed().values);
    if (Object.keys(own).length) this.quietly(() => write({ ...initial, ...own }));
  },

  parsed() {
    const [anchor, query = ""] = location.hash.slice(1).split("?");
    return { anchor: decodeURIComponent(anchor), values: new URLSearchParams(query) };
  },

  ofPart(prefix, values) {
    const own = {};
    for (const [name, value] of values) if (name.startsWith(`${prefix}.`)) own[name.slice(prefix.length + 1)] = value;
    return own;
  },

  quietly(change) {
    this.quiet = true;
    try {
      change();
    } finally {
      this.quiet = false;
    }
  },

  fragment() {
    const values = new URLSearchParams();
    const known = [...this.parts.keys()];
    // Of parts that have not been drawn yet what the address says of them stays.
    for (const [name, value] of this.parsed().values) if (!known.some((prefix) => name.startsWith(`${prefix}.`))) values.append(name, value);
    for (const [prefix, { read, initial }] of this.parts) for (const [name, value] of Object.entries(read())) if (value !== (initial[name] ?? "")) values.append(`${prefix}.${name}`, value);
    const query = String(values);
    return `#${encodeURIComponent(this.anchor)}${query ? `?${query}` : ""}`;
  },

  changed() {
    if (this.quiet) return;
    const fragment = this.fragment();
    if (fragment !== (location.hash || "#")) history.pushState(null, "", fragment);
  },

  restore() {
    const { anchor, values } = this.parsed();
    this.anchor = anchor;
    this.quietly(() => {
      for (const [prefix, { read, write, initial }] of this.parts) {
        const wanted = { ...initial, ...this.ofPart(prefix, values) }, now = read();
        if (Object.keys({ ...wanted, ...now }).some((name) => (wanted[name] ?? "") !== (now[name] ?? ""))) write(wanted);
      }
    });
  },

  scroll() {
    const target = this.anchor && document.getElementById(this.anchor);
    if (target) target.scrollIntoView();
  },

  start() {
    this.anchor = this.parsed().anchor;
    window.addEventListener("popstate", () => this.restore());
    document.addEventListener("change", () => setTimeout(() => this.changed()));
    document.addEventListener("click", (event) => {
      const link = event.target.closest('a[href^="#"]:not(.jump)');
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.anchor = decodeURIComponent(link.getAttribute("href").slice(1));
      this.changed();
      const target = document.getElementById(this.anchor);
      if (!target) return;
      target.scrollIntoView();
      target.setAttribute("tabindex", "-1");
      target.focus({ preventScroll: true });
    });
  },
};
