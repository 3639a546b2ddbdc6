// All rows of a group, and the one selection that table, scatter plot and parallel coordinates share.

class Rows {
  constructor(data) {
    this.count = data.count;
    this.total = data.total;
    this.key = data.key;
    this.commands = data.commands;
    this.first = data.first;
    this.columns = data.columns.map((one) => ({ ...one, values: one.values ?? new Float64Array(data.count).fill(one.constant), fixed: !one.values }));
    this.named = new Map(this.columns.map((one) => [one.name, one]));
    this.conditions = new Map();
    this.search = "";
    this.ticked = new Set();
    this.listeners = [];
    this.filter();
  }

  text(column, row) {
    const value = column.values[row];
    if (!Number.isFinite(value)) return value === Infinity ? "∞" : "";
    if (column.kind === "word") return column.words[value];
    if (column.kind === "time") return new Date(value * 1000).toISOString().slice(0, 19).replace("T", " ");
    return column.kind === "whole" ? String(value) : formatted(value, 5);
  }

  // As a program reads it.
  plain(column, row) {
    const value = column.values[row];
    if (column.kind === "word") return Number.isFinite(value) ? column.words[value] : null;
    if (Number.isNaN(value)) return null;
    if (column.kind === "time") return new Date(value * 1000).toISOString();
    return column.kind === "number" ? Number(value.toPrecision(6)) : value;
  }

  keyOf(row) {
    return this.key[row].toString(16).padStart(12, "0");
  }

  condition(name, text) {
    if (text) this.conditions.set(name, text);
    else this.conditions.delete(name);
    this.changed();
  }

  clear() {
    this.conditions.clear();
    this.search = "";
    this.ticked.clear();
    this.changed();
  }

  tick(row, on = !this.ticked.has(row)) {
    if (on) this.ticked.add(row);
    else this.ticked.delete(row);
    this.changed(false);
  }

  changed(filtered = true) {
    if (filtered) this.filter();
    this.listeners.forEach((listener) => listener(filtered));
  }

  filter() {
    const passes = new Uint8Array(this.count).fill(1);
    for (const [name, text] of this.conditions) {
      const column = this.named.get(name);
      if (!column) continue;
      const test = tester(column, text);
      for (let row = 0; row < this.count; row++) if (passes[row] && !test(column.values[row])) passes[row] = 0;
    }
    for (const word of this.search.toLowerCase().split(/\s+/).filter(Boolean)) {
      // Only words have letters: where one is sought, no number is written out.
      const sought = this.columns.filter((column) => !column.fixed && (column.kind === "word" || /^[^a-z]*$/.test(word)));
      for (let row = 0; row < this.count; row++)
        if (passes[row] && !sought.some((column) => this.text(column, row).toLowerCase().includes(word)) && !this.keyOf(row).startsWith(word)) passes[row] = 0;
    }
    this.passes = passes;
    this.shown = [];
    for (let row = 0; row < this.count; row++) if (passes[row]) this.shown.push(row);
  }

  // What is exported and copied: the ticked rows, or without any those that pass.
  get selected() {
    return this.ticked.size ? [...this.ticked].sort((a, b) => a - b) : this.shown;
  }

  // The rows of a network.
  ofCell(names) {
    const wanted = Object.entries(names).map(([name, text]) => [this.named.get(name), text]);
    return [...Array(this.count).keys()].filter((row) => wanted.every(([column, text]) => this.text(column, row) === text));
  }

  // A command line for each cell of some rows and each way of computing it.
  commandsOf(rows) {
    const { acts, act, ways, way, shared } = this.commands;
    const column = (name) => this.named.get(name).values;
    const seeds = new Map();
    for (const row of rows) {
      const words = [acts[act[row]], `width=${column("width")[row]}`, `depth=${column("depth")[row]}`].join(" ");
      const behind = [ways[way[row]], shared].filter(Boolean).join(" ");
      const cell = `${words}\n${behind}`;
      if (!seeds.has(cell)) seeds.set(cell, new Set());
      seeds.get(cell).add(column("seed")[row]);
    }
    return [...seeds].map(([cell, own]) => {
      const [words, behind] = cell.split("\n");
      const many = own.size > 1 ? "-m " : "";
      return `ntk-sweep run ${many}${words} seed=${[...own].sort((a, b) => a - b).join(",")}${behind ? ` ${behind}` : ""}`;
    });
  }
}

// What a condition asks of a value: "3", "2..5", ">=1e-3", "relu,elu"; several, separated by commas, allow any of them.
function tester(column, text) {
  const parts = text.split(",").map((part) => part.trim()).filter(Boolean);
  if (column.kind === "word") {
    const allowed = column.words.map((word) => parts.some((part) => (column.words.includes(part) ? word === part : word.toLowerCase().includes(part.toLowerCase()))));
    return (code) => allowed[code] === true;
  }
  const number = (part) => (column.kind === "time" ? Date.parse(`${part.trim().replace(" ", "T")}${part.includes("Z") ? "" : "Z"}`) / 1000 || Number(part) : Number(part));
  const tests = parts.map((part) => {
    const range = part.match(/^(.*?)\.\.(.*)$/), bound = part.match(/^(>=|<=|>|<|≥|≤)(.*)$/);
    if (range) {
      const low = range[1].trim() === "" ? -Infinity : number(range[1]), high = range[2].trim() === "" ? Infinity : number(range[2]);
      return (value) => value >= low && value <= high;
    }
    if (bound) {
      const limit = number(bound[2]);
      return { ">=": (v) => v >= limit, "≥": (v) => v >= limit, "<=": (v) => v <= limit, "≤": (v) => v <= limit, ">": (v) => v > limit, "<": (v) => v < limit }[bound[1]];
    }
    const wanted = number(part);
    return (value) => value === wanted || (Number.isFinite(value) && wanted !== 0 && Math.abs(value / wanted - 1) < 1e-5);
  });
  return (value) => tests.some((test) => test(value));
}

// An interval as a condition, with no more digits than tell it.
function interval(low, high) {
  return `${Number(low.toPrecision(5))}..${Number(high.toPrecision(5))}`;
}

function csvOf(rows, chosen, columns) {
  const quoted = (value) => (value === null ? "" : /[",\n\r]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  const lines = chosen.map((row) => [rows.keyOf(row), ...columns.map((column) => rows.plain(column, row))].map(quoted).join(","));
  return [["key", ...columns.map((column) => column.name)].map(quoted).join(","), ...lines].join("\r\n") + "\r\n";
}

// Records of plain values, null for what is missing: pandas.read_json and pyarrow read them.
function jsonOf(rows, chosen, columns) {
  const records = chosen.map((row) => Object.fromEntries([["key", rows.keyOf(row)], ...columns.map((column) => [column.name, finiteOrText(rows.plain(column, row))])]));
  return JSON.stringify(records, null, 1);
}

function finiteOrText(value) {
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}

// Shows command lines and copies them; returns what is said of it.
async function showCommands(place, lines) {
  const text = lines.join("\n"), many = `${lines.length} command${lines.length === 1 ? "" : "s"}`;
  place.textContent = text;
  place.hidden = false;
  try {
    await navigator.clipboard.writeText(text);
    return `${many}, copied`;
  } catch {
    getSelection().selectAllChildren(place); // the browser lets pages of its kind copy nothing: one key does it
    return `${many}, marked to be copied`;
  }
}

function saved(name, type, text) {
  const link = element("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
