"use strict";
const table = document.getElementById("clips");
const heads = [...table.tHead.rows[0].cells];

function sort(column, direction) {
  const value = (row) => row.cells[column].dataset.value;
  const rows = [...table.tBodies[0].rows];
  const numbers = rows.every((row) => !Number.isNaN(Number(value(row))));
  rows.sort((a, b) => direction * (numbers ? value(a) - value(b) : value(a).localeCompare(value(b), "en", { numeric: true })));
  table.tBodies[0].append(...rows);
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
}

heads.forEach((head, column) => {
  const button = head.querySelector("button");
  if (button === null) return;
  button.addEventListener("click", () => {
    const was = head.getAttribute("aria-sort");
    const first = column === 1 || column === 6 ? 1 : -1; // names from a, numbers from the worst
    sort(column, was === null ? first : was === "ascending" ? -1 : 1);
  });
});
