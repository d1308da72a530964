// What stands above the panels: which input, which methods, and how they are drawn.

/** The controls: the element, and a function that shows a state of an input. */
function controls(view, about, names, scripts, change) {
  const { state } = view;
  const number = (name, label, limits, unit) => slider(name, label, limits, state, change, unit);
  const percent = { min: 0, max: 100, step: 1 };
  const parts = {
    opacity: number("opacity", "Opacity", percent),
    threshold: number("threshold", "Threshold", percent),
    hide: number("hide", "Hide the top", percent),
    zoom: number("zoom", "Zoom", { min: 1, max: 16, step: 0.1 }, "\u00d7"),
    signs: choice("signs", "Signs", SIGNS, state, change),
    palette: choice("palette", "Colours", Object.keys(about.palettes).map((one) => [one, one]), state, change),
    smooth: toggle("smooth", "Enlarged", [[true, "smooth"], [false, "pixels"]], state, change),
    target: choice("target", "Class", [], state, change),
    layer: choice("layer", "Layer", [], state, change),
  };
  const methods = about.methods.map((name, i) =>
    make(
      "button",
      {
        type: "button",
        title: i < 9 ? `key ${i + 1}` : null,
        onclick: () => change({ methods: turned(view.state.methods, name, about.methods) }),
      },
      name,
    ),
  );
  const group = make("div", { class: "buttons methods", role: "group", "aria-label": "Methods" }, ...methods);
  const pictures = picker(view, names, scripts, change);
  const reset = make("button", { type: "button", class: "reset", onclick: () => change(LOOK(about)) }, "reset");
  const look = ["opacity", "threshold", "hide", "zoom", "signs", "palette", "smooth"].map((name) => parts[name].element);
  const drawing = make(
    "details",
    { open: !window.matchMedia("(max-width: 40rem)").matches },
    make("summary", {}, "How maps are drawn"),
    make("div", { class: "row look" }, ...look, reset),
  );
  const element = make(
    "div",
    { class: "controls" },
    pictures.element,
    make("div", { class: "row" }, group, parts.target.element, parts.layer.element),
    drawing,
  );

  function show(now, item) {
    Object.values(parts).forEach((part) => part.show(now));
    methods.forEach((one, i) => one.setAttribute("aria-pressed", String(now.methods.includes(about.methods[i]))));
    pictures.show(now);
    if (!item) return;
    element.classList.toggle("told", !item.picture);
    drawing.hidden = item.entries.every((one) => one.channels); // of channels alone no maps are drawn
    for (const [name, words] of [["target", "all classes"], ["layer", "all layers"]]) {
      const found = [...new Set(item.entries.map((one) => one[name]))].filter(Boolean);
      parts[name].element.hidden = found.length < 2;
      const all = [["*", words]];
      parts[name].fill(name === "layer" ? [["", words], ...found.map((one) => [one, one])] : [...found.map((one) => [one, one]), ...all]);
      parts[name].show(now);
    }
  }

  return { element, show };
}

const SIGNS = [
  ["auto", "as the method has it"],
  ["signed", "for and against"],
  ["for", "for only"],
  ["against", "against only"],
];

/** How maps are drawn before anything is chosen. */
function LOOK(about) {
  const { image, methods, layer, target, ...look } = initial([], Object.keys(about.palettes));
  return look;
}

/** The choice of an input: by name, by buttons before and behind, and by small pictures. */
function picker(view, names, scripts, change) {
  const to = (number) => change({ image: Math.min(Math.max(1, number), names.length) });
  const select = make(
    "select",
    { "aria-label": "Input", onchange: () => to(Number(select.value)) },
    ...names.map((name, i) => make("option", { value: String(i + 1) }, name)),
  );
  const step = (words, label, by) =>
    make("button", { type: "button", "aria-label": label, onclick: () => to(view.state.image + by) }, words);
  const before = step("\u2039", "previous input", -1);
  const after = step("\u203a", "next input", 1);
  const thumbs = names.map((name, i) =>
    make("button", { type: "button", title: name, "aria-label": name, tabindex: "-1", onclick: () => to(i + 1) }),
  );
  const strip = make("div", { class: "strip-of-inputs", "aria-hidden": "true" }, ...thumbs);
  const seenThumbs = new IntersectionObserver((found) => {
    for (const { target, isIntersecting } of found) {
      if (!isIntersecting) continue;
      seenThumbs.unobserve(target);
      const { photo } = JSON.parse(scripts[thumbs.indexOf(target)].textContent);
      if (photo) target.append(make("img", { src: photo, alt: "", loading: "lazy" }));
      else target.append(String(thumbs.indexOf(target) + 1));
    }
  });
  thumbs.forEach((one) => seenThumbs.observe(one));
  const place = make("span", { class: "soft place" });
  const show = (now) => {
    place.textContent = `${now.image} of ${names.length}`;
    select.value = String(now.image);
    before.disabled = now.image === 1;
    after.disabled = now.image === names.length;
    thumbs.forEach((one, i) => one.setAttribute("aria-pressed", String(i + 1 === now.image)));
    const chosen = thumbs[now.image - 1];
    strip.scrollLeft = chosen.offsetLeft - strip.clientWidth / 2 + chosen.clientWidth / 2;
  };
  const element = make("div", { class: "inputs" }, make("div", { class: "row" }, before, select, after, place), strip);
  element.hidden = names.length < 2;
  return { element, show };
}
