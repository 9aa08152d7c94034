// What pages do in a browser: charts whose ink follows a light or dark system, and tables that can be sorted.
const dark = matchMedia("(prefers-color-scheme: dark)");
const inkColour = () => dark.matches ? "#b6bec9" : "#4a5462";
const ink = () => document.querySelectorAll(".js-plotly-plot").forEach(
  chart => Plotly.relayout(chart, {"font.color": inkColour()}));
dark.addEventListener("change", ink);
ink();
// By the column whose head was pressed: numbers from the highest on, names from A on, then the other way.
for (const button of document.querySelectorAll("table.sortable th button")) button.addEventListener("click", () => {
  const head = button.closest("th"), table = head.closest("table"), at = head.cellIndex, body = table.tBodies[0];
  const first = head.dataset.first, other = first === "descending" ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  for (const each of table.querySelectorAll("th[aria-sort]")) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const value = row => row.cells[at].dataset.value, sign = order === "ascending" ? 1 : -1;
  const compared = (a, b) => first === "ascending" ? a.localeCompare(b) : a - b;
  body.append(...[...body.rows].sort((one, two) => {
    const a = value(one), b = value(two);
    return a === "" || b === "" ? (a === "") - (b === "") : sign * compared(a, b);
  }));
});
