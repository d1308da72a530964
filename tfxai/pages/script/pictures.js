// Panels of pictures: the photograph, and maps over it.

const SHARPEST = 640; // pixels of a canvas: more take time and show nothing new

/** A panel that draws one map over the photograph, or the photograph alone where the entry is null. */
function picturePanel(view, item, entry) {
  const canvas = make("canvas", { tabindex: "0", role: "img" });
  const mark = make("span", { class: "mark", "aria-hidden": "true", hidden: true });
  const value = make("output", { class: "value" }, "\u00a0");
  const bar = entry ? make("div", { class: "scale" }) : null;
  const frame = make("div", { class: "frame" }, canvas, mark);
  const words = entry ? captionOf(entry) : [make("b", {}, "input"), make("span", { class: "soft" }, item.name)];
  const curve = entry && entry.curve ? curveOf(entry.curve) : null;
  const more = entry && entry.more ? moreOf(view, item, entry.more) : null;
  const asks = entry && entry.between ? chooser(view, "patch") : null;
  const looks = asks && make("span", { class: "looks", "aria-hidden": "true", hidden: true });
  if (looks) frame.append(looks);
  const caption = make("figcaption", {}, ...words, bar, value, asks && asks.element, curve && curve.element, more);
  const element = make("figure", { class: "panel" }, frame, caption);
  listen(canvas, view, Boolean(asks));

  function draw(state) {
    const ratio = item.height / item.width;
    const width = Math.max(2, Math.min(SHARPEST, Math.round(frame.clientWidth * Math.min(2, window.devicePixelRatio))));
    const height = Math.max(2, Math.round(width * ratio));
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const part = seen(state.zoom, state.x, state.y);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const photo = item.picture;
    context.imageSmoothingEnabled = state.smooth;
    context.drawImage(
      photo,
      part.left * photo.naturalWidth,
      part.top * photo.naturalHeight,
      (part.right - part.left) * photo.naturalWidth,
      (part.bottom - part.top) * photo.naturalHeight,
      0,
      0,
      width,
      height,
    );
    if (entry) paint(context, part, width, height, state);
    canvas.setAttribute("aria-label", entry ? labelOf(entry, item, state) : `${item.name}: the input`);
  }

  function paint(context, part, width, height, state) {
    const map = mapFrom(entry, state.from);
    const signs = signsOf(state.signs, entry);
    const top = topOf(map.values, signs);
    const data = context.getImageData(0, 0, width, height);
    const values = enlarge(map, part, width, height, state.smooth);
    const look = {
      ramp: view.ramp(signs),
      signs,
      top,
      threshold: state.threshold / 100,
      alpha: state.opacity / 100,
    };
    if (state.hide > 0) {
      const cut = cutOff(map, state.hide / 100, signs);
      const raw = state.smooth ? enlarge(map, part, width, height, false) : values;
      hidePixels(data.data, raw, cut, signs, item.mean);
    } else {
      lay(data.data, values, look);
    }
    context.putImageData(data, 0, 0);
    showScale(bar, look);
    if (curve) curve.show(state.hide / 100);
    if (asks) showLooking(part, state);
    const note = caption.querySelector(".note");
    if (note) note.hidden = state.signs !== "auto"; // it tells what the usual signs leave out
  }

  /** Which patch looks, if one is chosen. */
  function showLooking(part, state) {
    const at = middleOf(entry.between, state.from);
    putAt(looks, at, part);
    asks.show(at !== null);
  }

  function point(cursor, state) {
    putAt(mark, cursor, seen(state.zoom, state.x, state.y));
    if (!cursor) {
      value.textContent = "\u00a0";
      return;
    }
    value.textContent = entry
      ? told(valueAt(mapFrom(entry, state.from), cursor.x, cursor.y, state.smooth))
      : `x ${Math.floor(cursor.x * item.size[1])}, y ${Math.floor(cursor.y * item.size[0])}`;
  }

  return { element, draw, point, said: () => `${entry ? entry.method : "input"} ${value.textContent}` };
}

/** Put a mark at a place of the picture, of which a part is seen; hidden where there is none, or it is not seen. */
function putAt(mark, at, part) {
  mark.hidden = !(at && at.x >= part.left && at.x <= part.right && at.y >= part.top && at.y <= part.bottom);
  if (mark.hidden) return;
  mark.style.left = `${(100 * (at.x - part.left)) / (part.right - part.left)}%`;
  mark.style.top = `${(100 * (at.y - part.top)) / (part.bottom - part.top)}%`;
}

/** Grey out what lies above a value. */
function hidePixels(pixels, values, cut, signs, fill) {
  for (let i = 0; i < values.length; i++) {
    if ((signs === "against" ? -values[i] : values[i]) > cut) {
      for (let c = 0; c < 3; c++) pixels[4 * i + c] = fill[c];
    }
  }
}

/** A name that may go on in the next line behind each underscore. */
function breakable(name) {
  return name.split(/(?<=_)/).flatMap((part, i) => (i ? [make("wbr"), part] : [part]));
}

/** What is said of an entry beneath it. */
function captionOf(entry) {
  const parts = [entry.short];
  if (entry.probability !== null) parts.push(`${(100 * entry.probability).toFixed(1)} %`);
  if (entry.scale !== "probability" && entry.score !== null) parts.push(`${entry.scale || "score"} ${told(entry.score)}`);
  return [
    make("b", {}, ...breakable(entry.method)),
    make("span", { class: "what", title: entry.target }, parts.join(" \u00b7 ")),
    entry.layer ? make("span", { class: "soft" }, `layer ${entry.layer}`) : null,
    entry.note ? make("span", { class: "note" }, entry.note) : null,
  ];
}

/** A map in words, for those who do not see it: where it is strongest. */
function labelOf(entry, item, state) {
  const map = mapFrom(entry, state.from);
  const { values, width, height } = map;
  const signs = signsOf(state.signs, entry);
  let best = 0;
  values.forEach((value, i) => {
    if (Math.abs(shownOf(value, signs)) > Math.abs(shownOf(values[best], signs))) best = i;
  });
  const place = (count, side, size, i) => Math.round((100 * (side[0] + side[1] * i + 0.5)) / size);
  const across = place(width, map.sides[1], map.size[1], best % width);
  const down = place(height, map.sides[0], map.size[0], Math.floor(best / width));
  const where = `strongest at ${across} % from the left and ${down} % from the top, ${told(values[best])}`;
  return `${item.name}: ${entry.method} for ${entry.target}, ${where}`;
}

/** The colours of a map with its numbers. */
function showScale(bar, look) {
  const { ramp, signs, top, threshold } = look;
  const stops = [];
  for (let i = 0; i <= 32; i++) {
    const share = signs === "signed" ? i / 16 - 1 : i / 32;
    const at = 3 * colourOf(share, signs);
    const colour = Math.abs(share) < threshold ? "transparent" : `rgb(${ramp[at]}, ${ramp[at + 1]}, ${ramp[at + 2]})`;
    stops.push(`${colour} ${(100 * i) / 33}%, ${colour} ${(100 * (i + 1)) / 33}%`);
  }
  const strip = make("div", { class: "strip" });
  strip.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  const ends = { signed: [-top, 0, top], for: [0, top], against: [0, -top] }[signs];
  bar.replaceChildren(strip, make("div", { class: "ends" }, ...ends.map((end) => make("span", {}, told(end)))));
}

/** Pointer, wheel and keys over a canvas; where patches can be chosen, a click or Enter chooses one. */
function listen(canvas, view, chooses) {
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const part = seen(view.state.zoom, view.state.x, view.state.y);
    const x = part.left + ((event.clientX - box.left) / box.width) * (part.right - part.left);
    const y = part.top + ((event.clientY - box.top) / box.height) * (part.bottom - part.top);
    return { x: Math.min(Math.max(x, 0), 1), y: Math.min(Math.max(y, 0), 1) };
  };
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = { ...place(event), at: { x: view.state.x, y: view.state.y } };
    view.point(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (held && event.buttons && view.state.zoom > 1) {
      const now = place(event);
      view.moveTo(view.state.x + held.x - now.x, view.state.y + held.y - now.y, view.state.zoom);
      canvas.setPointerCapture(event.pointerId);
    } else {
      view.point(place(event));
    }
  });
  canvas.addEventListener("pointerup", () => (held = null));
  const choose = ({ x, y }) => view.change({ from: `${Number(x.toFixed(4))},${Number(y.toFixed(4))}` });
  if (chooses) canvas.addEventListener("click", (event) => choose(place(event)));
  canvas.addEventListener("pointerleave", () => view.point(null));
  canvas.addEventListener("dblclick", (event) => {
    const { x, y } = place(event);
    view.moveTo(x, y, view.state.zoom < 16 ? view.state.zoom * 2 : 1);
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return; // the page scrolls; two fingers zoom
      event.preventDefault();
      const { x, y } = place(event);
      view.moveTo(x, y, view.state.zoom * (event.deltaY < 0 ? 1.2 : 1 / 1.2));
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    if (chooses && event.key === "Enter") choose(view.cursor || { x: 0.5, y: 0.5 });
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const from = view.cursor || { x: 0.5, y: 0.5 };
    const far = event.shiftKey ? 0.1 : 0.02;
    view.point({
      x: Math.min(Math.max(from.x + far * step[0], 0), 1),
      y: Math.min(Math.max(from.y + far * step[1], 0), 1),
    }, true);
  });
  canvas.addEventListener("blur", () => view.point(null));
}
