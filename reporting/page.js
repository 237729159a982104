"use strict";
// Sorting: a click on a heading sorts down, the next up, the third restores the order of the report.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const all = [...body.rows];
  const original = all.filter((row) => !("fixed" in row.dataset)); // without the blocks' headings
  const value = (row, column) => {
    const cell = row.cells[column];
    const number = cell.dataset.sort === undefined ? NaN : parseFloat(cell.dataset.sort);
    return Number.isNaN(number) ? cell.textContent.trim().toLowerCase() : number;
  };
  const compare = (a, b) => {
    if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
    return typeof a === "number" ? 1 : -1;
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = heading.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const text = heading.classList.contains("t");
      const first = text ? "ascending" : "descending";
      const second = text ? "descending" : "ascending";
      const before = heading.getAttribute("aria-sort");
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      const next = before === first ? second : before === second ? null : first;
      let rows = all;
      if (next) {
        heading.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        // a missing figure stays last in either direction
        const missing = (row) => row.cells[column].textContent.trim() === "–";
        rows = [...original].sort((a, b) =>
          missing(a) - missing(b) || sign * compare(value(a, column), value(b, column)));
      }
      table.classList.toggle("sorted", Boolean(next));
      body.append(...rows);
    });
  });
}
// Filter of the runs table: every word has to occur in the row.
for (const field of document.querySelectorAll("input[data-filters]")) {
  const rows = [...document.getElementById(field.dataset.filters).tBodies[0].rows];
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
