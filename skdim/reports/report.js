"use strict";
// The table of all crystals: sorts by a column, filters by text, shows a page at a time. Cells are set as text.
(() => {
  const { columns, rows } = JSON.parse(document.getElementById("crystals-data").textContent);
  const PAGE = 50;
  const table = document.getElementById("crystals");
  const count = document.getElementById("count");
  const [filter, previous, next] = ["filter", "previous", "next"].map((id) => document.getElementById(id));
  const texts = rows.map((row) =>
    row.filter((_, k) => !columns[k].number).map((text) => text ?? "").join("\n").toLowerCase());
  let shown = rows.map((_, k) => k);
  let first = 0;
  let by = -1;
  let descending = false;

  const format = (value, column) => {
    if (value === null) return "";
    return column.number ? String(Number(value.toPrecision(4))).replace("-", "\u2212") : value;
  };

  const compare = (a, b) => {
    const [x, y] = [rows[a][by], rows[b][by]];
    if (x === null || y === null) return (x === null) - (y === null) || a - b;  // missing values last
    const order = columns[by].number ? x - y : x.localeCompare(y, "en", { numeric: true });
    return (descending ? -order : order) || a - b;
  };

  const draw = () => {
    const body = document.createElement("tbody");
    for (const row of shown.slice(first, first + PAGE)) {
      const line = body.insertRow();
      columns.forEach((column, k) => {
        const cell = line.insertCell();
        cell.className = column.number ? "number" : "text";
        cell.textContent = format(rows[row][k], column);
      });
    }
    table.tBodies[0].replaceWith(body);
    const last = Math.min(first + PAGE, shown.length);
    count.textContent = shown.length ? `${first + 1}\u2013${last} of ${shown.length}` : "no crystal matches";
    previous.disabled = first === 0;
    next.disabled = last >= shown.length;
  };

  const update = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = rows.map((_, k) => k).filter((k) => words.every((word) => texts[k].includes(word)));
    if (by >= 0) shown.sort(compare);
    first = 0;
    draw();
  };

  [...table.tHead.rows[0].cells].forEach((cell, k) => {
    cell.querySelector("button").addEventListener("click", () => {
      // Numbers from the largest: the worst and the most uncertain first.
      descending = by === k ? !descending : Boolean(columns[k].number);
      by = k;
      [...table.tHead.rows[0].cells].forEach((other, j) => {
        if (j === k) other.setAttribute("aria-sort", descending ? "descending" : "ascending");
        else other.removeAttribute("aria-sort");
      });
      update();
    });
  });
  filter.addEventListener("input", update);
  previous.addEventListener("click", () => { first -= PAGE; draw(); });
  next.addEventListener("click", () => { first += PAGE; draw(); });
  document.getElementById("controls").hidden = false;
  draw();
})();
