// Maps travel as grey PNG files of 8 or 16 bits. A canvas gives back 8 bits, and some browsers change these, so they are
// decoded here: the numbers are exact.

/** Bytes of a base64 string. */
function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Width, height and codes of a grey PNG file without interlacing: a promise. */
async function decodePng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = view.getUint32(16);
  const height = view.getUint32(20);
  const [bits, colours] = [bytes[24], bytes[25]];
  if (colours !== 0 || (bits !== 8 && bits !== 16) || bytes[28] !== 0) {
    throw new Error(`Expected a grey PNG of 8 or 16 bits, got type ${colours} of ${bits} bits.`);
  }
  const parts = [];
  for (let at = 8; at < bytes.length; ) {
    const length = view.getUint32(at);
    if (String.fromCharCode(...bytes.subarray(at + 4, at + 8)) === "IDAT") {
      parts.push(bytes.subarray(at + 8, at + 8 + length));
    }
    at += 12 + length;
  }
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  const step = bits / 8;
  const rows = unfilter(raw, width * step, height, step);
  const codes = new Uint16Array(width * height);
  for (let i = 0; i < codes.length; i++) {
    codes[i] = step === 1 ? rows[i] : (rows[2 * i] << 8) | rows[2 * i + 1];
  }
  return { width, height, codes };
}

/** Rows of bytes from filtered rows, of which each begins with the number of its filter. */
function unfilter(raw, length, height, step) {
  const rows = new Uint8Array(length * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (length + 1)];
    for (let x = 0; x < length; x++) {
      const here = y * length + x;
      const left = x >= step ? rows[here - step] : 0;
      const up = y > 0 ? rows[here - length] : 0;
      const corner = x >= step && y > 0 ? rows[here - length - step] : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      rows[here] = raw[y * (length + 1) + 1 + x] + guess;
    }
  }
  return rows;
}

/** Which of three neighbours is nearest to left + up - corner. */
function paeth(left, up, corner) {
  const [a, b, c] = [up - corner, left - corner, left + up - 2 * corner].map(Math.abs);
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

/** A map as it travelled, with its values: a promise. */
async function decodeMap(map) {
  const { width, height, codes } = await decodePng(fromBase64(map.png));
  const values = Float32Array.from(codes, (code) => {
    const step = code - map.zero;
    return Math.sign(step) * Math.abs(step) ** map.power * map.scale;
  });
  return { ...map, width, height, values };
}
