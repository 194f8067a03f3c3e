// The whole frame, small, and the part of it that is shown: dragged, or moved by keys.
class Region {
  constructor(root, size, changed) {
    this.root = root;
    this.image = root.querySelector("img");
    this.part = root.querySelector(".part");
    this.size = size; // width and height of the picture
    this.changed = changed;
    this.box = [0, 0, ...size];
    this.from = null;
    root.addEventListener("pointerdown", (event) => this.press(event));
    root.addEventListener("pointermove", (event) => this.drag(event));
    root.addEventListener("pointerup", () => this.release());
    root.addEventListener("pointercancel", () => this.release());
    root.addEventListener("keydown", (event) => this.key(event));
  }

  show(picture, words, box) {
    this.image.src = picture;
    this.image.alt = words;
    this.place(box);
  }

  // Bring a box inside of the picture, and draw it.
  place([left, top, width, height]) {
    const [wide, high] = this.size, whole = (n) => Math.round(n);
    width = Math.min(Math.max(whole(width), Math.min(16, wide)), wide);
    height = Math.min(Math.max(whole(height), Math.min(16, high)), high);
    left = Math.min(Math.max(whole(left), 0), wide - width);
    top = Math.min(Math.max(whole(top), 0), high - height);
    this.box = [left, top, width, height];
    const style = this.part.style;
    style.left = `${(100 * left) / wide}%`;
    style.top = `${(100 * top) / high}%`;
    style.width = `${(100 * width) / wide}%`;
    style.height = `${(100 * height) / high}%`;
  }

  under(event) {
    const box = this.image.getBoundingClientRect();
    const share = (at, start, length) => Math.min(Math.max((at - start) / length, 0), 1);
    return [share(event.clientX, box.left, box.width) * this.size[0], share(event.clientY, box.top, box.height) * this.size[1]];
  }

  press(event) {
    if (event.button !== 0) return;
    this.from = this.under(event);
    this.before = this.box;
    this.root.setPointerCapture(event.pointerId);
  }

  drag(event) {
    if (this.from === null) return;
    const to = this.under(event), [x, y] = this.from;
    this.place([Math.min(x, to[0]), Math.min(y, to[1]), Math.abs(to[0] - x), Math.abs(to[1] - y)]);
  }

  // A click without a drag moves the part there.
  release() {
    if (this.from === null) return;
    const [x, y] = this.from, [, , width, height] = this.before;
    this.from = null;
    if (this.box === this.before || (this.box[2] <= 16 && this.box[3] <= 16)) this.place([x - width / 2, y - height / 2, width, height]);
    this.changed();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [left, top, width, height] = this.box, far = event.shiftKey ? 128 : 16;
    const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
    const grows = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
    if (event.key in moves) this.place([left + moves[event.key][0], top + moves[event.key][1], width, height]);
    else if (grows) this.place([left + (width * (1 - grows)) / 2, top + (height * (1 - grows)) / 2, width * grows, height * grows]);
    else return;
    event.preventDefault();
    this.changed();
  }
}
