const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const NAMES = { a: "A", b: "B" };
const copyOf = (settings) => ({ ...settings, values: { ...settings.values } });
const sides = { a: copyOf(data.start), b: copyOf(data.start) };
const looks = {}; // of each side: what was asked and the answer
let side = "a", spot = data.spots[data.first], region = "", pending = null;

// Ask this page's own server. An answer of null: something newer was asked for.
async function ask(question, values) {
  const answer = await fetch(question, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values), credentials: "omit",
  }).catch(() => { throw new Refusal("vdenoise tune has ended.", "Start it again in the terminal, and open the address that it prints."); });
  const found = await answer.json().catch(() => ({ what: "The server refused.", hint: "Open the address that vdenoise tune printed." }));
  if (!answer.ok) throw new Refusal(found.what, found.hint);
  return found.superseded ? null : found;
}
class Refusal extends Error {
  constructor(what, hint) { super(`${what} ${hint}`); }
}

const viewer = new Viewer(find("viewer"));
const desk = new Desk(data, () => refresh(150));
const overview = new Region(find("overview"), data.size, () => { spot = { ...spot, box: overview.box }; refresh(150); });

function trouble(error) {
  find("trouble").textContent = error === null ? "" : error.message;
  find("trouble").hidden = error === null;
}

// Settings changed, or what is looked at: say at once what they come to, then show it.
let timer = 0;
function refresh(wait = 0) {
  showPreset();
  desk.show(sides[side], null);
  pending = null; // a look that is under way is out of date
  busy(true);
  clearTimeout(timer);
  timer = setTimeout(() => { telling = tell().catch(trouble); work(); }, wait);
}

let asking = 0, telling = Promise.resolve();
async function tell() {
  const mine = ++asking, told = await ask("settings", { settings: sides[side] });
  if (mine !== asking) return;
  trouble(null);
  desk.show(sides[side], told);
  find("command").textContent = told.command;
  find("state").dataset.chain = [told.chain, ...told.notes].join("; ");
  showPreset();
}

const question = (name) => {
  const [left, top, width, height] = spot.box;
  return { settings: sides[name], frame: spot.frame, left, top, width, height };
};

// One look after the other; a newer one ends the one that is under way.
async function work() {
  const mine = (pending = Symbol("look"));
  const wanted = find("versus").checked ? ["a", "b"] : [side];
  for (const name of wanted) {
    const asked = question(name), key = JSON.stringify(asked);
    if (looks[name]?.key === key) continue;
    try {
      const early = wanted.length === 1 && earlyPart(asked);
      if (early) {
        const part = await ask("look", early);
        if (mine !== pending) return;
        if (part !== null) viewer.showEarly({ result: part.result, noise: part.noise }, inside(part.box, asked));
      }
      const found = await ask("look", asked);
      if (mine !== pending) return;
      if (found === null) { state("Another page of this clip was faster: change anything to look again."); break; }
      looks[name] = { key, frame: asked.frame, ...found };
    } catch (error) {
      if (mine !== pending) return;
      trouble(error);
      break;
    }
  }
  await telling;
  if (mine !== pending) return;
  pending = null;
  busy(false);
  paint();
}

// The middle of what is in view is asked for first where all would take long, and is shown on top of
// the picture that was there.
const EARLY = [480, 270];
function earlyPart(asked) {
  const old = looks[side], [width, height] = EARLY;
  if (!old || asked.width * asked.height < 2 * width * height) return null;
  if (old.frame !== asked.frame || old.box.join() !== [asked.left, asked.top, asked.width, asked.height].join()) return null;
  const within = (center, length, most) => Math.round(Math.min(Math.max(center * length - most / 2, 0), length - most));
  return { ...asked, width, height, left: asked.left + within(viewer.center.x, asked.width, width), top: asked.top + within(viewer.center.y, asked.height, height) };
}
const inside = ([left, top, width, height], whole) => [left - whole.left, top - whole.top, width, height];

function busy(on) {
  find("stage").setAttribute("aria-busy", on);
  if (on) state("Working …");
}
function state(text) { find("state").textContent = text; }

function paint() {
  const versus = find("versus").checked, now = looks[side];
  if (now === undefined || (versus && (!looks.a || !looks.b))) return;
  const before = versus ? looks.a.result : now.source, after = versus ? looks.b.result : now.result;
  const words = versus ? ["Settings A", "Settings B"] : ["Before", `After, settings ${NAMES[side]}`];
  const what = `${spot.why}, ${spot.place}`;
  viewer.show({ source: before, result: after, noise: now.noise }, now, {
    source: `${words[0]}: ${what}`, result: `${words[1]}: ${what}`,
    noise: `What settings ${NAMES[side]} removed, ${data.gain} times, around gray: ${what}`,
  });
  document.querySelector(".before .tag").textContent = versus ? "A" : "Before";
  document.querySelector(".after .tag").textContent = versus ? "B" : `After ${NAMES[side]}`;
  const ends = document.querySelectorAll(".wipe > span");
  [ends[0].textContent, ends[1].textContent] = versus ? ["A", "B"] : ["Before", "After"];
  find("gain").textContent = `Removed by ${NAMES[side]}, ${data.gain} times`;
  for (const [value, text] of [["source", words[0]], ["result", versus ? words[1] : "After"]])
    document.querySelector(`input[name=view][value=${value}] + span`).textContent = text;
  find("caption").textContent = what;
  region = now.region;
  overview.place(now.box);
  const [left, top, width, height] = now.box;
  find("region").textContent = `x ${left}, y ${top}, ${width}x${height}`;
  state(`${find("state").dataset.chain ?? ""} (${now.seconds.toFixed(2)} s)`);
}

// -- what is looked at ---------------------------------------------------------------------------

function choose(next) {
  spot = { ...next };
  [...find("strip").children].forEach((button) => button.setAttribute("aria-pressed", Number(button.dataset.frame) === next.frame && button.dataset.why === next.why));
  const strip = find("strip"), chosen = strip.querySelector('[aria-pressed="true"]');
  if (chosen) strip.scrollLeft = chosen.offsetLeft - (strip.clientWidth - chosen.offsetWidth) / 2;
  overview.show(next.overview, `The whole frame: ${next.why}, ${next.place}`, next.box);
  refresh();
}

function pin(next) {
  const text = element("span", {}, next.why, element("small", {}, next.place));
  const button = element("button", { type: "button" }, element("img", { src: next.thumbnail, alt: "" }), text);
  Object.assign(button.dataset, { frame: next.frame, why: next.why });
  button.addEventListener("click", () => choose(next));
  find("strip").append(button);
}

find("go").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const found = await ask("place", { place: find("place").value });
    const next = { ...found, why: "asked for", box: spot.box, thumbnail: found.overview };
    pin(next);
    choose(next);
    trouble(null);
  } catch (error) { trouble(error); }
});
find("whole").addEventListener("click", () => { spot = { ...spot, box: [0, 0, ...data.size] }; refresh(); });
copies(find("copy-region"), () => `--region ${region}`);
copies(find("copy-mask"), () => `--mask part=rect:${region}`);

// -- settings ------------------------------------------------------------------------------------

const parts = (preset) => {
  const words = preset.endsWith(".toml") ? [preset] : preset.split("+"), last = words.at(-1);
  return words.length > 1 && data.modifiers.includes(last) ? [words.slice(0, -1).join("+"), last] : [preset, ""];
};
function showPreset() {
  const [base, modifier] = parts(sides[side].preset), select = find("preset");
  if (![...select.options].some((one) => one.value === base)) select.append(element("option", { value: base, textContent: base }));
  select.value = base;
  find("modifier").value = modifier;
  find("modifier").disabled = base.endsWith(".toml");
  find("speed").value = sides[side].speed ?? "";
  find("preset-about").textContent = select.selectedOptions[0]?.title ?? "";
  find("side-name").textContent = NAMES[side];
  find("over").textContent = `Copy ${NAMES[side]} to ${side === "a" ? "B" : "A"}`;
}
for (const id of ["preset", "modifier"])
  find(id).addEventListener("change", () => {
    const modifier = find("preset").value.endsWith(".toml") ? "" : find("modifier").value;
    sides[side].preset = find("preset").value + (modifier ? `+${modifier}` : "");
    refresh();
  });
find("speed").addEventListener("change", () => { sides[side].speed = find("speed").value || null; refresh(); });
find("reset").addEventListener("click", () => { sides[side].values = {}; refresh(); });
for (const input of document.querySelectorAll("input[name=side]"))
  input.addEventListener("change", () => { side = input.value; paint(); refresh(); });
find("versus").addEventListener("change", () => { refresh(); });
find("over").addEventListener("click", () => {
  const other = side === "a" ? "b" : "a";
  sides[other] = copyOf(sides[side]);
  looks[other] = looks[side] && { ...looks[side], key: JSON.stringify(question(other)) };
  refresh();
});

// -- take it along -------------------------------------------------------------------------------

copies(find("copy"), () => find("command").textContent);
find("save").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = find("name").value, replace = find("replace").querySelector("input");
  try {
    const found = await ask("save", { settings: sides[side], name, overwrite: replace.checked && !find("replace").hidden });
    if (!data.own.includes(name)) data.own.push(name);
    find("saved").textContent = `Saved: ${found.path}. Use it with --preset ${name}.`;
    replace.checked = false;
    trouble(null);
  } catch (error) { find("saved").textContent = error.message; }
});
find("name").addEventListener("input", () => { find("replace").hidden = !data.own.includes(find("name").value); });

const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
function showProgress(now) {
  const running = now.state === "running", bar = find("progress");
  find("render").disabled = running;
  find("stop").hidden = bar.hidden = !running;
  if (now.total > 0) bar.value = now.done / now.total; else bar.removeAttribute("value");
  const left = now.left === null ? "" : `, ${Math.ceil(now.left)} s left`;
  find("rendered").textContent = running ? `${now.phase} ${now.done} of ${now.total}${left}` : `${now.text} ${now.hint}`.trim();
}
async function follow(now) {
  try {
    for (; ; now = await ask("progress", {})) {
      showProgress(now);
      if (now.state !== "running") break;
      await wait(400);
    }
    tell().catch(trouble); // the next output has another name
  } catch (error) { trouble(error); }
}
find("render").addEventListener("click", async () => {
  try { await follow(await ask("render", { settings: sides[side] })); } catch (error) { find("rendered").textContent = error.message; }
});
find("stop").addEventListener("click", () => ask("stop", {}).then(showProgress, trouble));

// Where the dials are below the picture, it stays in sight while they are turned.
const sight = () => { find("sight").style.setProperty("--above", `${8 - find("stage").offsetTop}px`); };
addEventListener("resize", sight);

data.spots.forEach(pin);
sight();
choose(data.spots[data.first]);
ask("progress", {}).then((now) => { if (now.state === "running") follow(now); }, trouble);
