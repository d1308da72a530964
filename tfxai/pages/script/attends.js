// Attention of one patch or word: a click says which looks, and the panel shows what it looks at.

/** Which row of the attention lies at a place, "x,y" in shares of the picture; -1 where none is chosen. */
function patchAt(between, from) {
  const [x, y] = from.split(",").map(Number);
  if (from === "" || y === undefined) return -1;
  const [rows, columns] = between.grid;
  const index = (share, [first, step], size, count) =>
    Math.min(Math.max(Math.round((share * size - 0.5 - first) / step), 0), count - 1);
  return (
    index(y, between.sides[0], between.size[0], rows) * columns + index(x, between.sides[1], between.size[1], columns)
  );
}

/** The row of a word, by its number; -1 where none is chosen, or there is none of that number. */
function wordAt(between, from) {
  const number = from === "" || from.includes(",") ? -1 : Number(from);
  return number < between.height ? number : -1;
}

/** What a chosen row says of all others: its numbers. */
function rowOf(between, row) {
  return between.values.subarray(row * between.width, (row + 1) * between.width);
}

/** The map of an entry: that of the method, or of what the chosen patch looks at. */
function mapFrom(entry, from) {
  const { between } = entry;
  const row = between ? patchAt(between, from) : -1;
  if (row < 0) return entry.map;
  const [height, width] = between.grid;
  return { values: rowOf(between, row), width, height, sides: between.sides, size: between.size };
}

/** The middle of the patch that lies at a place, in shares of the picture. */
function middleOf(between, from) {
  const row = patchAt(between, from);
  if (row < 0) return null;
  const middle = (i, [first, step], size) => (first + step * i + 0.5) / size;
  return {
    x: middle(row % between.grid[1], between.sides[1], between.size[1]),
    y: middle(Math.floor(row / between.grid[1]), between.sides[0], between.size[0]),
  };
}

/** The line beneath a panel that says what a click does, and takes it back: the element, and one that shows a state. */
function chooser(view, what) {
  const text = make("span", { class: "soft" });
  const back = make("button", { type: "button", class: "back", onclick: () => view.change({ from: "" }) }, "show all");
  const element = make("div", { class: "chooser" }, text, back);
  const show = (chosen) => {
    text.textContent = chosen
      ? `what the chosen ${what} attends to`
      : `click a ${what}, or press Enter on it, to see what it attends to`;
    back.hidden = !chosen;
    element.classList.toggle("chosen", chosen);
  };
  return { element, show };
}
