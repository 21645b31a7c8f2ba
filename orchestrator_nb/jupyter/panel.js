// The live panel of a run. It draws what the model holds and asks the kernel for nothing but what a person clicked on.
// The parts of the model are described in orchestrator_nb/orchestrator/display/picture.py.

let ids = 0;

class Panel {
  constructor(model, root) {
    this.model = model;
    this.root = root;
    this.id = `onb-${++ids}`;
    this.tab = "commands";
    this.selected = "";
    this.sizes = new Map();
    this.build();
    this.repaint = () => {
      if (!this.asked) this.asked = requestAnimationFrame(() => { this.asked = 0; this.paint(); });
    };
    model.on("change", this.repaint);
    this.clock = setInterval(() => {
      if (!LIVE.has(this.head.phase) || !this.head.owned) return;
      this.section.dataset.beat = this.section.dataset.beat === "1" ? "0" : "1";
      this.repaint();
    }, 1000);
    // Sizes are told when they change: to ask for one while painting has the page laid out at once.
    this.resized = new ResizeObserver((changes) => {
      for (const { target } of changes) this.sizes.set(target, [target.clientWidth, target.clientHeight]);
      this.repaint();
    });
    for (const element of [root, this.graph.view, this.commands.scroll]) this.resized.observe(element);
    this.paint();
  }

  close() {
    this.model.off("change", this.repaint);
    clearInterval(this.clock);
    cancelAnimationFrame(this.asked);
    this.resized.disconnect();
    for (const { page } of Object.values(this.pages)) page.close?.();
  }

  get plan() { return this.model.get("plan") ?? {}; }
  get head() { return this.model.get("head") ?? {}; }
  get extras() { return this.model.get("extras") ?? {}; }
  size(element) { return this.sizes.get(element) ?? [element.clientWidth, element.clientHeight]; }
  row(place) { return (this.model.get(`rows_${Math.floor(place / this.plan.chunk)}`) ?? [])[place % this.plan.chunk] ?? []; }
  ask(what, more = {}) { this.model.send({ do: what, ...more }); }

  // ── what is there once ──────────────────────────────────────────────────────────────────────────────────────────

  build() {
    const button = (name, what, extra = {}) => make("button", { type: "button", onclick: () => this.ask(what), ...extra }, name);
    this.pause = button("Pause", "pause", { title: "Start nothing new; what runs goes on to its end" });
    this.resume = button("Resume", "resume", { class: "onb-main" });
    this.stop = make("button", { type: "button", onclick: () => this.ask("stop", { now: this.head.phase === "stopping" }) });
    this.name = make("span", { class: "onb-name", role: "heading", "aria-level": 3 });
    this.pill = make("span", { class: "onb-pill" });
    this.runId = make("span", { class: "onb-run" });
    this.meter = make("div", { class: "onb-meter", role: "progressbar", "aria-label": "commands done", "aria-valuemin": 0 });
    this.sum = make("p", { class: "onb-sum" });
    this.reason = make("p", { class: "onb-say" });
    this.say = make("p", { class: "onb-say", role: "status", "aria-live": "polite" });
    this.asks = make("div", { "aria-live": "polite" });
    this.cards = make("div");
    this.next = make("div");
    this.graph = new Graph(this);
    this.commands = new Commands(this);
    this.tabs = make("div", { class: "onb-tabs", role: "tablist", "aria-label": "about the run" });
    this.pages = {};
    for (const [key, name, page] of [
      ["commands", "Commands", this.commands], ["log", "Log", new Log(this)], ["gates", "Gates", new Gates(this)],
      ["checkpoints", "Checkpoints", new Checkpoints(this)], ["trends", "Trends", new Trends(this)], ["rating", "Rating", new Rating(this)],
    ]) {
      const place = make("div", { role: "tabpanel", id: `${this.id}-${key}`, "aria-label": name }, ...page.elements);
      const tab = make("button", { type: "button", role: "tab", "data-tab": key, "aria-controls": `${this.id}-${key}`, onclick: () => this.turn(key) }, name);
      this.pages[key] = { page, place, tab };
      this.tabs.append(tab);
    }
    this.tabs.addEventListener("keydown", (event) => {
      const keys = Object.keys(this.pages).filter((key) => !this.pages[key].tab.hidden);
      const at = keys.indexOf(this.tab);
      const next = { ArrowRight: (at + 1) % keys.length, ArrowLeft: (at - 1 + keys.length) % keys.length, Home: 0, End: keys.length - 1 }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      this.turn(keys[next]);
      this.pages[keys[next]].tab.focus();
    });
    this.section = make("section", { class: "onb-panel" },
      make("div", { class: "onb-head" }, this.name, this.pill, this.runId, make("div", { class: "onb-acts" }, this.pause, this.resume, this.stop)),
      this.meter, this.sum, this.reason, this.say, this.asks, this.cards, this.graph.element, this.tabs,
      ...Object.values(this.pages).map(({ place }) => place), this.next);
    // The keys that are pressed in here are the panel's: none of them moves, edits or deletes a cell.
    this.section.addEventListener("keydown", (event) => { if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation(); });
    this.root.append(this.section);
  }

  turn(key) {
    if (this.tab !== key) {
      this.tab = key;
      this.pages[key].page.turned?.();
    }
    this.paint();
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
    this.paintSays(head);
    shown(this.graph.element, Boolean(plan.commands));
    if (!plan.commands) return;
    this.graph.paint();
    this.paintTabs();
    this.pages[this.tab].page.paint();
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
    const ends = head.phase === "stopping"; // what runs has some seconds left, which a second press takes from it
    shown(this.stop, head.owned && (live || ends || head.phase === "paused"));
    text(this.stop, ends ? "Stop now" : "Stop");
    attribute(this.stop, "title", ends ? "Give what runs no more time" : "End what runs, and the run; it can be resumed");
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
    if (head.deviations) said.push([head.deviations, head.deviations === 1 ? "deviation" : "deviations"]);
    while (this.sum.children.length > said.length) this.sum.lastChild.remove();
    while (this.sum.children.length < said.length) this.sum.append(make("span", {}, make("b"), make("span")));
    said.forEach(([number, what], place) => {
      const [bold, plain] = this.sum.children[place].children;
      text(bold, String(number));
      text(plain, number === "" ? what : ` ${what}`);
    });
    const told = head.phase === "failed" && (this.model.get("cards") ?? []).length > 0; // the card says it, and more
    text(this.reason, head.reason ?? "");
    attribute(this.reason, "data-state", looks);
    shown(this.reason, Boolean(head.reason) && !told);
  }

  paintSays(head) {
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
    const next = JSON.stringify(head.next ?? []);
    if (next !== this.nextDrawn) {
      this.nextDrawn = next;
      this.next.replaceChildren(...(head.next ?? []).map((step) => make("p", { class: "onb-next" }, step)));
    }
  }

  decision({ number, command, question, options, fallback, deadline, level }) {
    const buttons = options.map(([option, meaning]) => make("button", { type: "button", title: meaning, class: option === fallback ? "onb-main" : null, onclick: () => this.ask("decide", { number, answer: option }) }, option));
    const until = deadline ? ` ${clock(deadline)}` : "";
    const hint = fallback ? `without an answer, ${fallback} is taken at${until}` : deadline ? `more people are asked at${until}` : "";
    return make("section", { class: "onb-ask", "aria-label": `decision ${number}` },
      make("p", {}, drawIcon(this.plan.icons ?? {}, "waiting"), make("b", {}, ` ${command || "The run"} wants a decision `), make("small", {}, `${number} · ${level}`)),
      make("p", {}, question), make("div", {}, ...buttons, make("small", {}, hint)));
  }

  fraction(row, seconds) {
    if (row[6] !== null && row[6] !== undefined) return row[6];
    return seconds ? Math.max(0, Math.min(0.97, (this.now - row[2]) / seconds)) : null;
  }

  paintTabs() {
    const counts = { gates: (this.extras.gates ?? []).length, checkpoints: (this.extras.checkpoints ?? []).length };
    for (const [key, { place, tab }] of Object.entries(this.pages)) {
      shown(tab, counts[key] !== 0);
      attribute(tab, "aria-selected", key === this.tab);
      attribute(tab, "tabindex", key === this.tab ? 0 : -1);
      shown(place, key === this.tab);
    }
  }
}

export default {
  render({ model, el }) {
    const panel = new Panel(model, el);
    return () => panel.close();
  },
};
