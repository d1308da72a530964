// From values to colours.

/** 256 colours between those of a ramp, "#rrggbb" each. */
function rampOf(stops) {
  const known = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  const table = new Uint8Array(3 * 256);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (known.length - 1);
    const lower = Math.min(Math.floor(place), known.length - 2);
    for (let c = 0; c < 3; c++) {
      table[3 * i + c] = Math.round(known[lower][c] + (place - lower) * (known[lower + 1][c] - known[lower][c]));
    }
  }
  return table;
}

/** How the signs of an entry are shown: what the reader chose, unless it has one sign only. */
function signsOf(chosen, entry) {
  if (entry.unsigned) return "for";
  if (chosen === "auto") return entry.signed ? "signed" : "for";
  return chosen;
}

/** What is shown of a value: all of it, or what speaks for or against. */
function shownOf(value, signs) {
  if (signs === "signed") return value;
  return Math.max(0, signs === "against" ? -value : value);
}

/** Where the last colour is reached: at the 99th percentile of what is shown, so that a few pixels do not hide all others. */
function topOf(values, signs) {
  const sizes = Float32Array.from(values, (value) => Math.abs(shownOf(value, signs))).sort();
  if (sizes.length === 0) return 0;
  const place = 0.99 * (sizes.length - 1);
  const lower = Math.floor(place);
  const high = sizes[Math.min(lower + 1, sizes.length - 1)];
  return sizes[lower] + (place - lower) * (high - sizes[lower]) || sizes[sizes.length - 1];
}

/** A value as a share of the scale, between -1 and 1; 0 below the threshold. */
function strengthOf(value, signs, top, threshold) {
  if (top === 0) return 0;
  const share = Math.min(1, Math.max(-1, shownOf(value, signs) / top));
  return Math.abs(share) < threshold ? 0 : share;
}

/** How much of the colour is seen, as in tfxai.display.overlay: it grows with the strength; alpha 1 shows colours only. */
function opacityOf(strength, alpha, signs) {
  if (alpha <= 0) return 0;
  return alpha * (2 - alpha) * Math.abs(strength) ** (((signs === "signed" ? 0.6 : 1) * (1 - alpha)) / alpha);
}

/** Number of the colour of a strength in its ramp. */
function colourOf(strength, signs) {
  return Math.round(255 * (signs === "signed" ? (strength + 1) / 2 : Math.abs(strength)));
}

/** Lay values over the pixels of a picture, [r, g, b, a, ...], in place. */
function lay(pixels, values, look) {
  const { ramp, signs, top, threshold, alpha } = look;
  const fade = (signs === "signed" ? 1 : 0.5) * Math.min(1, 2 * alpha);
  for (let i = 0; i < values.length; i++) {
    const at = 4 * i;
    const grey = 60 + (195 / 255) * (0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2]);
    const strength = strengthOf(values[i], signs, top, threshold);
    const opacity = strength === 0 && threshold > 0 ? 0 : opacityOf(strength, alpha, signs);
    const colour = 3 * colourOf(strength, signs);
    for (let c = 0; c < 3; c++) {
      const faded = pixels[at + c] + fade * (grey - pixels[at + c]);
      pixels[at + c] = faded + opacity * (ramp[colour + c] - faded);
    }
  }
}

/** A colour and ink that is read on it, for a word or a bar. */
function shade(strength, signs, ramp, alpha, paper) {
  const at = 3 * colourOf(strength, signs);
  const opacity = strength === 0 ? 0 : opacityOf(strength, alpha, signs);
  const mixed = [0, 1, 2].map((c) => Math.round(paper[c] + opacity * (ramp[at + c] - paper[c])));
  const bright = 0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2];
  return { background: `rgb(${mixed.join(", ")})`, ink: bright > 135 ? "#111" : "#f4f4f4" };
}

/** A number in as many digits as one reads. */
function told(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? size.toExponential(2) : String(Number(size.toPrecision(3)));
  return (value < 0 ? "\u2212" : "") + text;
}
