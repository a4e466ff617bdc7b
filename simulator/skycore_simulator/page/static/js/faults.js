// The faults of Skycore: slow, down, throttling, resetting connections, half replies.

import { el, find } from "./dom.js";
import { change as changeSettings, control } from "./server.js";

const SLIDERS = [
  { name: "slow", label: "Slow", unit: "s", max: 20, help: "seconds before each reply" },
  { name: "E106", label: "Throttling", unit: "%", max: 100, help: "refused with E106, too many calls" },
  {
    name: "reset_before",
    label: "Reset, not accepted",
    unit: "%",
    max: 100,
    help: "the connection is reset and the request ignored",
  },
  {
    name: "reset_after",
    label: "Reset, but accepted",
    unit: "%",
    max: 100,
    help: "the connection is reset after the message was accepted",
  },
  {
    name: "half",
    label: "Half replies",
    unit: "%",
    max: 100,
    help: "half of a reply, then the connection closes",
  },
];

const sliders = new Map();
const off = el("input", { type: "checkbox", id: "faults-off", role: "switch" });
const mode = el("select", { id: "faults-mode" });

export function start({ settings, api_port_open: isOpen, modes }) {
  if (!sliders.size) build(modes, isOpen !== null);
  off.checked = isOpen === false;
  off.disabled = isOpen === null;
  mode.value = settings.mode;
  for (const { name } of SLIDERS) {
    const percent = settings.faults[name] ?? 0;
    set(name, name === "slow" && percent ? settings.slow_seconds : percent);
  }
  summarize();
}

function build(modes, canClose) {
  const form = find("#faults-form");
  off.addEventListener("change", async () => {
    await control.change("line", { open: !off.checked });
    summarize();
  });
  mode.append(el("option", { value: "normal" }, "as set above"));
  for (const [name, { meaning }] of Object.entries(modes)) {
    mode.append(el("option", { value: name }, `${name.replaceAll("_", " ")}: ${meaning}`));
  }
  mode.addEventListener("change", change);
  form.append(
    el(
      "div",
      { class: "field check" },
      off,
      el(
        "label",
        { for: off.id },
        canClose ? "Down: connections are refused" : "Down (needs --api-port)",
      ),
    ),
    ...SLIDERS.map(slider),
    el("div", { class: "field" }, el("label", { for: mode.id }, "Every reply"), mode),
    el("button", { type: "button", on: { click: clear } }, "Clear all faults"),
  );
}

function slider({ name, label, unit, max, help }) {
  const id = `faults-${name}`;
  const input = el("input", {
    type: "range",
    id,
    min: 0,
    max,
    value: 0,
    "aria-describedby": `${id}-help`,
  });
  const value = el("output", { for: id });
  sliders.set(name, { input, value, unit });
  input.addEventListener("input", () => set(name, input.value));
  input.addEventListener("change", change);
  return el(
    "div",
    { class: "field slider" },
    el("label", { for: id }, label),
    input,
    value,
    el("p", { class: "help", id: `${id}-help` }, help),
  );
}

function set(name, number) {
  const { input, value, unit } = sliders.get(name);
  input.value = number;
  value.textContent = Number(number) ? `${number} ${unit}` : "off";
  input.setAttribute("aria-valuetext", value.textContent);
}

const numbers = () =>
  Object.fromEntries(SLIDERS.map(({ name }) => [name, Number(sliders.get(name).input.value)]));

async function change() {
  const { slow, ...shares } = numbers();
  const faults = Object.fromEntries(Object.entries(shares).filter(([, percent]) => percent));
  if (slow) faults.slow = 100; // last: a fault that breaks the reply comes before one that delays it
  await changeSettings("settings", {
    faults,
    mode: mode.value,
    ...(slow ? { slow_seconds: slow } : {}),
  });
  summarize();
}

async function clear() {
  for (const { name } of SLIDERS) set(name, 0);
  mode.value = "normal";
  off.checked = false;
  if (!off.disabled) await control.change("line", { open: true });
  await change();
}

function summarize() {
  const parts = SLIDERS.filter(({ name }) => numbers()[name]).map(
    ({ name, label, unit }) => `${label.toLowerCase()} ${numbers()[name]} ${unit}`,
  );
  if (mode.value !== "normal") parts.push(mode.value.replaceAll("_", " "));
  if (off.checked) parts.unshift("Skycore is down");
  find("#faults-now").textContent = parts.join(", ") || "none";
  find("#faults").classList.toggle("active", parts.length > 0);
}
