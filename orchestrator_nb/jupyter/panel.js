// The live panel of a run. It draws what the model holds and asks the kernel for nothing but what a person clicked on.
// The parts of the model are described in orchestrator_nb/orchestrator/picture.py.

const ROW = 32; // the height of a row, as in panel.css
const AROUND = 6; // rows drawn above and below those that can be seen
const WORDS = { upstream_failed: "upstream failed" };
const LOOKS = {
  completed: "succeeded", failed: "failed", error: "failed", paused: "paused", stopping: "cancelled",
  stopped: "cancelled", recovering: "waiting", degraded: "waiting", new: "pending", "": "pending",
};
const BAR = ["succeeded", "reused", "running", "waiting", "failed", "crashed", "upstream_failed", "cancelled", "skipped"];
const FINAL = new Set(["succeeded", "reused", "failed", "crashed", "skipped", "upstream_failed", "cancelled"]);
const LOUD = ["failed", "crashed", "running", "waiting", "ready", "cancelled", "upstream_failed", "pending"];
const LIVE = new Set(["initializing", "executing", "recovering", "degraded", "completing"]);
let ids = 0;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

// Nothing is touched that is as it should be: what has the focus keeps it, and a reader is told of changes only.
function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}
function attribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}
function shown(element, on) {
  if (element.hidden === on) element.hidden = !on;
}

const words = (state) => WORDS[state] ?? state;

function duration(seconds) {
  if (seconds < 9.95) return `${Math.max(seconds, 0).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function about(seconds) {
  if (seconds < 5) return "a few seconds left";
  if (seconds < 90) return `about ${Math.max(5, Math.round(seconds / 5) * 5)} s left`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min left`;
  return `about ${(seconds / 3600).toFixed(1)} h left`;
}

function drawIcon(icons, state) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  for (const [name, value] of Object.entries({ class: "onb-icon", width: 14, height: 14, viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" }))
    svg.setAttribute(name, value);
  path.setAttribute("fill", "currentColor");
  path.setAttribute("fill-rule", "evenodd");
  path.setAttribute("d", icons[state] ?? icons.pending);
  svg.append(path);
  return svg;
}

// Where the page can open a file of the server, None where it cannot: Voila, or a file outside of the server's folder.
function address(plan, file) {
  const config = document.getElementById("jupyter-config-data");
  if (!config || !file) return null;
  try {
    const { baseUrl, serverRoot } = JSON.parse(config.textContent);
    const root = serverRoot.replace(/^~/, plan.home).replace(/\/$/, "");
    const path = `${plan.folder}/${file}`;
    if (!path.startsWith(`${root}/`)) return null;
    const page = location.pathname.includes("/notebooks/") ? "notebooks" : "lab/tree";
    return `${baseUrl}${page}/${path.slice(root.length + 1).split("/").map(encodeURIComponent).join("/")}`;
  } catch {
    return null;
  }
}

class Panel {
  constructor(model, root) {
    this.model = model;
    this.root = root;
    this.id = `onb-${++ids}`;
    this.tab = "commands";
    this.only = "";
    this.search = "";
    this.open = new Set();
    this.selected = "";
    this.scale = null;
    this.pool = [];
    this.build();
    this.repaint = () => {
      if (!this.asked) this.asked = requestAnimationFrame(() => { this.asked = 0; this.paint(); });
    };
    model.on("change", this.repaint);
    this.clock = setInterval(() => LIVE.has(this.head.phase) && this.head.owned && this.repaint(), 1000);
    this.resized = new ResizeObserver(this.repaint);
    this.resized.observe(root);
    this.paint();
  }

  close() {
    this.model.off("change", this.repaint);
    clearInterval(this.clock);
    cancelAnimationFrame(this.asked);
    this.resized.disconnect();
  }

  get plan() { return this.model.get("plan") ?? {}; }
  get head() { return this.model.get("head") ?? {}; }
  get extras() { return this.model.get("extras") ?? {}; }
  row(place) { return (this.model.get(`rows_${Math.floor(place / this.plan.chunk)}`) ?? [])[place % this.plan.chunk] ?? []; }
  ask(what, more = {}) { this.model.send({ do: what, ...more }); }

  // ── what is there once ──────────────────────────────────────────────────────────────────────────────────────────

  build() {
    const button = (name, what, extra = {}) => make("button", { type: "button", onclick: () => this.ask(what), ...extra }, name);
    this.pause = button("Pause", "pause", { title: "Start nothing new; what runs goes on to its end" });
    this.resume = button("Resume", "resume", { class: "onb-main" });
    this.stop = button("Stop", "stop", { title: "End what runs, and the run; it can be resumed" });
    this.name = make("span", { class: "onb-name", role: "heading", "aria-level": 3 });
    this.pill = make("span", { class: "onb-pill" });
    this.runId = make("span", { class: "onb-run" });
    this.meter = make("div", { class: "onb-meter", role: "progressbar", "aria-label": "commands done", "aria-valuemin": 0 });
    this.sum = make("p", { class: "onb-sum" });
    this.reason = make("p", { class: "onb-say" });
    this.say = make("p", { class: "onb-say", role: "status", "aria-live": "polite" });
    this.asks = make("div", { "aria-live": "polite" });
    this.cards = make("div");
    this.view = make("div", { class: "onb-view", tabindex: 0, role: "region", "aria-label": "graph of the workflow" });
    this.view.addEventListener("click", (event) => this.picked(event.target.closest("[data-node]")));
    this.view.addEventListener("keydown", (event) => {
      const node = event.target.closest("[data-node]");
      if (node && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); this.picked(node); }
    });
    const zoom = (name, label, change) => make("button", { type: "button", "aria-label": label, onclick: () => { change(); this.paint(); } }, name);
    this.flow = make("div", { class: "onb-flow" }, this.view, make("div", { class: "onb-zoom" },
      zoom("−", "smaller", () => { this.scale = Math.max(0.2, (this.scale ?? this.fit()) * 0.8); }),
      zoom("Fit", "fit the graph to the width", () => { this.scale = null; }),
      zoom("+", "larger", () => { this.scale = Math.min(2, (this.scale ?? this.fit()) * 1.25); })));
    this.tabs = make("div", { class: "onb-tabs", role: "tablist", "aria-label": "about the run" });
    this.pages = {};
    for (const [key, name] of [["commands", "Commands"], ["log", "Log"], ["gates", "Gates"], ["checkpoints", "Checkpoints"], ["trends", "Trends"]]) {
      const page = make("div", { role: "tabpanel", id: `${this.id}-${key}`, "aria-label": name });
      const tab = make("button", { type: "button", role: "tab", "data-tab": key, "aria-controls": `${this.id}-${key}`, onclick: () => this.turn(key) }, name);
      this.pages[key] = { page, tab };
      this.tabs.append(tab);
    }
    this.tabs.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const keys = Object.keys(this.pages).filter((key) => !this.pages[key].tab.hidden);
      const next = keys[(keys.indexOf(this.tab) + step + keys.length) % keys.length];
      this.turn(next);
      this.pages[next].tab.focus();
    });
    this.chips = make("div", { class: "onb-chips", role: "group", "aria-label": "which commands are shown" });
    this.find = make("input", { type: "search", placeholder: "find a command", "aria-label": "find a command", oninput: () => { this.search = this.find.value.toLowerCase(); this.scroll.scrollTop = 0; this.paint(); } });
    const heads = make("tr", {}, ...["Command", "State", "Time", "Latest"].map((name) => make("th", { scope: "col" }, name)));
    this.body = make("tbody");
    this.above = make("tr", { "aria-hidden": "true" }, make("td", { colspan: 4 }));
    this.below = make("tr", { "aria-hidden": "true" }, make("td", { colspan: 4 }));
    this.body.append(this.above, this.below);
    this.table = make("table", { class: "onb-rows" }, make("thead", {}, heads), this.body);
    this.scroll = make("div", { class: "onb-scroll", tabindex: 0, role: "region", "aria-label": "commands", onscroll: () => this.repaint() }, this.table);
    this.detail = make("section", { class: "onb-detail", "aria-label": "the selected command" });
    this.pages.commands.page.append(this.chips, this.scroll, this.detail);
    this.log = make("ol", { class: "onb-log", tabindex: 0, "aria-label": "what happened" });
    this.pages.log.page.append(this.log);
    this.gates = make("ul", { class: "onb-points" });
    this.pages.gates.page.append(this.gates);
    this.points = make("ul", { class: "onb-points" });
    this.pages.checkpoints.page.append(this.points);
    this.next = make("div");
    this.section = make("section", { class: "onb-panel" },
      make("div", { class: "onb-head" }, this.name, this.pill, this.runId, make("div", { class: "onb-acts" }, this.pause, this.resume, this.stop)),
      this.meter, this.sum, this.reason, this.say, this.asks, this.cards, this.flow, this.tabs,
      ...Object.values(this.pages).map(({ page }) => page), this.next);
    this.root.append(this.section);
  }

  turn(key) {
    if (key === "trends" && this.tab !== key) this.ask("trends");
    this.tab = key;
    this.paint();
  }

  picked(node) {
    if (!node) return;
    const name = node.dataset.node;
    if (this.plan.commands.some(([, , , box]) => box === name)) {
      this.open.add(name);
      this.search = this.find.value = "";
      this.only = "";
      this.turn("commands");
      const place = this.items().findIndex((item) => item.box === name);
      this.scroll.scrollTop = place * ROW;
    } else this.select(name);
  }

  select(name) {
    this.selected = this.selected === name ? "" : name;
    this.tab = "commands";
    if (this.selected) this.ask("select", { command: this.selected });
    this.paint();
  }

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  paint() {
    const { plan, head } = this;
    if (!head.run) return;
    const stamp = head.now;
    if (stamp !== this.stamp) { this.stamp = stamp; this.offset = Date.now() / 1000 - stamp; }
    this.now = Date.now() / 1000 - this.offset;
    this.paintHead(head);
    this.paintSays();
    if (plan.commands) {
      this.paintGraph(plan);
      this.paintTabs(head);
      if (this.tab === "commands") this.paintRows(plan, head);
      if (this.tab === "log") this.paintLog(head);
      if (this.tab === "gates") this.paintGates();
      if (this.tab === "checkpoints") this.paintPoints();
      if (this.tab === "trends") this.paintTrends();
    }
    shown(this.flow, Boolean(plan.commands));
  }

  paintHead(head) {
    const looks = LOOKS[head.phase] ?? "running";
    const orphan = LIVE.has(head.phase) && !head.owned;
    const phase = orphan ? "left by its process" : head.phase;
    attribute(this.section, "aria-label", `run ${head.run}`);
    attribute(this.section, "data-phase", head.phase);
    text(this.name, head.workflow);
    text(this.runId, head.run);
    if (this.pill.dataset.phase !== phase) {
      this.pill.dataset.phase = phase;
      attribute(this.pill, "data-state", orphan ? "waiting" : looks);
      this.pill.replaceChildren(drawIcon(this.plan.icons ?? {}, orphan ? "waiting" : looks), phase);
    }
    const live = head.owned && LIVE.has(head.phase);
    shown(this.pause, live);
    shown(this.resume, !live && head.phase !== "completed" && head.phase !== "stopping");
    shown(this.stop, head.owned && (live || head.phase === "paused"));
    const counts = head.counts ?? {};
    const parts = BAR.filter((state) => counts[state]);
    const done = Object.entries(counts).reduce((sum, [state, number]) => sum + (FINAL.has(state) ? number : 0), 0);
    attribute(this.meter, "aria-valuemax", head.total);
    attribute(this.meter, "aria-valuenow", done);
    attribute(this.meter, "aria-valuetext", `${done} of ${head.total} commands done`);
    while (this.meter.children.length > parts.length) this.meter.lastChild.remove();
    while (this.meter.children.length < parts.length) this.meter.append(make("i"));
    parts.forEach((state, place) => {
      attribute(this.meter.children[place], "data-state", state);
      const width = `${(100 * counts[state]) / Math.max(1, head.total)}%`;
      if (this.meter.children[place].style.width !== width) this.meter.children[place].style.width = width;
    });
    const good = (counts.succeeded ?? 0) + (counts.reused ?? 0);
    const said = [[good, `of ${head.total} done`]];
    for (const state of ["running", "waiting", "failed", "crashed", "upstream_failed", "cancelled", "skipped"])
      if (counts[state]) said.push([counts[state], words(state)]);
    if (head.started) said.push(["", duration((head.ended ?? (head.owned ? this.now : head.now)) - head.started)]);
    if (head.left !== null && head.left !== undefined && live) said.push(["", about(head.left - (this.now - head.now))]);
    if (head.deviations) said.push([head.deviations, "deviations"]);
    while (this.sum.children.length > said.length) this.sum.lastChild.remove();
    while (this.sum.children.length < said.length) this.sum.append(make("span", {}, make("b"), make("span")));
    said.forEach(([number, what], place) => {
      const [bold, plain] = this.sum.children[place].children;
      text(bold, String(number));
      text(plain, number === "" ? what : ` ${what}`);
    });
    text(this.reason, head.reason ?? "");
    attribute(this.reason, "data-state", looks);
    shown(this.reason, Boolean(head.reason));
  }

  paintSays() {
    const said = this.model.get("said") ?? {};
    text(this.say, said.text ?? "");
    attribute(this.say, "data-state", said.wrong ? "failed" : "running");
    shown(this.say, Boolean(said.text));
    const asks = JSON.stringify(this.extras.decisions ?? []);
    if (asks !== this.asksDrawn) {
      this.asksDrawn = asks;
      this.asks.replaceChildren(...(this.extras.decisions ?? []).map((item) => this.decision(item)));
    }
    const cards = this.model.get("cards") ?? [];
    const drawn = JSON.stringify(cards);
    if (drawn !== this.cardsDrawn) {
      this.cardsDrawn = drawn;
      this.cards.replaceChildren(...cards.map(([name, html]) => {
        const card = make("section", { class: "onb-card", "aria-label": `failure of ${name}` });
        card.innerHTML = html;
        return card;
      }));
    }
    const next = JSON.stringify(this.head.next ?? []);
    if (next !== this.nextDrawn) {
      this.nextDrawn = next;
      this.next.replaceChildren(...(this.head.next ?? []).map((step) => make("p", { class: "onb-next" }, step)));
    }
  }

  decision({ number, command, question, options, fallback, deadline, level }) {
    const buttons = options.map(([option, meaning]) => make("button", { type: "button", title: meaning, class: option === fallback ? "onb-main" : null, onclick: () => this.ask("decide", { number, answer: option }) }, option));
    const until = deadline ? ` ${new Date(deadline * 1000).toLocaleTimeString()}` : "";
    const hint = fallback ? `without an answer, ${fallback} is taken at${until}` : deadline ? `more people are asked at${until}` : "";
    return make("section", { class: "onb-ask", "aria-label": `decision ${number}` },
      make("p", {}, drawIcon(this.plan.icons ?? {}, "waiting"), make("b", {}, ` ${command || "The run"} wants a decision `), make("small", {}, `${number} · ${level}`)),
      make("p", {}, question), make("div", {}, ...buttons, make("small", {}, hint)));
  }

  fit() {
    const svg = this.view.querySelector("svg.onb-graph");
    return Math.max(0.45, Math.min(1, (this.view.clientWidth - 14) / this.width));
  }

  paintGraph(plan) {
    if (this.svg !== plan.svg) {
      this.svg = plan.svg;
      this.view.innerHTML = plan.svg;
      const svg = this.view.querySelector("svg.onb-graph");
      this.width = Number(svg.getAttribute("width"));
      this.height = Number(svg.getAttribute("height"));
      this.nodes = new Map([...svg.querySelectorAll("[data-node]")].map((node) => [node.dataset.node, node]));
    }
    const svg = this.view.querySelector("svg.onb-graph");
    const scale = this.scale ?? this.fit();
    attribute(svg, "width", Math.round(this.width * scale));
    attribute(svg, "height", Math.round(this.height * scale));
    const boxes = new Map();
    plan.commands.forEach(([name, , seconds, box], place) => {
      const row = this.row(place);
      const key = box || name;
      if (!boxes.has(key)) boxes.set(key, []);
      boxes.get(key).push([row, seconds]);
    });
    for (const [name, members] of boxes) {
      const node = this.nodes.get(name);
      if (node) this.paintNode(node, name, members);
    }
  }

  paintNode(node, name, members) {
    const states = members.map(([row]) => row[0] ?? "pending");
    const state = LOUD.find((one) => states.includes(one)) ?? states[0];
    const [row, seconds] = members[0];
    let fraction = 0;
    let note = words(state);
    if (members.length > 1) {
      const done = states.filter((one) => FINAL.has(one)).length;
      fraction = done / members.length;
      note = `${done} of ${members.length} done`;
    } else if (state === "running") {
      fraction = this.fraction(row, seconds) ?? 0;
      note = row[5] ? `cell ${row[4]} of ${row[5]}` : row[6] !== null && row[6] !== undefined ? `${Math.round(100 * row[6])} %` : duration(this.now - row[2]);
    } else if (FINAL.has(state)) {
      fraction = 1;
      if (row[3] !== null && state === "succeeded") note = duration(row[3]);
    }
    if (node.dataset.state !== state) {
      node.dataset.state = state;
      node.querySelector(".sign").setAttribute("d", this.plan.icons[state]);
    }
    text(node.querySelector(".note"), note);
    attribute(node, "aria-label", `${name}: ${words(state)}${note === words(state) ? "" : `, ${note}`}`);
    text(node.querySelector("title"), node.getAttribute("aria-label"));
    attribute(node.querySelector(".bar"), "width", (Math.max(0, Number(node.dataset.width) - 8) * Math.min(1, fraction)).toFixed(1));
  }

  fraction(row, seconds) {
    if (row[6] !== null && row[6] !== undefined) return row[6];
    return seconds ? Math.max(0, Math.min(0.97, (this.now - row[2]) / seconds)) : null;
  }

  paintTabs() {
    const some = { commands: true, log: true, gates: (this.extras.gates ?? []).length > 0, checkpoints: (this.extras.checkpoints ?? []).length > 0, trends: true };
    for (const [key, { page, tab }] of Object.entries(this.pages)) {
      shown(tab, some[key]);
      attribute(tab, "aria-selected", key === this.tab);
      attribute(tab, "tabindex", key === this.tab ? 0 : -1);
      shown(page, key === this.tab);
    }
  }

  // The lines of the table: commands, and for those that are folded one line, with theirs below it once it is opened.
  items() {
    const items = [];
    const groups = new Map();
    const narrowed = this.only || this.search;
    this.plan.commands.forEach(([name, kind, seconds, box], place) => {
      const row = this.row(place);
      if (this.only && row[0] !== this.only) return;
      if (this.search && !name.toLowerCase().includes(this.search)) return;
      const item = { name, kind, seconds, row, inside: Boolean(box) && !narrowed };
      if (!item.inside) { items.push(item); return; }
      if (!groups.has(box)) { groups.set(box, { box, members: [] }); items.push(groups.get(box)); }
      groups.get(box).members.push(item);
    });
    return items.flatMap((item) => (item.box && this.open.has(item.box) ? [item, ...item.members] : [item]));
  }

  paintRows(plan, head) {
    this.paintChips(plan, head);
    const items = this.items();
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / ROW) - AROUND);
    const last = Math.min(items.length, first + Math.ceil((this.scroll.clientHeight || 388) / ROW) + 2 * AROUND);
    attribute(this.table, "aria-rowcount", items.length + 1);
    for (const [element, size] of [[this.above, first], [this.below, items.length - last]]) {
      const height = `${size * ROW}px`;
      if (element.firstChild.style.height !== height) element.firstChild.style.cssText = `height:${height};padding:0;border:0`;
      shown(element, size > 0);
    }
    while (this.pool.length < last - first) {
      const row = this.newRow();
      this.pool.push(row);
      this.body.insertBefore(row.element, this.below);
    }
    this.pool.forEach((row, place) => {
      const item = items[first + place];
      shown(row.element, first + place < last);
      if (item && first + place < last) this.paintRow(row, item, first + place);
    });
    this.paintDetail();
  }

  newRow() {
    const row = { mark: make("span", { class: "onb-state" }), words: make("span"), small: make("small"), sign: make("span"), name: make("button", { type: "button" }) };
    row.mark.append(row.sign, row.words, row.small);
    row.time = make("span");
    row.bar = make("i");
    row.track = make("u", {}, row.bar);
    row.link = make("a", { target: "_blank", rel: "noopener" }, "notebook");
    row.note = make("span");
    row.last = make("td", { class: "onb-last" }, row.link, " ", row.note);
    row.element = make("tr", { "data-row": "" }, make("td", {}, row.name), make("td", {}, row.mark), make("td", { class: "onb-time" }, row.time, row.track), row.last);
    row.element.addEventListener("click", (event) => {
      if (event.target.closest("a")) return;
      if (row.item.box) {
        if (!this.open.delete(row.item.box)) this.open.add(row.item.box);
        this.paint();
      } else this.select(row.item.name);
    });
    return row;
  }

  paintRow(row, item, place) {
    row.item = item;
    attribute(row.element, "aria-rowindex", place + 2);
    row.name.classList.toggle("onb-in", Boolean(item.inside));
    let state, line, small = "", time = "", fraction = null, note = "", link = null;
    if (item.box) {
      const states = item.members.map((member) => member.row[0] ?? "pending");
      state = LOUD.find((one) => states.includes(one)) ?? states[0];
      const done = states.filter((one) => FINAL.has(one)).length;
      line = `${done} of ${states.length} done`;
      fraction = done / states.length;
      const counts = new Map();
      for (const one of states) counts.set(one, (counts.get(one) ?? 0) + 1);
      note = [...counts].map(([one, number]) => `${number} ${words(one)}`).join(", ");
      const open = this.open.has(item.box);
      text(row.name, `${open ? "▾" : "▸"} ${item.box}`);
      attribute(row.name, "aria-expanded", open);
      row.element.removeAttribute("aria-selected");
    } else {
      const [kind, attempt, started, seconds, cell, cells, , said, notebook] = item.row;
      state = kind ?? "pending";
      line = words(state);
      if (state === "running" && cells) small = `cell ${cell} of ${cells}`;
      if (attempt > 1) small += `${small ? ", " : ""}try ${attempt}`;
      if (state === "running") {
        time = duration(this.now - started) + (item.seconds ? ` of ~${duration(item.seconds)}` : "");
        fraction = this.fraction(item.row, item.seconds);
      } else if (state === "waiting" && started) time = `again in ${duration(started - this.now)}`;
      else if (seconds !== null && seconds !== undefined && FINAL.has(state)) time = duration(seconds);
      else if (item.seconds && !FINAL.has(state)) time = `~${duration(item.seconds)}`;
      note = said ?? "";
      link = address(this.plan, notebook);
      text(row.name, item.name);
      row.name.removeAttribute("aria-expanded");
      attribute(row.element, "aria-selected", item.name === this.selected);
    }
    attribute(row.element, "data-row", item.box ?? item.name);
    if (row.mark.dataset.state !== state) {
      row.mark.dataset.state = state;
      row.track.dataset.state = state;
      row.sign.replaceChildren(drawIcon(this.plan.icons, state));
    }
    text(row.words, line);
    text(row.small, small);
    text(row.time, time);
    shown(row.track, fraction !== null && !FINAL.has(state));
    if (fraction !== null) row.bar.style.width = `${(100 * fraction).toFixed(1)}%`;
    text(row.note, note);
    attribute(row.last, "title", note);
    shown(row.link, Boolean(link));
    if (link) {
      attribute(row.link, "href", link);
      attribute(row.link, "aria-label", `output notebook of ${item.name}`);
    }
  }

  paintChips(plan, head) {
    const many = plan.commands.length > 12;
    shown(this.chips, many);
    if (!many) return;
    const states = ["", ...BAR, "ready", "pending"].filter((state) => !state || head.counts[state] || state === this.only);
    const drawn = states.join();
    if (drawn !== this.chipsDrawn) {
      this.chipsDrawn = drawn;
      const focused = document.activeElement?.dataset?.chip;
      this.chips.replaceChildren(...states.map((state) => make("button", {
        type: "button", "data-chip": state || "all", "data-state": state || null,
        onclick: () => { this.only = state; this.scroll.scrollTop = 0; this.paint(); },
      }, ...(state ? [drawIcon(plan.icons, state)] : []), make("span"))), this.find);
      if (focused) this.chips.querySelector(`[data-chip="${focused}"]`)?.focus();
    }
    states.forEach((state, place) => {
      const chip = this.chips.children[place];
      attribute(chip, "aria-pressed", state === this.only);
      text(chip.lastChild, state ? `${head.counts[state] ?? 0} ${words(state)}` : `all ${head.total}`);
    });
  }

  paintDetail() {
    const place = this.selected ? this.plan.commands.findIndex(([name]) => name === this.selected) : -1;
    if (place >= 0) {
      // What is told of the selected command is as old as its last change; while it runs, two seconds at the most.
      const [state, attempt] = this.row(place);
      const beat = `${state} ${attempt} ${state === "running" ? Math.floor(this.now / 2) : ""}`;
      if (beat !== this.beat && this.beatOf === this.selected) this.ask("select", { command: this.selected });
      this.beat = beat;
      this.beatOf = this.selected;
    }
    const found = this.model.get("detail") ?? {};
    const on = this.selected && found.command === this.selected;
    shown(this.detail, Boolean(on));
    const drawn = on ? JSON.stringify(found) : "";
    if (drawn === this.detailDrawn) return;
    this.detailDrawn = drawn;
    if (!on) return;
    const close = make("button", { type: "button", onclick: () => this.select(this.selected) }, "Close");
    this.detail.replaceChildren(make("header", {}, make("b", {}, found.command), make("span", {}, words(found.state)), close),
      make("pre", { tabindex: 0, "aria-label": "how it came to be so" }, found.facts.join("\n")),
      ...(found.log ? [make("pre", { tabindex: 0, "aria-label": "the end of what it printed" }, found.log)] : []));
  }

  paintLog(head) {
    const entries = [];
    for (let part = 0; part < head.logs; part += 1) entries.push(...(this.model.get(`log_${part}`) ?? []));
    const near = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 40;
    for (const [at, who, what] of entries.slice(this.log.children.length)) {
      const time = new Date(at * 1000).toLocaleTimeString([], { hour12: false });
      this.log.append(make("li", {}, make("time", {}, time), make("b", { title: who }, who), make("span", {}, what)));
    }
    if (near) this.log.scrollTop = this.log.scrollHeight;
  }

  paintGates() {
    const drawn = JSON.stringify(this.extras.gates);
    if (drawn === this.gatesDrawn) return;
    this.gatesDrawn = drawn;
    this.gates.replaceChildren(...this.extras.gates.map(([command, name, verdict, blocking, found]) => {
      const looks = verdict === "passed" ? "succeeded" : blocking ? "failed" : "waiting";
      const mark = make("span", { class: "onb-state", "data-state": looks }, drawIcon(this.plan.icons, looks), verdict);
      return make("li", {}, mark, make("b", {}, command || "the run"), make("code", {}, name), make("span", { class: "onb-last" }, found));
    }));
  }

  paintTrends() {
    const figures = (this.model.get("trends") ?? {}).figures;
    const drawn = JSON.stringify(figures ?? null);
    if (drawn === this.trendsDrawn) return;
    this.trendsDrawn = drawn;
    const none = make("p", { class: "onb-none" }, figures ? "No run of this workflow has ended yet." : "Reading the history …");
    this.pages.trends.page.replaceChildren(...(figures?.length ? figures.map(([label, svg, told]) => {
      const line = make("div", {});
      line.innerHTML = svg;
      return make("div", { class: "onb-trend" }, make("b", {}, label), line, make("small", {}, told));
    }) : [none]));
  }

  paintPoints() {
    const drawn = JSON.stringify([this.extras.checkpoints, this.model.get("tried")]);
    if (drawn === this.pointsDrawn) return;
    this.pointsDrawn = drawn;
    const tried = this.model.get("tried") ?? {};
    const focused = document.activeElement?.dataset?.to;
    this.points.replaceChildren(...(this.extras.checkpoints ?? []).flatMap(({ to, label, files, at }) => {
      const look = make("button", { type: "button", "data-to": to, "aria-label": `what a rollback to ${label} would change`, onclick: () => this.ask("try", { to }) }, "Go back to it …");
      const told = make("span", {}, make("b", {}, label), make("small", {}, ` ${files} ${files === 1 ? "file" : "files"} changed`));
      const line = make("li", {}, make("time", {}, new Date(at * 1000).toLocaleTimeString([], { hour12: false })), told, look);
      if (tried.to !== to) return [line];
      const go = make("button", { type: "button", class: "onb-main", onclick: () => this.ask("rollback", { to }) }, "Roll back");
      return [line, make("li", {}, make("pre", { tabindex: 0, "aria-label": "what would change" }, tried.text), go)];
    }));
    if (focused) this.points.querySelector(`[data-to="${focused}"]`)?.focus();
  }
}

export default {
  render({ model, el }) {
    const panel = new Panel(model, el);
    return () => panel.close();
  },
};
