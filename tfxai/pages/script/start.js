document.addEventListener("DOMContentLoaded", () => {
  const root = document.querySelector(".tfxai-page");
  const about = JSON.parse(document.querySelector(".tfxai-about").textContent);
  explore(root, about, [...document.querySelectorAll(".tfxai-item")]);
});
