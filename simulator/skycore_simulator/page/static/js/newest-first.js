// A list that holds only its newest rows, however many there are. Rows dropped at the end are read
// from the server again with `older`.

import { button, el } from "./dom.js";

const AT_FIRST = 100;
const MORE = 200;

export class NewestFirst {
  /**
   * label: the list's accessible name. empty: the text of an empty list.
   * make(row): an element. update(element, row): when a row changes.
   * order(row): a number, largest for the newest row. key(row): its identity.
   * older(row): a promise of the rows before this one; without it there is no button.
   */
  constructor({ label, empty, make, update, order, key = (row) => row.id, older = null }) {
    Object.assign(this, { make, update, order, key, older });
    this.limit = AT_FIRST;
    this.rows = new Map(); // key → {row, node}
    this.pending = new Map();
    this.skipped = 0;
    this.list = el("ol", { class: "rows", "aria-label": label });
    this.note = el("p", { class: "empty" }, empty);
    this.more = button("Show older", () => this.showOlder(), { class: "more", hidden: true });
    this.node = el("div", { class: "newest-first" }, this.note, this.list, this.more);
  }

  /** Adds new and changed rows; they appear with the next frame. */
  add(rows, skipped = 0) {
    for (const row of rows) this.pending.set(this.key(row), row);
    this.skipped += skipped;
    if (!this.scheduled && (rows.length || skipped)) {
      this.scheduled = true;
      requestAnimationFrame(() => this.flush());
    }
  }

  /** Removes the row with this key. */
  remove(key) {
    this.pending.delete(key);
    this.rows.get(key)?.node.remove();
    this.rows.delete(key);
    this.note.hidden = this.rows.size > 0;
  }

  /** Replaces all rows. */
  replace(rows) {
    this.list.replaceChildren();
    this.rows.clear();
    this.pending.clear();
    this.skipped = 0;
    this.limit = AT_FIRST;
    this.add(rows);
    this.flush();
  }

  flush() {
    this.scheduled = false;
    const changed = [...this.pending.values()].sort((a, b) => this.order(a) - this.order(b));
    this.pending.clear();
    for (const row of changed) this.put(row);
    this.trim();
    this.note.hidden = this.rows.size > 0;
    this.more.hidden = !this.older || (!this.cut && !this.skipped && this.rows.size < AT_FIRST);
  }

  put(row) {
    const key = this.key(row);
    const known = this.rows.get(key);
    if (known) {
      const moved = this.order(row) !== this.order(known.row);
      known.row = row;
      this.update(known.node, row);
      if (moved && this.list.firstChild !== known.node) this.list.prepend(known.node);
      return;
    }
    const node = this.make(row);
    this.rows.set(key, { row, node });
    node.rowKey = key;
    let after = this.list.firstElementChild;
    while (after && this.order(this.rows.get(after.rowKey).row) > this.order(row)) {
      after = after.nextElementSibling;
    }
    this.list.insertBefore(node, after);
  }

  trim() {
    let last = this.list.lastElementChild;
    let over = this.rows.size - this.limit;
    while (over > 0 && last) {
      const before = last.previousElementSibling;
      const inUse = last.contains(document.activeElement) || last.querySelector("details[open]");
      if (!inUse) {
        this.rows.delete(last.rowKey);
        last.remove();
        this.cut = true;
        over -= 1;
      }
      last = before;
    }
  }

  async showOlder() {
    const last = this.list.lastElementChild;
    if (!last) return;
    const rows = await this.older(this.rows.get(last.rowKey).row);
    this.limit += MORE;
    this.add(rows);
    this.flush();
    if (rows.length < MORE) {
      this.cut = false;
      this.skipped = 0;
      this.more.hidden = true;
    }
  }
}
