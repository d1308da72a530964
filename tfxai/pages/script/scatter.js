// Panels of input resampling: the channels of a layer, influence against precision, and the patch that a chosen one sees.

/** Channels that have both scores, with their places in a square of 100: precision to the right, on a logarithmic axis. */
function placed(channels) {
  const known = channels.filter(([, influence, precision]) => influence !== null && precision !== null && precision > 0);
  const scaled = (values, from, to) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return values.map((value) => from + ((to - from) * (value - low)) / (high - low || 1));
  };
  const across = scaled(known.map(([, , precision]) => Math.log(precision)), 8, 96);
  const up = scaled(known.map(([, influence]) => influence), 90, 5);
  return known.map(([number, influence, precision, ...box], i) => ({ number, influence, precision, box, x: across[i], y: up[i] }));
}

/** The point that a state chooses, "layer:channel"; that of the largest influence where it chooses none of this layer. */
function chosenPoint(points, layer, channel) {
  const own = points.find(({ number }) => channel === `${layer}:${number}`);
  return own || points.reduce((best, one) => (best && best.influence >= one.influence ? best : one), null);
}

/** A panel of the channels of a layer. */
function scatterPanel(view, item, entry) {
  const points = placed(entry.channels);
  const value = make("output", { class: "value kept" }, "\u00a0");
  const svg = drawn("svg", { class: "scatter", viewBox: "0 0 100 100", "aria-hidden": "true" });
  const dots = points.map(({ x, y }) => drawn("circle", { cx: x, cy: y, r: 1.3 }));
  const words = (text, attributes) => {
    const element = drawn("text", attributes);
    element.textContent = text;
    return element;
  };
  svg.append(
    drawn("path", { d: "M 5 3 V 94 H 98" }),
    words("precision \u2192", { x: 98, y: 99, "text-anchor": "end" }),
    words("influence \u2192", { x: 3.5, y: 3, "text-anchor": "end", transform: "rotate(-90 3.5 3)" }),
    ...dots,
  );
  const plot = make("div", { class: "plot", tabindex: "0", role: "group" }, svg);
  const patch = make("canvas", { role: "img", width: 160, height: 160 });
  const whole = make("canvas", { role: "img", width: 160 });
  whole.height = Math.max(1, Math.round((160 * item.height) / item.width));
  const missing = entry.channels.length - points.length;
  const caption = make(
    "figcaption",
    {},
    ...captionOf(entry),
    value,
    missing ? make("span", { class: "soft" }, missing === 1 ? "1 channel has no precision" : `${missing} channels have no precision`) : null,
    make("div", { class: "more" }, make("figure", {}, patch), make("figure", {}, whole)),
  );
  const element = make("figure", { class: "panel" }, plot, caption);
  const choose = (point) => point && view.change({ channel: `${entry.layer}:${point.number}` });

  plot.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    const [x, y] = [(100 * (event.clientX - box.left)) / box.width, (100 * (event.clientY - box.top)) / box.height];
    const far = (one) => (one.x - x) ** 2 + (one.y - y) ** 2;
    choose(points.reduce((best, one) => (best && far(best) <= far(one) ? best : one), null));
  });
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: 1, ArrowDown: 1, ArrowRight: -1, ArrowUp: -1 }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const order = [...points].sort((one, other) => other.influence - one.influence);
    const now = order.indexOf(chosenPoint(points, entry.layer, view.state.channel));
    choose(order[Math.min(Math.max(now + step, 0), order.length - 1)]);
  });

  function draw(state) {
    const point = chosenPoint(points, entry.layer, state.channel);
    dots.forEach((dot, i) => dot.classList.toggle("chosen", points[i] === point));
    const told_ = point
      ? `channel ${point.number}: influence ${told(point.influence)}, precision ${told(point.precision)}`
      : "no channel has both scores";
    value.textContent = told_;
    plot.setAttribute("aria-label", `${item.name}: ${points.length} channels of ${entry.layer}; ${told_}`);
    patch.setAttribute("aria-label", `what ${told_} looks at`);
    whole.setAttribute("aria-label", "where this is in the input");
    drawPatch(item, entry, point, patch, whole);
  }

  return { element, draw, point: () => {}, said: () => `${entry.method} ${value.textContent}` };
}

/** What a channel sees, enlarged, and its frame on the whole input. */
function drawPatch(item, entry, point, patch, whole) {
  const photo = item.picture;
  const [across, down] = [photo.naturalWidth / entry.size[1], photo.naturalHeight / entry.size[0]];
  const [left, top, right, bottom] = point ? point.box : [0, 0, 0, 0];
  const [width, height] = [Math.max(right - left, 1), Math.max(bottom - top, 1)];
  patch.height = Math.max(1, Math.round((160 * height) / width));
  const near = patch.getContext("2d");
  near.imageSmoothingEnabled = false;
  near.drawImage(photo, left * across, top * down, width * across, height * down, 0, 0, patch.width, patch.height);
  const far = whole.getContext("2d");
  far.drawImage(photo, 0, 0, whole.width, whole.height);
  const scale = [whole.width / entry.size[1], whole.height / entry.size[0]];
  for (const [colour, thick] of [["#000", 4], ["#fff", 2]]) {
    far.strokeStyle = colour;
    far.lineWidth = thick;
    far.strokeRect(left * scale[0] + 1, top * scale[1] + 1, width * scale[0] - 2, height * scale[1] - 2);
  }
}
