// Panels of what is told in words: texts on coloured backgrounds, and bars of tables.

/** The look of numbers of an entry. */
function lookOf(view, entry, state, numbers = entry.told.map(([, value]) => value)) {
  const signs = signsOf(state.signs, entry);
  const top = topOf(numbers, signs);
  return { signs, top: Math.max(top, 1e-30), ramp: view.ramp(signs), threshold: state.threshold / 100 };
}

/** A panel of a text: each word on the colour of its value. */
function wordsPanel(view, item, entry) {
  const value = make("output", { class: "value" }, "\u00a0");
  const words = entry.told.map(([word, number], i) =>
    make("span", { class: "word", title: told(number), "data-at": String(i) }, word),
  );
  const text = make("p", { class: "text", tabindex: "0", role: "group", "aria-label": spoken(entry) });
  words.forEach((word) => text.append(word, " "));
  const bar = make("div", { class: "scale" });
  const asks = entry.between ? chooser(view, "word") : null;
  const caption = make("figcaption", {}, ...captionOf(entry), bar, value, asks && asks.element);
  const element = make("figure", { class: "panel wide" }, text, caption);
  followWords(text, view, words.length, Boolean(asks));
  let numbers = entry.told.map(([, number]) => number);

  function draw(state) {
    const chosen = asks ? wordAt(entry.between, state.from) : -1;
    numbers = chosen < 0 ? entry.told.map(([, number]) => number) : [...rowOf(entry.between, chosen)];
    if (asks) asks.show(chosen >= 0);
    const look = lookOf(view, entry, state, numbers);
    words.forEach((word, i) => {
      word.title = told(numbers[i]);
      word.classList.toggle("chosen", i === chosen);
      const strength = strengthOf(numbers[i], look.signs, look.top, look.threshold);
      const { background, ink } = shade(strength, look.signs, look.ramp, state.opacity / 100, paper());
      word.style.background = background;
      word.style.color = ink;
    });
    showScale(bar, look);
  }

  function point(cursor) {
    words.forEach((word, i) => word.classList.toggle("pointed", cursor !== null && cursor.word === i));
    const at = cursor === null ? undefined : entry.told[cursor.word];
    value.textContent = at ? `${at[0]}: ${told(numbers[cursor.word])}` : "\u00a0";
  }

  return { element, draw, point, said: () => `${entry.method} ${value.textContent}` };
}

/** A panel of a row of a table: a bar for each feature. */
function barsPanel(view, item, entry) {
  const value = make("output", { class: "value" }, "\u00a0");
  const bars = entry.told.map(() => make("span", { class: "bar" }));
  const lines = entry.told.map(([name, number], i) =>
    make(
      "div",
      { class: "line", "data-at": String(i) },
      make("span", { class: "name", title: name }, name),
      make("span", { class: "track" }, bars[i]),
      make("span", { class: "number" }, told(number)),
    ),
  );
  const table = make("div", { class: "bars", tabindex: "0", role: "group", "aria-label": spoken(entry) }, ...lines);
  const scale = make("div", { class: "scale" });
  const element = make("figure", { class: "panel wide" }, table, make("figcaption", {}, ...captionOf(entry), scale, value));
  followWords(table, view, lines.length);

  function draw(state) {
    const look = lookOf(view, entry, state);
    const longest = Math.max(...entry.told.map(([, number]) => Math.abs(shownOf(number, look.signs))), 1e-30);
    const both = look.signs === "signed";
    bars.forEach((bar, i) => {
      const number = entry.told[i][1];
      const strength = strengthOf(number, look.signs, look.top, look.threshold);
      const length = strength === 0 ? 0 : ((both ? 50 : 100) * Math.abs(shownOf(number, look.signs))) / longest;
      bar.style.width = `${length}%`;
      bar.style.left = `${both ? (strength < 0 ? 50 - length : 50) : 0}%`;
      bar.style.background = shade(Math.sign(strength) * 0.8, look.signs, look.ramp, 1, paper()).background;
      bar.style.opacity = String(0.2 + (0.8 * state.opacity) / 100);
    });
    table.classList.toggle("both", both);
    showScale(scale, look);
  }

  function point(cursor) {
    const name = cursor === null ? null : cursor.name;
    lines.forEach((line, i) => line.classList.toggle("pointed", name !== null && entry.told[i][0] === name));
    const at = entry.told.find(([one]) => one === name);
    value.textContent = at ? `${at[0]}: ${told(at[1])}` : "\u00a0";
  }

  return { element, draw, point, names: entry.told.map(([name]) => name), said: () => `${entry.method} ${value.textContent}` };
}

/** All values of an entry in words, the strongest first. */
function spoken(entry) {
  const order = [...entry.told].sort((one, other) => Math.abs(other[1]) - Math.abs(one[1])).slice(0, 10);
  return `${entry.method} for ${entry.target}: ${order.map(([word, value]) => `${word} ${told(value)}`).join(", ")}`;
}

/** The pointer over words or lines, and arrow keys from one to the next; where words can be chosen, a click or Enter. */
function followWords(element, view, count, chooses = false) {
  const pointTo = (at, loud) => {
    const found = element.querySelector(`[data-at="${at}"]`);
    const name = found && found.querySelector(".name");
    view.point({ word: at, name: name ? name.textContent : null }, loud);
  };
  element.addEventListener("pointerover", (event) => {
    const found = event.target.closest("[data-at]");
    if (found) pointTo(Number(found.dataset.at), false);
  });
  element.addEventListener("pointerleave", () => view.point(null));
  element.addEventListener("blur", () => view.point(null));
  const choose = (at) => view.change({ from: String(at) });
  if (chooses) {
    element.addEventListener("click", (event) => {
      const found = event.target.closest("[data-at]");
      if (found) choose(found.dataset.at);
    });
  }
  element.addEventListener("keydown", (event) => {
    if (chooses && event.key === "Enter" && view.cursor && view.cursor.word !== undefined) choose(view.cursor.word);
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step || count === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const from = view.cursor && view.cursor.word !== undefined ? view.cursor.word : step > 0 ? -1 : count;
    pointTo(Math.min(Math.max(from + step, 0), count - 1), true);
  });
}
