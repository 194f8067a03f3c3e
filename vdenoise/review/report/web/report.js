const spots = JSON.parse(document.getElementById("spots").textContent);
const viewer = new Viewer(document.getElementById("viewer"));
const strip = document.getElementById("strip");

function choose(number) {
  const spot = spots[number];
  [...strip.children].forEach((button, n) => button.setAttribute("aria-pressed", n === number));
  const what = `${spot.why}, ${spot.place}`;
  viewer.show(spot, { width: spot.width, height: spot.height, mark: spot.mark }, {
    source: `Before: ${what}`,
    result: `After: ${what}`,
    noise: `What was removed, ${spot.gain} times, around gray: ${what}`,
  });
  document.getElementById("gain").textContent = `Removed, ${spot.gain} times`;
  document.getElementById("caption").textContent = `${what}; ${spot.where}`;
}

spots.forEach((spot, number) => {
  const button = element("button", { type: "button" },
    element("img", { src: spot.thumbnail, alt: "" }),
    element("span", {}, spot.why, element("small", {}, spot.place)));
  button.addEventListener("click", () => choose(number));
  strip.append(button);
});
choose(0);
copies(document.getElementById("copy"), () => document.getElementById("command").textContent);
