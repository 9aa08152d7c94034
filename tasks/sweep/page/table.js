// The table of all sets: any column sorts it, words and comparisons filter it, and it shows some hundreds of rows at once.
{
  const STEP = 200, NONE = "-";
  const table = element("sets"), box = element("filter");
  const owner = [], placeOf = [];
  for (const strategy of sweep.strategies) strategy.rows.forEach((row, at) => { owner[row] = strategy; placeOf[row] = at; });

  // Columns have `value` (a number, text, or null) to compare and sort by, and `text` to show.
  const parameterColumn = name => {
    const found = new Map(sweep.strategies.map(each => [each, each.parameters.find(parameter => parameter.name === name)]));
    const read = (row, take) => {
      const parameter = found.get(owner[row]), at = parameter?.at[placeOf[row]] ?? -1;
      return at < 0 ? null : take(parameter, at);
    };
    const isNumeric = [...found.values()].every(parameter => !parameter || parameter.numbers);
    return {
      name, isName: !isNumeric, isParameter: true,
      value: row => read(row, (parameter, at) => isNumeric ? parameter.numbers[at] : parameter.texts[at]),
      text: row => read(row, valueText) ?? NONE, exact: row => read(row, (parameter, at) => parameter.texts[at]) ?? NONE,
    };
  };
  const figureColumn = column => ({
    name: column.name, isName: false, isSigned: column.is_signed,
    value: row => sweep.errors[row] === null ? column.values[row] : null,
    text: row => sweep.errors[row] === null ? figureText(column, column.values[row]) : NONE,
  });
  const names = new Set(sweep.strategies.flatMap(strategy => strategy.parameters.map(parameter => parameter.name)));
  const all = [
    {name: "strategy", isName: true, value: row => owner[row].name, text: row => owner[row].name},
    ...sweep.columns.slice(0, 1).map(figureColumn), ...[...names].map(parameterColumn), ...sweep.columns.slice(1).map(figureColumn),
    ...sweep.errors.some(each => each) ? [{name: "error", isName: true, isError: true,
      value: row => sweep.errors[row], text: row => sweep.errors[row] ?? ""}] : [],
  ];
  const words = sweep.errors.map((error, row) =>
    all.filter(each => each.isName || each.isParameter).map(each => `${each.exact?.(row) ?? each.text(row)}`).join("\n").toLowerCase());

  const asNumber = text => /^[-+]?(\d|\.\d)[\d.,]*(e[-+]?\d+)?%?$/i.test(text)
    ? parseFloat(text.replaceAll(",", "")) / (text.endsWith("%") ? 100 : 1) : NaN;
  const compared = {"<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b};
  const condition = term => {
    const bare = term.replaceAll('"', ""), [, name, sign, wanted] = term.match(/^([^<>=!"]+)(<=|>=|!=|=|<|>)(.+)$/) ?? [];
    if (/^[^<>=!"]+[<>=!]+$/.test(term)) throw new Error(`${term} needs a value.`);
    if (!name) return row => words[row].includes(bare.toLowerCase());
    const column = all.find(each => each.name.toLowerCase() === name.toLowerCase());
    if (!column) throw new Error(`No column or parameter is called ${name}.`);
    const text = wanted.replaceAll('"', "").toLowerCase(), number = asNumber(text);
    if (sign in compared) {
      if (Number.isNaN(number)) throw new Error(`${name}${sign} needs a number.`);
      return row => typeof column.value(row) === "number" && compared[sign](column.value(row), number);
    }
    const equals = row => column.value(row) === number ||
      [column.text, column.exact ?? column.text].some(read => read(row).toLowerCase() === text);
    return sign === "=" ? equals : row => !equals(row);
  };
  const conditions = text => (text.replace(/\s*(<=|>=|!=|=|<|>)\s*/g, "$1").match(/(?:[^\s"]|"[^"]*"?)+/g) ?? []).map(condition);

  let found = [], columns = [], order = {name: columnNamed(sweep.objective) ? sweep.objective : "strategy", isDown: !sweep.lowest}, limit = STEP;

  const sort = () => {
    const {value} = all.find(each => each.name === order.name), sign = order.isDown ? -1 : 1;
    const keys = new Map(found.map(row => [row, value(row)]));
    found.sort((one, other) => {
      const a = keys.get(one), b = keys.get(other);
      if (a === null || b === null) return (a === null) - (b === null) || one - other;
      return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))) || one - other;
    });
  };
  const cell = (column, row) => {
    const text = column.text(row), made = document.createElement(column.name === "strategy" ? "th" : "td");
    if (column.name === "strategy") made.scope = "row";
    made.textContent = text;
    made.className = column.isError || text.length > 24 && column.isName ? "name long" : column.isName ? "name" : "";
    if (column.isSigned && /[1-9]/.test(text)) made.className = text.startsWith("-") ? "down" : "up";
    if (column.exact && column.exact(row) !== text) made.title = column.exact(row);
    return made;
  };
  const markOrder = () => table.querySelectorAll("thead th").forEach((head, at) => {
    if (columns[at].name === order.name) head.setAttribute("aria-sort", order.isDown ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  const showHeads = () => {
    const kept = all.filter(each => !each.isParameter || found.some(row => each.value(row) !== null));
    if (kept.length === columns.length && kept.every((each, at) => each === columns[at])) return;
    columns = kept;
    const row = document.createElement("tr");
    row.append(...columns.map(column => {
      const head = document.createElement("th"), button = document.createElement("button");
      head.scope = "col";
      head.className = column.isName ? "name" : "";
      button.type = "button";
      button.textContent = column.name;
      button.addEventListener("click", () => {
        order = {name: column.name, isDown: order.name === column.name ? !order.isDown : !column.isName};
        limit = STEP;
        sort();
        show();
      });
      head.append(button);
      return head;
    }));
    table.tHead.replaceChildren(row);
  };
  const show = () => {
    showHeads();
    markOrder();
    const shown = found.slice(0, limit);
    table.tBodies[0].replaceChildren(...shown.map(row => {
      const made = document.createElement("tr");
      made.append(...columns.map(column => cell(column, row)));
      return made;
    }));
    const text = number => number.toLocaleString("en"), total = sweep.errors.length;
    element("shown").textContent = `${text(shown.length)} of ${sets(found.length)} shown` +
      (found.length < total ? `; the filter leaves out ${text(total - found.length)}.` : ".");
    element("more").textContent = `Show ${Math.min(STEP, found.length - shown.length)} more`;
    element("more").hidden = shown.length === found.length;
  };
  const filter = () => {
    let tests;
    try {
      tests = conditions(box.value);
    } catch (error) {
      element("filter-error").textContent = error.message;
      box.setAttribute("aria-invalid", "true");
      return;
    }
    element("filter-error").textContent = "";
    box.removeAttribute("aria-invalid");
    limit = STEP;
    found = sweep.errors.map((_, row) => row).filter(row => tests.every(test => test(row)));
    sort();
    show();
  };
  box.addEventListener("input", filter);
  element("finding").addEventListener("submit", event => event.preventDefault());
  element("more").addEventListener("click", () => { limit += STEP; show(); });
  filter();
}
