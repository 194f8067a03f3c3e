// The dials, made from what the program declares. Settings hold only what was turned here: all else
// is the preset's, and shown as it comes to.
class Desk {
  constructor(data, changed) {
    this.data = data;
    this.changed = changed;
    this.rows = new Map();
    this.settings = null;
    this.told = null;
    const first = document.getElementById("first"), folds = document.getElementById("folds");
    const groups = new Map();
    for (const control of data.controls) {
      if (control.key === "method" && control.option === "" && this.methods(control) < 2) continue;
      const row = this.row(control);
      this.rows.set(control.name, { control, row });
      if (control.first) first.append(row);
      else groups.set(control.group, [...(groups.get(control.group) ?? []), row]);
    }
    const fold = (title, ...rows) => element("details", {}, element("summary", { textContent: title[0].toUpperCase() + title.slice(1) }), ...rows);
    const ofStages = [];
    for (const [title, rows] of groups)
      if (data.slots.includes(title)) ofStages.push(fold(title, ...rows));
      else folds.append(fold(title, ...rows));
    folds.append(fold("Every parameter", ...ofStages));
    for (const slot of data.slots) document.getElementById("stages").append(this.stage(slot));
  }

  methods(control) {
    return control.words.filter((word) => word !== this.data.off).length;
  }

  row(control) {
    const id = `c-${control.name.replace(".", "-")}`;
    const undo = element("button", { type: "button", className: "undo", textContent: "↺", title: `Reset ${control.title}` });
    undo.setAttribute("aria-label", `Reset ${control.title}`);
    undo.addEventListener("click", () => this.unset(control));
    const label = element("label", { htmlFor: id, textContent: control.title, title: control.option || control.name });
    const help = element("small", { id: `${id}-help`, textContent: control.help });
    const make = { number: "sliders", choice: "choices", several: "ticks" }[control.kind];
    const inputs = this[make](control, id);
    inputs.forEach((input) => (input.querySelector?.("input,select") ?? input).setAttribute("aria-describedby", help.id));
    return element("div", { className: "dial" }, label, undo, element("div", { className: "inputs" }, ...inputs), help);
  }

  sliders(control, id) {
    const many = control.count > 1;
    return Array.from({ length: control.count }, (_, n) => {
      const range = element("input", { type: "range", id: n ? `${id}-${n}` : id, min: control.low, max: control.high, step: control.step });
      const number = element("input", { type: "number", min: control.low, max: control.high, step: "any" });
      const name = many ? `${control.title} ${n + 1} of ${control.count}` : control.title;
      range.setAttribute("aria-label", name);
      number.setAttribute("aria-label", `${name}, as a number`);
      for (const input of [range, number])
        input.addEventListener("input", () => {
          if (!input.checkValidity() || input.value === "") return;
          (input === range ? number : range).value = input.value;
          const pairs = [...this.rows.get(control.name).row.querySelectorAll("input[type=number]")];
          this.set(control, pairs.map((one) => one.value).join(","));
        });
      return element("div", { className: "slider" }, range, number);
    });
  }

  choices(control, id) {
    const select = element("select", { id }, ...control.words.map((word) => element("option", { value: word, textContent: word })));
    select.addEventListener("change", () => this.set(control, select.value));
    return [select];
  }

  ticks(control, id) {
    return control.words.map((word, n) => {
      const box = element("input", { type: "checkbox", value: word, id: n ? `${id}-${n}` : id });
      box.addEventListener("change", () => {
        const on = [...this.rows.get(control.name).row.querySelectorAll("input:checked")].map((one) => one.value);
        this.set(control, on.join(",") || this.data.off);
      });
      return element("label", { className: "tick" }, box, ` ${word}`);
    });
  }

  // A switch of a stage: on as its preset has it, else by its first method.
  stage(slot) {
    const button = element("button", { type: "button", textContent: slot });
    button.dataset.slot = slot;
    button.addEventListener("click", () => {
      const name = `${slot}.method`, values = this.settings.values;
      const on = slot in this.told.on, before = slot in this.told.base;
      delete values[name];
      for (const key of Object.keys(values)) {
        const off = Number(values[key]) === 0 || values[key] === this.data.off;
        if (key.startsWith(`${slot}.`) && (on ? !before : off)) delete values[key];
      }
      if (on && before) values[name] = this.data.off;
      if (!on && !before) values[name] = this.data.controls.find((one) => one.name === name).words[0];
      this.changed();
    });
    return button;
  }

  set(control, value) {
    const values = this.settings.values;
    if (control.key === "method")
      for (const key of Object.keys(values)) if (key.startsWith(`${control.slot}.`)) delete values[key];
    if (values[`${control.slot}.method`] === this.data.off) delete values[`${control.slot}.method`];
    values[control.name] = value;
    this.changed();
  }

  unset(control) {
    delete this.settings.values[control.name];
    this.changed();
  }

  // Show settings: what was turned at once, all else once it is known what it comes to.
  show(settings, told) {
    this.settings = settings;
    this.told = told ?? this.told;
    if (this.told === null) return;
    for (const { control, row } of this.rows.values()) {
      const own = settings.values[control.name], known = this.told.values[control.name];
      const method = this.told.on[control.slot];
      const fits = control.methods.length === 0 || method === undefined || control.methods.includes(method);
      const value = own ?? known ?? (control.key === "method" || control.key === "model" ? this.data.off : control.low <= 0 && method === undefined ? "0" : control.default);
      row.classList.toggle("own", own !== undefined);
      row.classList.toggle("off", own === undefined && known === undefined);
      row.hidden = !fits;
      row.querySelector(".undo").disabled = own === undefined;
      this.fill(control, row, String(value));
    }
    for (const button of document.getElementById("stages").children) {
      const method = this.told.on[button.dataset.slot];
      button.setAttribute("aria-pressed", method !== undefined);
      button.title = method === undefined ? "off" : method;
    }
  }

  fill(control, row, value) {
    if (control.kind === "number") {
      value.split(",").forEach((part, n) => {
        const pair = row.querySelectorAll(".slider")[n];
        for (const input of pair.querySelectorAll("input")) if (input !== document.activeElement || input.type === "range") input.value = part;
      });
    } else if (control.kind === "several") {
      const on = value.split(",");
      for (const box of row.querySelectorAll("input")) box.checked = on.includes(box.value);
    } else row.querySelector("select").value = value;
  }
}
