// The page of commands: one line each, those alike folded into one; only the lines that can be seen are drawn.

const ROW = 32; // the height of a row, as in panel.css
const AROUND = 6; // rows drawn above and below those that can be seen

class Commands {
  constructor(panel) {
    this.panel = panel;
    this.only = "";
    this.search = "";
    this.open = new Set();
    this.pool = [];
    this.top = 0; // how far the table is scrolled
    this.chips = make("div", { class: "onb-chips", role: "group", "aria-label": "which commands are shown" });
    this.find = make("input", { type: "search", placeholder: "find a command", "aria-label": "find a command", oninput: () => { this.search = this.find.value.toLowerCase(); this.scroll.scrollTop = 0; panel.paint(); } });
    const heads = make("tr", {}, ...["Command", "State", "Time", "Latest"].map((name) => make("th", { scope: "col" }, name)));
    this.body = make("tbody");
    this.above = make("tr", { "aria-hidden": "true" }, make("td", { colspan: 4 }));
    this.below = make("tr", { "aria-hidden": "true" }, make("td", { colspan: 4 }));
    this.body.append(this.above, this.below);
    this.table = make("table", { class: "onb-rows" }, make("thead", {}, heads), this.body);
    this.scroll = make("div", { class: "onb-scroll", tabindex: 0, role: "region", "aria-label": "commands", onscroll: () => { this.top = this.scroll.scrollTop; panel.repaint(); } }, this.table);
    this.detail = make("section", { class: "onb-detail", "aria-label": "the selected command" });
    this.elements = [this.chips, this.scroll, this.detail];
  }

  // Show the commands that a box of the graph stands for.
  unfold(box) {
    this.open.add(box);
    this.search = this.find.value = "";
    this.only = "";
    this.panel.turn("commands");
    this.scroll.scrollTop = this.items().findIndex((item) => item.box === box) * ROW;
  }

  // The lines of the table: commands, and for those that are folded one line, with theirs below it once it is opened.
  items() {
    const items = [];
    const groups = new Map();
    const narrowed = this.only || this.search;
    this.panel.plan.commands.forEach(([name, kind, seconds, box], place) => {
      const row = this.panel.row(place);
      if (this.only && row[0] !== this.only) return;
      if (this.search && !name.toLowerCase().includes(this.search)) return;
      const item = { name, kind, seconds, row, inside: Boolean(box) && !narrowed };
      if (!item.inside) { items.push(item); return; }
      if (!groups.has(box)) { groups.set(box, { box, members: [] }); items.push(groups.get(box)); }
      groups.get(box).members.push(item);
    });
    return items.flatMap((item) => (item.box && this.open.has(item.box) ? [item, ...item.members] : [item]));
  }

  paint() {
    const { plan, head } = this.panel;
    this.paintChips(plan, head);
    const items = this.items();
    const first = Math.max(0, Math.floor(this.top / ROW) - AROUND);
    const last = Math.min(items.length, first + Math.ceil((this.panel.size(this.scroll)[1] || 388) / ROW) + 2 * AROUND);
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
        this.panel.paint();
      } else this.panel.select(row.item.name);
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
        time = duration(this.panel.now - started) + (item.seconds ? ` of ~${duration(item.seconds)}` : "");
        fraction = this.panel.fraction(item.row, item.seconds);
      } else if (state === "waiting" && started) time = `again in ${duration(started - this.panel.now)}`;
      else if (seconds !== null && seconds !== undefined && FINAL.has(state)) time = duration(seconds);
      else if (item.seconds && !FINAL.has(state)) time = `~${duration(item.seconds)}`;
      note = said ?? "";
      link = address(this.panel.plan, notebook);
      text(row.name, item.name);
      row.name.removeAttribute("aria-expanded");
      attribute(row.element, "aria-selected", item.name === this.panel.selected);
    }
    attribute(row.element, "data-row", item.box ?? item.name);
    if (row.mark.dataset.state !== state) {
      row.mark.dataset.state = state;
      row.track.dataset.state = state;
      row.sign.replaceChildren(drawIcon(this.panel.plan.icons, state));
    }
    text(row.words, line);
    text(row.small, small);
    text(row.time, time);
    shown(row.track, fraction !== null && !FINAL.has(state));
    if (fraction !== null) attribute(row.bar, "style", `width:${(100 * fraction).toFixed(1)}%`);
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
        onclick: () => { this.only = state; this.scroll.scrollTop = 0; this.panel.paint(); },
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
    const place = this.panel.selected ? this.panel.plan.commands.findIndex(([name]) => name === this.panel.selected) : -1;
    if (place >= 0) {
      // What is told of the selected command is as old as its last change; while it runs, two seconds at the most.
      const [state, attempt] = this.panel.row(place);
      const beat = `${state} ${attempt} ${state === "running" ? Math.floor(this.panel.now / 2) : ""}`;
      if (beat !== this.beat && this.beatOf === this.panel.selected) this.panel.ask("select", { command: this.panel.selected });
      this.beat = beat;
      this.beatOf = this.panel.selected;
    }
    const found = this.panel.model.get("detail") ?? {};
    const on = this.panel.selected && found.command === this.panel.selected;
    shown(this.detail, Boolean(on));
    const drawn = on ? JSON.stringify(found) : "";
    if (drawn === this.detailDrawn) return;
    this.detailDrawn = drawn;
    if (!on) return;
    const close = make("button", { type: "button", onclick: () => this.panel.select(this.panel.selected) }, "Close");
    this.detail.replaceChildren(make("header", {}, make("b", {}, found.command), make("span", {}, words(found.state)), close),
      make("pre", { tabindex: 0, "aria-label": "how it came to be so" }, found.facts.join("\n")),
      ...(found.log ? [make("pre", { tabindex: 0, "aria-label": "the end of what it printed" }, found.log)] : []));
  }
}
