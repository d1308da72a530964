// A page in a frame, such as that of a notebook, tells its state to what holds it, and takes up states from there.

/** Tell a state, written as an address, to what holds this page, if anything does. */
function tellHolder(hash) {
  if (window.parent !== window) window.parent.postMessage({ tfxai: hash }, "*");
}

/** Call `take` with each state that what holds this page sends. */
function hearHolder(take) {
  window.addEventListener("message", (event) => {
    const sent = event.data && event.data.tfxai;
    if (window.parent !== window && event.source === window.parent && typeof sent === "string") take(sent);
  });
}
