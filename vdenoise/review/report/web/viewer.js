"use strict";
// Two pictures of the same place, and what differs, under one zoom: they cannot get out of step,
// because there is one place and one scale for all of them.
class Viewer {
  constructor(root) {
    this.root = root;
    this.stage = root.querySelector(".stage");
    this.handle = root.querySelector(".handle");
    this.frame = root.querySelector(".mark"); // around what is pointed at, where something is
    this.mark = null; // left, top, width and height of it, in the picture's pixels
    this.range = root.querySelector("input[type=range]");
    this.panes = [...root.querySelectorAll(".pane")];
    this.images = [...root.querySelectorAll(".pane img")];
    this.early = []; // a part of newer pictures, shown on top of the old ones: images and their place
    this.size = { width: 1, height: 1 };
    this.center = { x: 0.5, y: 0.5 }; // of the view, as a share of the picture
    this.zoom = "fit";
    this.held = null;
    for (const input of root.querySelectorAll("input[name=view]"))
      input.addEventListener("change", () => this.look(input.value));
    for (const input of root.querySelectorAll("input[name=zoom]"))
      input.addEventListener("change", () => this.scale(input.value));
    this.range.addEventListener("input", () => this.place());
    this.stage.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("pointerdown", (event) => this.press(event));
    this.stage.addEventListener("pointermove", (event) => this.drag(event));
    for (const kind of ["pointerup", "pointercancel"])
      this.stage.addEventListener(kind, () => this.release());
    this.stage.addEventListener("dblclick", (event) => this.closer(event));
    new ResizeObserver(() => this.place()).observe(this.stage);
  }

  // Show pictures of the same size: addresses by name, and what they are in words.
  show(pictures, size, words) {
    const other = size.width !== this.size.width || size.height !== this.size.height;
    this.size = size;
    this.stage.style.setProperty("--shape", size.width / size.height);
    this.mark = size.mark ?? null;
    this.early.splice(0).forEach(({ image }) => image.remove());
    if (other) this.center = { x: 0.5, y: 0.5 };
    for (const image of this.images) {
      const name = image.className;
      if (pictures[name]) image.src = pictures[name];
      image.width = size.width;
      image.height = size.height;
      image.alt = words[name];
    }
    this.place();
  }

  // Show a part of what is coming, at a place of the pictures that are there.
  showEarly(pictures, [left, top, width, height]) {
    for (const { parentElement, className } of this.images.filter((one) => pictures[one.className])) {
      const image = element("img", { src: pictures[className], alt: "", width, height, draggable: false });
      parentElement.insertBefore(image, parentElement.querySelector(".tag"));
      this.early.push({ image, left, top });
    }
    this.place();
  }

  look(view) {
    this.root.dataset.view = view;
    this.root.querySelector(`input[name=view][value=${view}]`).checked = true;
    this.place();
  }

  scale(zoom) {
    this.zoom = zoom;
    this.root.querySelector(`input[name=zoom][value="${zoom}"]`).checked = true;
    this.place();
  }

  // Screen pixels for each of the picture.
  get factor() {
    if (this.zoom !== "fit") return Number(this.zoom);
    const pane = this.pane;
    return Math.min(pane.width / this.size.width, pane.height / this.size.height);
  }

  get pane() {
    const box = this.stage.getBoundingClientRect();
    return { width: this.root.dataset.view === "side" ? box.width / 2 : box.width, height: box.height };
  }

  place() {
    const factor = this.factor, pane = this.pane, offset = {};
    for (const [axis, side] of [["x", "width"], ["y", "height"]]) {
      const length = this.size[side] * factor, reach = pane[side] / 2 / length;
      const within = reach >= 0.5 ? 0.5 : Math.min(Math.max(this.center[axis], reach), 1 - reach);
      this.center[axis] = within;
      offset[axis] = Math.round(pane[side] / 2 - within * length);
    }
    for (const image of this.images)
      image.style.transform = `translate(${offset.x}px, ${offset.y}px) scale(${factor})`;
    for (const { image, left, top } of this.early)
      image.style.transform = `translate(${offset.x + left * factor}px, ${offset.y + top * factor}px) scale(${factor})`;
    this.frame.hidden = this.mark === null;
    if (this.mark !== null) {
      const [left, top, width, height] = this.mark.map((side) => side * factor);
      Object.assign(this.frame.style, { left: `${offset.x + left}px`, top: `${offset.y + top}px`, width: `${width}px`, height: `${height}px` });
    }
    this.stage.classList.toggle("near", factor >= 2);
    this.stage.classList.toggle("zoomed", this.size.width * factor > pane.width + 1 || this.size.height * factor > pane.height + 1);
    const share = Number(this.range.value);
    const wiped = this.root.dataset.view === "wipe";
    this.handle.style.left = `${share}%`;
    this.panes[1].style.clipPath = wiped ? `inset(0 0 0 ${share}%)` : "none";
    this.panes[0].style.clipPath = wiped ? `inset(0 ${100 - share}% 0 0)` : "none";
  }

  wipe(share) {
    this.range.value = Math.min(Math.max(share, 0), 100);
    this.range.dispatchEvent(new Event("input", { bubbles: true }));
  }

  pan(x, y) {
    this.center.x -= x / (this.size.width * this.factor);
    this.center.y -= y / (this.size.height * this.factor);
    this.place();
  }

  // Where a pointer is, as a share of the picture.
  under(event) {
    const box = this.stage.getBoundingClientRect(), pane = this.pane;
    const x = (event.clientX - box.left) % pane.width, y = event.clientY - box.top;
    return {
      x: this.center.x + (x - pane.width / 2) / (this.size.width * this.factor),
      y: this.center.y + (y - pane.height / 2) / (this.size.height * this.factor),
    };
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = ["fit", "1", "2", "4"], views = { w: "wipe", s: "side", b: "source", a: "result", n: "noise" };
    const step = steps.indexOf(this.zoom), far = event.shiftKey ? 160 : 40;
    const moves = { ArrowLeft: [far, 0], ArrowRight: [-far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
    if (event.key in moves) this.pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.scale(steps[Math.min(step + 1, 3)]);
    else if (event.key === "-") this.scale(steps[Math.max(step - 1, 0)]);
    else if (event.key in views) this.look(views[event.key]);
    else return;
    event.preventDefault();
  }

  press(event) {
    if (event.button !== 0) return;
    const onHandle = this.handle.contains(event.target);
    const zoomed = this.stage.classList.contains("zoomed");
    const wipes = this.root.dataset.view === "wipe" && (onHandle || !zoomed);
    if (!wipes && !zoomed) return;
    this.held = { wipes, x: event.clientX, y: event.clientY };
    this.stage.setPointerCapture(event.pointerId);
    this.stage.classList.toggle("held", !wipes);
    if (wipes && !onHandle) this.drag(event);
  }

  drag(event) {
    if (this.held === null) return;
    if (this.held.wipes) {
      const box = this.stage.getBoundingClientRect();
      this.wipe((100 * (event.clientX - box.left)) / box.width);
    } else {
      this.pan(event.clientX - this.held.x, event.clientY - this.held.y);
      this.held.x = event.clientX;
      this.held.y = event.clientY;
    }
  }

  release() {
    this.held = null;
    this.stage.classList.remove("held");
  }

  closer(event) {
    if (this.handle.contains(event.target)) return;
    const next = { fit: "1", 1: "2", 2: "4", 4: "fit" };
    this.center = this.under(event);
    this.scale(next[this.zoom]);
  }
}

function element(name, values, ...children) {
  const made = Object.assign(document.createElement(name), values);
  made.append(...children);
  return made;
}

// A button that puts a text on the clipboard; pages from a file may not use the modern way.
function copies(button, text) {
  button.addEventListener("click", async () => {
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      const area = element("textarea", { value: text() });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = said; }, 1500);
  });
}
