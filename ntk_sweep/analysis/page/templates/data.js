"use strict";
// Reads what the page holds: compressed bytes, planes of float64, and numbers as people write them.

async function inflated(id) {
  const raw = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The bytes of equal significance stand together, the least significant first.
function unpacked(bytes, place) {
  const { offset, length } = place;
  const whole = new Uint8Array(8 * length);
  for (let plane = 0; plane < 8; plane++)
    for (let i = 0; i < length; i++) whole[8 * i + plane] = bytes[offset + plane * length + i];
  return new Float64Array(whole.buffer);
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
