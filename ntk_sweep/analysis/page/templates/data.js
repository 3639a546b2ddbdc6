"use strict";
// Reads what the page holds: compressed bytes, planes of float64, and numbers as people write them.

// Five letters for four bytes; the alphabet of Python's base64.b85encode, but for three letters that HTML reads.
const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;,=.?@^_`{|}~";

function bytesOf(text) {
  const values = new Uint8Array(128);
  [...LETTERS].forEach((letter, value) => (values[letter.charCodeAt(0)] = value));
  const bytes = new Uint8Array(Math.ceil(text.length / 5) * 4);
  for (let from = 0, to = 0; from < text.length; from += 5) {
    let word = 0;
    for (let i = from; i < from + 5; i++) word = word * 85 + (i < text.length ? values[text.charCodeAt(i)] : 84);
    for (let shift = 3; shift >= 0; shift--, word = Math.floor(word / 256)) bytes[to + shift] = word % 256;
    to += 4;
  }
  return bytes.subarray(0, bytes.length - ((5 - (text.length % 5)) % 5));
}

async function inflated(id) {
  const stream = new Blob([bytesOf(document.getElementById(id).textContent.trim())]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The bytes of equal significance stand together, the least significant first.
function unpacked(bytes, place) {
  const { offset, length, columns } = place;
  const size = columns ? 4 : 8;
  const whole = new Uint8Array(size * length);
  for (let plane = 0; plane < size; plane++)
    for (let i = 0; i < length; i++) whole[size * i + plane] = bytes[offset + plane * length + i];
  return columns ? powers(new Uint32Array(whole.buffer), place) : new Float64Array(whole.buffer);
}

// Logarithms, each less its left neighbour; as `log_codes` of packing.py.
function powers(small, { columns, steps }) {
  const values = new Float64Array(small.length);
  for (let i = 0, code = 0; i < small.length; i++) {
    const step = (small[i] >>> 1) ^ -(small[i] & 1);
    code = i % columns === 0 ? step : (code + step) | 0;
    const size = Math.abs(code);
    values[i] = code === 0 ? 0 : size > 1 << 30 ? NaN : Math.sign(code) * (size === 1 << 30 ? Infinity : 2 ** ((size - 1) / steps - 1100));
  }
  return values;
}

// Every {offset, length} becomes its numbers, when they are asked for first.
function opened(value, bytes) {
  if (Array.isArray(value)) return value.map((one) => opened(one, bytes));
  if (value === null || typeof value !== "object") return value;
  if ("offset" in value && "length" in value) return unpacked(bytes, value);
  const result = {};
  for (const [name, one] of Object.entries(value)) {
    let known;
    Object.defineProperty(result, name, { enumerable: true, get: () => (known === undefined ? (known = opened(one, bytes)) : known) });
  }
  return result;
}

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

function power(exponent) {
  return "10" + [...String(exponent)].map((digit) => SUPERSCRIPTS[digit]).join("");
}

// To so many significant digits: 0.01235, 4.433, 69500, 3.19 × 10⁵.
function formatted(value, digits = 4) {
  if (!Number.isFinite(value)) return "—";
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const text = exponent < -3 || exponent >= 5 ? `${mantissa} × ${power(Number(exponent))}` : exponent >= digits ? Number(value.toPrecision(digits)).toFixed(0) : value.toPrecision(digits);
  return text.replace("-", "−");
}

// The digits that an error bound leaves, down to the place of its own first one; as `known_digits` of ntk_sweep/digits.py.
function knownDigits(value, bound, most = 4) {
  if (!(bound > 0) || !Number.isFinite(value) || value === 0) return most;
  if (bound === Infinity) return 1;
  const [upper, lower] = [value, bound].map((one) => Number(one.toExponential(0).split("e")[1]));
  return Math.min(Math.max(upper - lower + 1, 1), most);
}

// A mean and a standard deviation with the same exponent and as many decimals.
function spread(mean, sd, digits = 4) {
  const exponent = mean === 0 ? 0 : Number(mean.toExponential(digits - 1).split("e")[1]);
  const shift = exponent < -3 || exponent >= 5 ? exponent : 0;
  const decimals = Math.max(digits - 1 - (exponent - shift), 0);
  const text = [mean, sd].map((value) => (value / 10 ** shift).toFixed(decimals).replace("-", "−")).join(" ± ");
  return shift ? `(${text}) × ${power(shift)}` : text;
}

function escaped(text) {
  return String(text).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

// λ_min with its index below the line, in HTML.
function symbols(text) {
  return escaped(text).replace(/([λΘ])_(min|max|ij|ii|jj)/g, "$1<sub>$2</sub>");
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
