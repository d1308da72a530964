// Elements of the page. What users give, such as names of files and classes, only ever becomes text.

/** An element with attributes, listeners ("onclick") and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((one) => one !== null));
  return element;
}

/** A named slider with its value beside it: the element, and a function that shows a state. */
function slider(name, label, limits, state, change, unit = " %") {
  const said = make("output", {});
  const input = make("input", { type: "range", ...limits, "aria-label": label });
  input.addEventListener("input", () => change({ [name]: Number(input.value) }));
  const show = (now) => {
    input.value = now[name];
    said.textContent = `${Number(now[name])}${unit}`;
    input.setAttribute("aria-valuetext", said.textContent);
  };
  show(state);
  return { element: make("label", { class: `control ${name}` }, make("span", {}, label), input, said), show };
}

/** A named choice: the element, and a function that shows a state; `options` are pairs of value and words. */
function choice(name, label, options, state, change) {
  const select = make("select", { "aria-label": label, onchange: () => change({ [name]: select.value }) });
  const fill = (pairs) => select.replaceChildren(...pairs.map(([value, words]) => make("option", { value }, words)));
  fill(options);
  const show = (now) => {
    select.value = now[name];
    if (select.selectedIndex < 0) select.selectedIndex = 0;
  };
  show(state);
  return { element: make("label", { class: `control ${name}` }, make("span", {}, label), select), show, fill };
}

/** The same with a word for each of two or three states, as buttons of which one is pressed. */
function toggle(name, label, options, state, change) {
  const buttons = options.map(([value, words, title]) =>
    make("button", { type: "button", title, onclick: () => change({ [name]: value }) }, words),
  );
  const show = (now) =>
    buttons.forEach((one, i) => one.setAttribute("aria-pressed", String(now[name] === options[i][0])));
  show(state);
  const group = make("div", { class: "buttons", role: "group", "aria-label": label }, ...buttons);
  return { element: make("div", { class: `control ${name}` }, make("span", {}, label), group), show };
}

/** Colours of the page that scripts need: white, or what dark mode has in its place. */
function paper() {
  return window.matchMedia("(prefers-color-scheme: dark)").matches && !window.matchMedia("print").matches
    ? [28, 31, 39]
    : [255, 255, 255];
}
