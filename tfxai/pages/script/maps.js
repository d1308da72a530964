// From the values of a map to those of any part of the picture. A side of a map, [first, step, low, high], says where its
// values lie along one axis, in pixels of the model's input: as tfxai.maps.Side.

/** For each of `pixels` places between two shares of an axis: two values of the map, the weight of the second, and
 * whether the map tells of it. */
function along(count, side, size, from, to, pixels, smooth) {
  const [first, step, low, high] = side;
  const found = { one: new Int32Array(pixels), two: new Int32Array(pixels), share: new Float32Array(pixels) };
  found.inside = new Uint8Array(pixels);
  for (let i = 0; i < pixels; i++) {
    const place = (from + ((i + 0.5) / pixels) * (to - from)) * size - 0.5;
    const value = (place - first) / step;
    const lower = smooth ? Math.floor(value) : Math.floor(value + 0.5);
    found.one[i] = Math.min(Math.max(lower, 0), count - 1);
    found.two[i] = Math.min(Math.max(lower + 1, 0), count - 1);
    found.share[i] = smooth ? value - lower : 0;
    found.inside[i] = place >= low - 0.5 && place <= high + 0.5 ? 1 : 0;
  }
  return found;
}

/** The values in a part of the picture, { left, right, top, bottom } in shares of it, at width x height places. */
function enlarge(map, part, width, height, smooth) {
  const across = along(map.width, map.sides[1], map.size[1], part.left, part.right, width, smooth);
  const down = along(map.height, map.sides[0], map.size[0], part.top, part.bottom, height, smooth);
  const found = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    if (!down.inside[y]) continue;
    const [upper, lower] = [down.one[y] * map.width, down.two[y] * map.width];
    const below = down.share[y];
    for (let x = 0; x < width; x++) {
      if (!across.inside[x]) continue;
      const [one, two, right] = [across.one[x], across.two[x], across.share[x]];
      const above = map.values[upper + one] * (1 - right) + map.values[upper + two] * right;
      if (below === 0) {
        found[y * width + x] = above;
      } else {
        const under = map.values[lower + one] * (1 - right) + map.values[lower + two] * right;
        found[y * width + x] = above * (1 - below) + under * below;
      }
    }
  }
  return found;
}

/** The value at a place, in shares of the picture. */
function valueAt(map, x, y, smooth) {
  return enlarge(map, { left: x, right: x, top: y, bottom: y }, 1, 1, smooth)[0];
}

/** The part of a picture that is seen at a zoom around a centre. */
function seen(zoom, x, y) {
  const half = 0.5 / zoom;
  const [cx, cy] = [x, y].map((share) => Math.min(Math.max(share, half), 1 - half));
  return { left: cx - half, right: cx + half, top: cy - half, bottom: cy + half };
}

/** The value that a share of the picture lies above, in the order in which it would be hidden. */
function cutOff(map, share, signs) {
  const order = enlarge(map, { left: 0, right: 1, top: 0, bottom: 1 }, 128, 128, false);
  const shown = order.map((value) => (signs === "against" ? -value : value)).sort();
  return share >= 1 ? -Infinity : shown[Math.max(0, Math.ceil(shown.length * (1 - share)) - 1)];
}
