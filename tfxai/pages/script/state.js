// What the reader chose. It stands in the address, behind #, so that a view can be sent to somebody or come back to.

const NUMBERS = { opacity: [0, 100], threshold: [0, 100], hide: [0, 100], zoom: [1, 16], x: [0, 1], y: [0, 1], image: [1, 1e6] };

/** The state before anything is chosen. */
function initial(methods, palettes) {
  return {
    image: 1,
    methods: methods.slice(0, 4),
    layer: "",
    target: "",
    opacity: 50,
    threshold: 0,
    palette: palettes[0],
    signs: "auto",
    smooth: true,
    hide: 0,
    zoom: 1,
    x: 0.5,
    y: 0.5,
    from: "",
    channel: "",
  };
}

/** The state that an address tells; what makes no sense is left as it is at first. */
function readHash(hash, first, allowed) {
  const state = { ...first };
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (name in NUMBERS) {
      const [low, high] = NUMBERS[name];
      const number = Number(text);
      if (text !== "" && number >= low && number <= high) state[name] = number;
    } else if (name === "smooth") {
      state.smooth = text !== "0";
    } else if (name === "methods") {
      const given = text.split(",").map(decoded);
      state.methods = allowed.methods.filter((one) => given.includes(one));
    } else if (name === "from") {
      if (/^\d+$|^[01](\.\d+)?,[01](\.\d+)?$/.test(text)) state.from = text;
    } else if (name === "layer" || name === "target" || name === "channel") {
      state[name] = text;
    } else if (name in allowed && allowed[name].includes(text)) {
      state[name] = text;
    }
  }
  state.image = Math.min(Math.max(1, Math.round(state.image)), allowed.images);
  return state;
}

/** A part of an address as text; as it is where it was not written by a browser. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    return part;
  }
}

/** The address of a state: what differs from the first one. */
function writeHash(state, first) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (String(value) === String(first[name])) continue;
    if (name === "methods") found.set(name, value.map(encodeURIComponent).join(","));
    else if (name === "smooth") found.set(name, value ? "1" : "0");
    else found.set(name, typeof value === "number" ? String(Number(value.toFixed(4))) : value);
  }
  const text = found.toString();
  return text ? `#${text}` : "";
}

/** The entries of an input that are shown: of each chosen method those of the chosen class and layer, or its first. */
function chosenEntries(entries, state) {
  const prefer = (found, name, first) => {
    const wanted = state[name] || first;
    if (wanted === "*") return found;
    const fitting = found.filter((one) => one[name] === wanted);
    return fitting.length ? fitting : found.filter((one) => one[name] === found[0][name]);
  };
  const first = entries.length ? entries[0].target : "";
  return state.methods.flatMap((method) => {
    const own = entries.filter((one) => one.method === method);
    return own.length ? prefer(prefer(own, "target", first), "layer", "*") : [];
  });
}
