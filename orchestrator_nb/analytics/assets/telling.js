"use strict";
// What figures say, said again of the runs that a filter leaves: the words are those of the figures in Python. Each
// function takes the traces with the points left and what the figure is about, may change the traces (limits, fronts),
// and returns the sentence, or null where nothing is left.
const telling = (() => {
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const ordered = (values) => [...values].sort((one, other) => one - other);
  const quantile = (values, part) => {
    const sorted = ordered(values), place = part * (sorted.length - 1), below = Math.floor(place);
    return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
  };
  // Python rounds halves to the even digit, toFixed away from zero.
  const fixed = (value, digits) => {
    const scaled = value * 10 ** digits, below = Math.floor(scaled);
    return (scaled - below === 0.5 && below % 2 === 0 ? below / 10 ** digits : value).toFixed(digits);
  };
  const median = (values) => quantile(values, 0.5);
  const length = (seconds) => {
    if (seconds >= 5400) return fixed(seconds / 3600, 1) + " h";
    if (seconds >= 120) return fixed(seconds / 60, 1) + " min";
    if (seconds < 5e-7) return "0 s";
    if (seconds >= 1) return (seconds < 10 ? fixed(seconds, 1) : fixed(seconds, 0)) + " s";
    const digits = Math.max(0, 1 - Math.floor(Math.log10(seconds * 1000)));
    return fixed(seconds * 1000, digits) + " ms";
  };
  const number = (value) => Number(value.toPrecision(4)).toLocaleString("en", {maximumFractionDigits: 20});
  const counted = (count, noun) => count.toLocaleString("en") + " " + noun + (count === 1 ? "" : "s");
  const percent = (part) => fixed(100 * part, 0) + "%";
  const chance = (p) => (p < 0.001 ? "p < 0.001" : "p = " + Number(p.toPrecision(2)));
  const distinct = (values) => new Set(values).size;
  const most = (totals) => [...totals].sort((one, other) => other[1] - one[1])[0];
  const total = (pairs) => {
    const found = new Map();
    for (const [key, value] of pairs) found.set(key, (found.get(key) || 0) + value);
    return found;
  };

  // ── statistics ──
  function limits(values) {
    if (values.length < 8) return null;
    const centre = median(values), moving = values.slice(1).map((value, place) => Math.abs(value - values[place]));
    const spread = 3 * median(moving) / 0.954, low = centre - spread;
    return [centre, Math.min(...values) >= 0 ? Math.max(0, low) : low, centre + spread];
  }
  function front(points, lower) {
    const sign = lower ? 1 : -1, places = points.map((_, place) => place);
    places.sort((one, other) => points[one][0] - points[other][0] || sign * (points[one][1] - points[other][1]));
    let best = Infinity;
    return places.filter((place) => sign * points[place][1] < best && ((best = sign * points[place][1]), true));
  }
  function ranks(values) {
    const order = values.map((_, place) => place).sort((one, other) => values[one] - values[other]), found = [];
    for (let first = 0; first < order.length;) {
      let last = first;
      while (last + 1 < order.length && values[order[last + 1]] === values[order[first]]) last++;
      for (let place = first; place <= last; place++) found[order[place]] = (first + last) / 2;
      first = last + 1;
    }
    return found;
  }
  function correlation(one, other) {
    const mean = (values) => sum(values) / values.length, a = mean(one), b = mean(other);
    const both = sum(one.map((value, place) => (value - a) * (other[place] - b)));
    const spread = (values, centre) => Math.sqrt(sum(values.map((value) => (value - centre) ** 2)));
    return both / (spread(one, a) * spread(other, b));
  }
  function gammaln(x) {
    const parts = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 1.208650973866179e-3, -5.395239384953e-6];
    const series = parts.reduce((total, part, place) => total + part / (x + place + 1), 1.000000000190015);
    return (x + 0.5) * Math.log(x + 5.5) - x - 5.5 + Math.log(2.5066282746310005 * series / x);
  }
  function beta(x, a, b) {  // the regularized incomplete beta function, by its continued fraction
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - beta(1 - x, b, a);
    const tiny = 1e-300, least = (value) => (Math.abs(value) < tiny ? tiny : value);
    let c = 1, d = 1 / least(1 - (a + b) * x / (a + 1)), h = d;
    for (let m = 1; m < 200; m++) {
      for (const part of [m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))]) {
        d = 1 / least(1 + part * d);
        c = least(1 + part / c);
        h *= c * d;
      }
      if (Math.abs(c * d - 1) < 1e-12) break;
    }
    return h * Math.exp(gammaln(a + b) - gammaln(a) - gammaln(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
  }
  const probability = (r, n) => (Math.abs(r) >= 1 ? 0 : beta(1 - r * r, (n - 2) / 2, 0.5));

  // ── figures ──
  function durations(traces) {
    const told = [];
    for (const workflow of new Set(traces.map((trace) => trace.legendgroup))) {
      const own = traces.filter((trace) => trace.legendgroup === workflow && trace.mode === "markers");
      const good = own.filter((trace) => trace.marker.symbol === "circle").flatMap((trace) => trace.y);
      const all = own.flatMap((trace) => trace.y), found = limits(good);
      const lines = traces.filter((trace) => trace.legendgroup === workflow && trace.mode === "lines");
      const dates = own.flatMap((trace) => trace.x).sort();
      lines.forEach((line, place) => {
        line.visible = Boolean(found) && all.length > 0;
        if (found) { line.y = [found[place], found[place]]; line.x = [dates[0], dates[dates.length - 1]]; }
      });
      for (const trace of own) {
        if (trace.marker.symbol !== "circle") continue;
        trace.marker.line = {...trace.marker.line, width: trace.y.map((value) => (found && (value < found[1] || value > found[2]) ? 3 : 0))};
      }
      if (!all.length) continue;
      if (found) {
        const far = good.filter((value) => value < found[1] || value > found[2]).length;
        told.push(`${workflow} usually takes ${length(found[0])} (limits ${length(found[1])} to ${length(found[2])}); ${far || "none"} of ${counted(good.length, "completed run")} lay outside`);
      } else told.push(`${workflow} took ${length(median(all))} in the median of ${counted(all.length, "run")}`);
    }
    return told.length ? told.join("; ") + "." : null;
  }
  function timeSpent(traces) {
    const sums = Object.fromEntries(traces.map((trace) => [trace.name, sum(trace.x)])), whole = sum(Object.values(sums));
    if (!whole) return null;
    const part = (name) => percent((sums[name] || 0) / whole);
    return `Of ${length(whole)} in all attempts, ${part("ran")} went into running, ${part("kernel started")} into starting kernels, ` +
      `${part("waited")} into waiting for a slot or for what else was needed, and ${part("came to nothing")} into attempts that came to nothing.`;
  }
  function distribution(traces) {
    const first = most(traces.map((trace) => [trace, sum(trace.x)]).reverse());
    if (!first || !first[1]) return null;
    const {name, x} = first[0];
    return `${name} takes most of all time: ${length(median(x))} in the median of ${counted(x.length, "attempt")}, ` +
      `half of them between ${length(quantile(x, 0.25))} and ${length(quantile(x, 0.75))}.`;
  }
  function efficiency([used, overhead]) {
    if (!used.y.length) return null;
    return `In the median of ${counted(used.y.length, "run")}, attempts ran in ${fixed(median(used.y), 0)}% of the slots' time, a ` +
      `speed-up of ${fixed(median(used.customdata), 2)} over one after the other; in ${fixed(median(overhead.y), 1)}% of the time nothing ran.`;
  }
  function failures(traces) {
    const count = sum(traces.map((trace) => sum(trace.x)));
    if (!count) return null;
    const cause = most(total(traces.map((trace) => [trace.name, sum(trace.x)])));
    const command = most(total(traces.flatMap((trace) => trace.y.map((name, place) => [name, trace.x[place]]))));
    return `${counted(count, "attempt")} failed; the most frequent cause is ${cause[0]} (${cause[1].toLocaleString("en")}), ` +
      `the command that failed most often ${command[0]} (${command[1].toLocaleString("en")}).`;
  }
  function checkpoints(traces) {
    const taken = traces.flatMap((trace) => trace.y);
    if (!taken.length) return null;
    const runs = distinct(traces.flatMap((trace) => trace.runs));
    return `${counted(taken.length, "checkpoint")} of ${counted(runs, "run")}, ${length(median(taken) / 1000)} each in the median.`;
  }
  function trend(traces) {
    const told = traces.filter((trace) => trace.meta.role === "values" && trace.y.length).map(({name, y}) =>
      `${name}: ${number(y[y.length - 1])} in the latest of ${counted(y.length, "run")}, ${number(y[0])} in the first, ${number(median(y))} in the median`);
    return told.length ? told.join("; ") + "." : null;
  }
  function gate([found]) {
    if (!found.y.length) return null;
    const bad = found.customdata.filter((said) => said !== "passed").length;
    return `${counted(found.y.length, "check")}, ${bad || "none"} of them not passed; ${number(found.y[found.y.length - 1])} in the latest.`;
  }
  function verdicts(traces, about) {
    const pairs = (from) => from.flatMap((trace) => trace.y.map((name, place) => [name, trace.x[place]]));
    const checks = pairs(traces), bad = total(pairs(traces.filter((trace) => trace.name !== "passed")));
    const count = sum(checks.map((pair) => pair[1])), failed = sum([...bad.values()]);
    if (!count) return null;
    const gates = about.more ? "" : ` of ${counted(distinct(checks.map((pair) => pair[0])), "gate")}`;
    const text = `${counted(count, "check")}${gates}, ${percent(1 - failed / count)} passed`;
    const worst = most(bad);
    return text + (worst ? `; ${worst[0]} stood in the way most often (${worst[1].toLocaleString("en")}).` : ".");
  }
  function tradeoff(traces, about) {
    const told = [];
    for (const points of traces.filter((trace) => trace.meta.role === "points")) {
      const workflow = points.meta.workflow, best = traces.find((trace) => trace.meta.role === "front" && trace.meta.workflow === workflow);
      const pairs = points.x.map((x, place) => [x, points.y[place]]), places = front(pairs, about.lower);
      best.x = places.map((place) => pairs[place][0]);
      best.y = places.map((place) => pairs[place][1]);
      if (!pairs.length) continue;
      if (pairs.length < 8 || distinct(points.x) < 3 || distinct(points.y) < 3) {
        told.push(`${workflow}: ${counted(pairs.length, "run")}, too few to tell whether ${about.metric} goes with the time taken.`);
        continue;
      }
      const r = correlation(ranks(points.x), ranks(points.y)), p = probability(r, pairs.length);
      const said = p < 0.05
        ? `${about.metric} ${r > 0 ? "rises" : "falls"} with the time taken (rank correlation ${fixed(r, 2)}, ${chance(p)}, ${pairs.length} runs)`
        : `no relation of ${about.metric} to the time taken can be seen (rank correlation ${fixed(r, 2)}, ${pairs.length} runs)`;
      const [quickest, slowest] = [pairs[places[0]], pairs[places[places.length - 1]]];
      told.push(`${workflow}: ${said}; the quickest run gave ${number(quickest[1])} in ${length(quickest[0])}, the best one ${number(slowest[1])} in ${length(slowest[0])}.`);
    }
    return told.length ? told.join(" ") : null;
  }
  const by = {durations, "time-spent": timeSpent, distribution, efficiency, failures, checkpoints, trend, gate, verdicts, tradeoff};
  return {
    length, median,
    of: (figure, traces) => {
      if (!by[figure.telling]) return figure.text;
      const text = by[figure.telling](traces, figure.about);
      return text === null ? "Nothing of it is among the runs chosen." : `${text} ${figure.note}`.trim();
    },
  };
})();
