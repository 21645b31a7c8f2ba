// What all parts of the panel are made with: elements, words for states and times, icons, links into the server.

const WORDS = { upstream_failed: "upstream failed" };
const LOOKS = {
  completed: "succeeded", failed: "failed", error: "failed", paused: "paused", stopping: "cancelled",
  stopped: "cancelled", recovering: "waiting", degraded: "warns", new: "pending", "": "pending",
};
const BAR = ["succeeded", "reused", "running", "waiting", "failed", "crashed", "upstream_failed", "cancelled", "skipped"];
const FINAL = new Set(["succeeded", "reused", "failed", "crashed", "skipped", "upstream_failed", "cancelled"]);
const LOUD = ["failed", "crashed", "running", "waiting", "ready", "cancelled", "upstream_failed", "pending"];
const LIVE = new Set(["initializing", "executing", "recovering", "degraded", "completing"]);

const FOCUSED = new Set(["button", "input", "select", "textarea", "a", "summary"]);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  // JupyterLab is told so too, since it may look at a key before the panel does.
  if (FOCUSED.has(tag) || "tabindex" in attributes) element.setAttribute("data-lm-suppress-shortcuts", "true");
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
  if (seconds < 0.0995) return `${(1000 * Math.max(seconds, 0)).toFixed(0)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
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

function clock(at) {
  return new Date(at * 1000).toLocaleTimeString([], { hour12: false });
}
