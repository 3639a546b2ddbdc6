// The figures for print, out of the block that holds them all.

async function showFigures() {
  const images = [...document.querySelectorAll("img[data-figure]")];
  if (!images.length || typeof DecompressionStream === "undefined") return;
  const bytes = await inflated("figures");
  for (const image of images) {
    const [first, length] = image.dataset.figure.split(" ").map(Number);
    image.src = URL.createObjectURL(new Blob([bytes.subarray(first, first + length)], { type: "image/svg+xml" }));
  }
}

// On a phone figures are wider than the screen: those are reached by keyboard, to be scrolled.
function reachSheets() {
  for (const sheet of document.querySelectorAll(".sheet"))
    if (sheet.scrollWidth > sheet.clientWidth) sheet.tabIndex = 0;
    else sheet.removeAttribute("tabindex");
}

reachSheets();
window.addEventListener("resize", reachSheets);
document.addEventListener("toggle", reachSheets, true);
