// What a method found beside its map: other maps and pictures, and the curve of the score as parts are hidden.

const SVG = "http://www.w3.org/2000/svg";

/** Other maps and pictures, small, opened by a click. */
function moreOf(view, item, more) {
  const shown = more.map((one) => {
    if (one.lines) return stepsOf(one);
    if (one.film) return filmOf(view, item, one);
    const canvas = make("canvas", { role: "img", "aria-label": one.caption, width: 160 });
    canvas.height = Math.max(1, Math.round((160 * item.height) / item.width));
    view.afterwards.push((state) => drawMore(view, item, one, canvas, state));
    return make("figure", {}, canvas, make("figcaption", {}, one.caption));
  });
  return make("div", { class: "more" }, ...shown);
}

async function drawMore(view, item, one, canvas, state) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const { width, height } = canvas;
  if (one.photo) {
    one.picture = one.picture || (await pictureOf(one.photo));
    context.drawImage(one.picture, 0, 0, width, height);
    return;
  }
  if (!one.map.values) one.map = await decodeMap(one.map);
  context.drawImage(item.picture, 0, 0, width, height);
  const signs = signsOf(state.signs, one);
  const data = context.getImageData(0, 0, width, height);
  const values = enlarge(one.map, { left: 0, right: 1, top: 0, bottom: 1 }, width, height, state.smooth);
  lay(data.data, values, {
    ramp: view.ramp(signs),
    signs,
    top: topOf(one.map.values, signs),
    threshold: state.threshold / 100,
    alpha: state.opacity / 100,
  });
  context.putImageData(data, 0, 0);
}

/** The masks of all steps: a slider that chooses one, and a button that lets them run. */
function filmOf(view, item, one) {
  const last = one.steps.reduce((sum, count) => sum + count) - 1;
  one.at = one.at ?? last; // the panel is made again with each change
  const canvas = make("canvas", { role: "img", width: 160 });
  canvas.height = Math.max(1, Math.round((160 * item.height) / item.width));
  const slider = make("input", { type: "range", min: 0, max: last, value: one.at, "aria-label": `step of ${one.caption}` });
  const said = make("span", { class: "soft" });
  const play = make("button", { type: "button", class: "back" }, "play");
  let shown = null;
  async function show(state) {
    shown = state;
    if (!one.film.values) one.film = await decodeMap(one.film);
    const [height, width] = one.film.grid;
    const map = { values: rowOf(one.film, one.at), height, width, sides: one.film.sides, size: one.film.size };
    const later = one.steps.length > 1 && one.at >= one.steps[0];
    const stage = later ? one.at - one.steps[0] : one.at;
    said.textContent = `${one.caption} at step ${stage + 1} of ${one.steps[later ? 1 : 0]}, stage ${later ? 2 : 1} of ${one.steps.length}`;
    canvas.setAttribute("aria-label", said.textContent);
    slider.value = one.at;
    await drawMore(view, item, { map, signed: false, unsigned: true }, canvas, state);
  }
  slider.addEventListener("input", () => {
    one.at = Number(slider.value);
    show(shown);
  });
  play.addEventListener("click", () => {
    clearInterval(one.running);
    one.at = 0;
    show(shown);
    one.running = setInterval(() => {
      if (one.at >= last || !canvas.isConnected) return clearInterval(one.running);
      one.at += 1;
      return show(shown);
    }, 250);
  });
  view.afterwards.push(show);
  return make("figure", { class: "film" }, canvas, slider, make("figcaption", {}, said, " ", play));
}

/** A picture from its address, decoded. */
async function pictureOf(address) {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  return picture;
}

/** An element of a drawing. */
function drawn(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  return element;
}

/** How numbers went from step to step: the lines of stages, one behind the other, each on a scale of its own. */
function stepsOf({ caption, lines }) {
  const svg = drawn("svg", { class: "curve steps", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img" });
  svg.setAttribute("aria-label", caption);
  const count = lines.flat().length;
  let before = 0;
  for (const line of lines) {
    const [low, high] = [Math.min(...line), Math.max(...line)];
    const points = line.map((one, i) => `${(100 * (before + i + 0.5)) / count},${38 - (34 * (one - low)) / (high - low || 1)}`);
    svg.append(drawn("polyline", { points: points.join(" ") }));
    before += line.length;
    if (before < count) svg.append(drawn("line", { class: "at", x1: (100 * before) / count, x2: (100 * before) / count, y1: 0, y2: 40 }));
  }
  return make("figure", { class: "whole" }, svg, make("figcaption", {}, caption));
}

/** The score as more is hidden, as a line with a mark: the element, and a function that moves the mark. */
function curveOf(curve) {
  const [low, high] = [Math.min(...curve.scores), Math.max(...curve.scores)];
  const height = (score) => 38 - (34 * (score - low)) / (high - low || 1);
  const points = curve.shares.map((share, i) => `${100 * share},${height(curve.scores[i])}`).join(" ");
  const mark = drawn("line", { class: "at", y1: 0, y2: 40 });
  const svg = drawn("svg", { class: "curve", viewBox: "0 0 100 40", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(drawn("polyline", { points }), mark);
  const said = make("span", { class: "soft" });
  const show = (share) => {
    mark.setAttribute("x1", 100 * share);
    mark.setAttribute("x2", 100 * share);
    said.textContent = `score ${told(scoreAt(curve, share))} with ${Math.round(100 * share)} % hidden`;
  };
  return { element: make("div", {}, svg, said), show };
}

/** The score of a curve at a share, between its points. */
function scoreAt(curve, share) {
  const { shares, scores } = curve;
  const after = shares.findIndex((one) => one >= share);
  if (after < 0) return scores[scores.length - 1];
  if (after === 0) return scores[0];
  const weight = (share - shares[after - 1]) / (shares[after] - shares[after - 1]);
  return scores[after - 1] + weight * (scores[after] - scores[after - 1]);
}
