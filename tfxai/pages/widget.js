// The front end of tfxai.widget: the page in a frame of its own, so that its styles, keys and names of users' files stay
// in there. Page and widget tell each other the state as the address of the page has it.

function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.setAttribute("title", "Explanations to explore");
  frame.style.cssText = "display: block; width: 100%; border: 0; border-radius: 8px";
  let shown = "";
  const send = () => {
    shown = model.get("state");
    frame.contentWindow.postMessage({ tfxai: shown }, "*");
  };
  const listeners = {
    "change:state": () => model.get("state") !== shown && send(), // what the page told is not told to it again
    "change:html": () => (frame.srcdoc = model.get("html")),
    "change:height": () => (frame.style.height = `${model.get("height")}px`),
  };
  const hear = ({ source, data }) => {
    if (source !== frame.contentWindow || !data || typeof data.tfxai !== "string") return;
    shown = data.tfxai;
    model.set("state", shown);
    model.save_changes();
  };
  listeners["change:html"]();
  listeners["change:height"]();
  frame.addEventListener("load", send);
  window.addEventListener("message", hear);
  Object.entries(listeners).forEach(([name, listener]) => model.on(name, listener));
  el.append(frame);
  return () => {
    window.removeEventListener("message", hear);
    Object.entries(listeners).forEach(([name, listener]) => model.off(name, listener));
  };
}

export default { render };
