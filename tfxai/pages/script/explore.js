// The page: an input at a time, its explanations side by side, and what the reader may change.

/** Make a page of the inputs that follow in `scripts`, inside of an element. */
function explore(root, about, scripts) {
  const names = scripts.map((one) => one.dataset.name);
  const palettes = Object.keys(about.palettes);
  const first = initial(about.methods, palettes);
  const signs = ["auto", "signed", "for", "against"];
  const allowed = { methods: about.methods, palette: palettes, signs, images: names.length };
  const read = (hash) => readHash(hash, first, allowed);
  const view = { state: read(window.location.hash), cursor: null, afterwards: [], panels: [], item: null };
  const ramps = {};
  view.ramp = (sign) => {
    const key = `${view.state.palette} ${sign === "signed"}`;
    ramps[key] = ramps[key] || rampOf(about.palettes[view.state.palette][sign === "signed" ? "signed" : "plain"]);
    return ramps[key];
  };

  const grid = make("div", { class: "panels" });
  const said = make("p", { class: "said" });
  const live = make("p", { class: "unseen", "aria-live": "polite" });
  const tools = controls(view, about, names, scripts, change);
  root.replaceChildren(tools.element, said, grid, live);

  let waiting = 0;
  function redraw() {
    if (waiting) return;
    waiting = requestAnimationFrame(() => {
      waiting = 0;
      view.panels.forEach((panel) => panel.draw(view.state));
      view.afterwards.forEach((draw) => draw(view.state));
      point(view.cursor);
      root.dataset.drawn = String(Number(root.dataset.drawn || 0) + 1);
    });
  }

  function point(cursor, loud = false) {
    view.cursor = cursor;
    view.panels.forEach((panel) => panel.point(cursor, view.state));
    if (loud) live.textContent = view.panels.map((panel) => panel.said()).join("; ");
  }

  let wanted = 0;
  async function show() {
    const asked = ++wanted;
    if (!view.item || view.item.number !== view.state.image) {
      const item = await loaded(scripts[view.state.image - 1]);
      if (asked !== wanted) return; // another was asked for meanwhile
      view.item = { ...item, number: view.state.image };
      view.cursor = null;
    }
    const entries = chosenEntries(view.item.entries, view.state);
    view.afterwards = [];
    const kinds = { map: picturePanel, words: wordsPanel, bars: barsPanel, scatter: scatterPanel };
    const photo = view.item.picture ? [picturePanel(view, view.item, null)] : [];
    view.panels = [...photo, ...entries.map((entry) => kinds[entry.kind](view, view.item, entry))];
    const held = grid.contains(document.activeElement);
    grid.replaceChildren(...view.panels.map((panel) => panel.element));
    if (held) (grid.querySelector("[tabindex]") || root).focus(); // the panel that had the focus is gone
    if (!entries.length) grid.append(make("p", { class: "soft" }, "No method is chosen."));
    said.replaceChildren(...view.item.said.flatMap((line, i) => (i ? [make("br"), line] : [line])));
    tools.show(view.state, view.item);
    redraw();
  }

  /** Take up a change of the state; what is laid out anew needs more than a new drawing. */
  function change(changed) {
    const before = view.state;
    view.state = { ...before, ...changed };
    const hash = writeHash(view.state, first);
    tellHolder(hash);
    try {
      window.history.replaceState(null, "", hash || window.location.pathname + window.location.search);
    } catch (error) {
      // in a frame without an address, as some notebooks have, the state is not kept
    }
    const anew = ["image", "methods", "layer", "target"].some((name) => view.state[name] !== before[name]);
    if (anew) {
      show();
    } else {
      tools.show(view.state, view.item);
      redraw();
    }
  }

  view.point = point;
  view.change = change;
  view.moveTo = (x, y, zoom) => {
    const clear = (number) => Math.min(Math.max(number, 0), 1);
    const part = seen(Math.min(Math.max(zoom, 1), 16), clear(x), clear(y));
    change({
      zoom: Math.min(Math.max(zoom, 1), 16),
      x: (part.left + part.right) / 2,
      y: (part.top + part.bottom) / 2,
    });
  };
  document.addEventListener("keydown", (event) => onKey(event, view, about, names.length, change));
  const take = (hash) => {
    view.state = read(hash);
    show();
  };
  window.addEventListener("hashchange", () => take(window.location.hash));
  hearHolder(take);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.matchMedia("print").addEventListener("change", redraw);
  new ResizeObserver(redraw).observe(grid);
  return show();
}

/** An input with its maps and its photograph decoded: a promise. */
async function loaded(script) {
  const item = JSON.parse(script.textContent);
  const entries = await Promise.all(
    item.entries.map(async (entry) => {
      const own = { ...entry };
      for (const name of ["map", "between"]) if (own[name]) own[name] = await decodeMap(own[name]);
      return own;
    }),
  );
  const picture = item.photo ? await pictureOf(item.photo) : null;
  return { ...item, entries, picture };
}

/** Keys, wherever the reader is on the page but in a control that has keys of its own. */
function onKey(event, view, about, count, change) {
  if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const { state } = view;
  const turn = { s: ["auto", "signed", "for", "against"], c: Object.keys(about.palettes) };
  const next = (list, now) => list[(list.indexOf(now) + 1) % list.length];
  const number = Number(event.key);
  const bounded = (value) => Math.min(Math.max(value, 0), 100);
  const actions = {
    ArrowLeft: () => ({ image: Math.max(1, state.image - 1) }),
    ArrowRight: () => ({ image: Math.min(count, state.image + 1) }),
    s: () => ({ signs: next(turn.s, state.signs) }),
    c: () => ({ palette: next(turn.c, state.palette) }),
    p: () => ({ smooth: !state.smooth }),
    o: () => ({ opacity: bounded(state.opacity + 10) }),
    O: () => ({ opacity: bounded(state.opacity - 10) }),
    t: () => ({ threshold: bounded(state.threshold + 5) }),
    T: () => ({ threshold: bounded(state.threshold - 5) }),
    h: () => ({ hide: bounded(state.hide + 5) }),
    H: () => ({ hide: bounded(state.hide - 5) }),
    Escape: () => ({ from: "" }),
  };
  if (actions[event.key]) {
    event.preventDefault();
    change(actions[event.key]());
  } else if (event.key === "+" || event.key === "-") {
    event.preventDefault();
    view.moveTo(state.x, state.y, state.zoom * (event.key === "+" ? 1.5 : 1 / 1.5));
  } else if (number >= 1 && number <= about.methods.length) {
    change({ methods: turned(state.methods, about.methods[number - 1], about.methods) });
  }
}

/** Methods with one more, or one less, in the order of all. */
function turned(methods, one, all) {
  const kept = methods.includes(one) ? methods.filter((other) => other !== one) : [...methods, one];
  return all.filter((other) => kept.includes(other));
}
