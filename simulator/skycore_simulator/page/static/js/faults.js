// Fault injection: Skycore is slow, down or throttling, breaks connections, repeats postbacks.

import { button, el, find } from "./dom.js";
import { PRESETS } from "./fault-presets.js";
import { change as changeSettings, control } from "./server.js";

const SLIDERS = [
  { name: "slow", label: "Slow", unit: "s", max: 20, help: "seconds before each reply" },
  { name: "E106", label: "Throttling", unit: "%", help: "refused with E106, too many calls" },
  {
    name: "reset_before",
    label: "Reset, not accepted",
    unit: "%",
    help: "the connection is reset and the request ignored",
  },
  {
    name: "reset_after",
    label: "Reset, but accepted",
    unit: "%",
    help: "the connection is reset after the message was accepted",
  },
  { name: "half", label: "Half replies", unit: "%", help: "half of a reply, then the connection closes" },
  { name: "twice", label: "Postbacks twice", unit: "%", help: "the postback is sent a second time" },
];

const sliders = new Map();
const down = el("input", { type: "checkbox", id: "faults-off", role: "switch" });
const shuffle = el("input", { type: "checkbox", id: "faults-shuffle" });
const mode = el("select", { id: "faults-mode" });

export function start({ settings, api_port_open: isOpen, modes }) {
  if (!sliders.size) build(modes, isOpen !== null);
  const { faults } = settings;
  show({
    ...faults,
    slow: faults.slow ? settings.slow_seconds : 0,
    twice: Math.round(settings.duplicate_rate * 100),
    shuffle: settings.shuffle,
    down: isOpen === false,
    mode: settings.mode,
  });
}

function build(modes, canClose) {
  const panel = find("#faults");
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !panel.open) return;
    panel.open = false;
    find("summary", panel).focus();
  });
  down.disabled = !canClose;
  const presets = PRESETS.map(({ label, values }) =>
    button(label, () => apply(values), { disabled: values.down && !canClose }),
  );
  mode.append(el("option", { value: "normal" }, "normal"));
  for (const [name, { meaning }] of Object.entries(modes)) {
    mode.append(el("option", { value: name }, `${name.replaceAll("_", " ")}: ${meaning}`));
  }
  for (const input of [down, shuffle, mode]) input.addEventListener("change", save);
  find("#faults-form").append(
    el(
      "div",
      { class: "buttons", role: "group", "aria-label": "Presets" },
      ...presets,
      button("Clear all faults", () => apply({})),
    ),
    check(down, canClose ? "Down: connections are refused" : "Down (needs --api-port)"),
    ...SLIDERS.map(slider),
    check(shuffle, "Postbacks in any order"),
    el("div", { class: "field" }, el("label", { for: mode.id }, "Every reply"), mode),
  );
}

const check = (input, label) =>
  el("div", { class: "field check" }, input, el("label", { for: input.id }, label));

function slider({ name, label, unit, max = 100, help }) {
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
  input.addEventListener("change", save);
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

/** Shows these faults; what is not named is off. */
function show(values) {
  for (const { name } of SLIDERS) set(name, values[name] ?? 0);
  down.checked = Boolean(values.down);
  shuffle.checked = Boolean(values.shuffle);
  mode.value = values.mode ?? "normal";
  summarize();
}

/** Sets exactly these faults, and clears the others. */
async function apply(values) {
  show(values);
  await save();
}

/** Sets a preset by its label; null clears all faults. */
export const applyPreset = (label) =>
  apply(PRESETS.find((each) => each.label === label)?.values ?? {});

const numbers = () =>
  Object.fromEntries(SLIDERS.map(({ name }) => [name, Number(sliders.get(name).input.value)]));

async function save() {
  const { slow, twice, ...shares } = numbers();
  const faults = Object.fromEntries(Object.entries(shares).filter(([, percent]) => percent));
  if (slow) faults.slow = 100; // last: a fault that breaks the reply comes before one that delays it
  await changeSettings("settings", {
    faults,
    mode: mode.value,
    duplicate_rate: twice / 100,
    shuffle: shuffle.checked,
    ...(slow ? { slow_seconds: slow } : {}),
  });
  if (!down.disabled) await control.change("line", { open: !down.checked });
  summarize();
}

function summarize() {
  const parts = SLIDERS.filter(({ name }) => numbers()[name]).map(
    ({ name, label, unit }) => `${label.toLowerCase()} ${numbers()[name]} ${unit}`,
  );
  if (shuffle.checked) parts.push("postbacks in any order");
  if (mode.value !== "normal") parts.push(mode.value.replaceAll("_", " "));
  if (down.checked) parts.unshift("Skycore is down");
  find("#faults-now").textContent = parts.join(", ") || "none";
  find("#faults").classList.toggle("active", parts.length > 0);
}
