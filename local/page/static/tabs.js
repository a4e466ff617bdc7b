// Tabs after the WAI-ARIA pattern: arrow keys move, one tab stop.

/** Makes a tab list work; calls `chosen(id)` with the id of the panel that is shown. */
export function tabs(list, chosen) {
  const all = [...list.querySelectorAll("[role=tab]")];
  const choose = (tab, focus) => {
    for (const each of all) {
      const on = each === tab;
      each.setAttribute("aria-selected", String(on));
      each.tabIndex = on ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = !on;
    }
    if (focus) tab.focus();
    chosen(tab.getAttribute("aria-controls"));
  };
  all.forEach((tab, place) => {
    tab.addEventListener("click", () => choose(tab, false));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const ends = { Home: 0, End: all.length - 1 }[event.key];
      if (step === undefined && ends === undefined) return;
      event.preventDefault();
      choose(all[ends ?? (place + step + all.length) % all.length], true);
    });
  });
}
