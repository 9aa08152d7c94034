// The charts of a sweep: one figure by two parameters, and all parameters as parallel coordinates.
const sweep = JSON.parse(document.getElementById("sweep").textContent);
const MAX_GRID_VALUES = 30, MAX_CELL_TEXTS = 150, NOT_SET = "not set";
const element = id => document.getElementById(id);
const columnNamed = name => sweep.columns.find(column => column.name === name);
// Plotly reads a few tags in texts.
const plain = text => text.replace(/[&<>]/g, sign => ({"&": "&amp;", "<": "&lt;", ">": "&gt;"})[sign]);
const cut = (text, length) => text.length > length ? text.slice(0, length - 1) + "…" : text;
const written = new Map(sweep.columns.map(column => [column.name, new Intl.NumberFormat("en", {
  style: column.is_share ? "percent" : "decimal",
  minimumFractionDigits: column.decimals, maximumFractionDigits: column.decimals, signDisplay: "negative",
})]));
const figureText = (column, value) => value === null ? "-" : written.get(column.name).format(value);
// A parameter's value, shortened where a search drew it with many digits.
const valueText = (parameter, at) => {
  if (at < 0) return NOT_SET;
  const text = parameter.texts[at];
  return parameter.numbers && text.length > 9 ? String(+parameter.numbers[at].toPrecision(6)) : text;
};
const isVaried = parameter => new Set(parameter.at).size > 1;
// Whether sorted numbers are spread as by a logarithm: over two decades, and most of them far below the highest.
const isWide = numbers => {
  const high = numbers[numbers.length - 1];
  return numbers[0] > 0 && high >= 100 * numbers[0] && numbers[numbers.length >> 1] < high / 5;
};
const sets = count => count === 1 ? "1 set" : `${count.toLocaleString("en")} sets`;

const chosen = () => {
  const strategy = sweep.strategies[element("strategy").value];
  const column = columnNamed(element("column").value);
  // Places in the strategy's own rows of the sets that have the figure.
  const used = strategy.rows.map((row, at) => at).filter(at =>
    column.values[strategy.rows[at]] !== null && sweep.errors[strategy.rows[at]] === null);
  return {
    strategy, column, used, others: element("others").value,
    figure: at => column.values[strategy.rows[at]],
    across: strategy.parameters[element("across").value], up: strategy.parameters[element("up").value],
  };
};

const combined = (places, {figure, strategy, others}) => {
  const values = places.map(figure);
  if (others === "mean") return values.reduce((sum, value) => sum + value, 0) / values.length;
  if (others === "median") {
    values.sort((a, b) => a - b);
    return (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2;
  }
  const objective = columnNamed(sweep.objective), sign = sweep.lowest ? -1 : 1;
  const score = at => sign * (objective?.values[strategy.rows[at]] ?? -sign * Infinity);
  return figure(places.reduce((one, other) => score(other) > score(one) ? other : one));
};

const LOSS_TO_GAIN = [[0, "#b5460f"], [0.5, "#dfe2e6"], [1, "#0b6fb3"]];
// Colours around zero where there is loss and gain; else from low to high.
const scale = values => {
  const low = Math.min(...values), high = Math.max(...values);
  if (!(low < 0 && high > 0)) return {colorscale: "Viridis", low, high};
  const most = Math.max(-low, high);
  return {colorscale: LOSS_TO_GAIN, low: -most, high: most};
};
const isNarrow = () => document.body.clientWidth < 600;
const format = column => column.is_share ? ".0%" : ",~f";
const bar = column => ({
  title: {text: `${plain(column.name)}, in-sample`, side: isNarrow() ? "top" : "right"}, thickness: 14, outlinewidth: 0,
  tickformat: format(column), ...(isNarrow() ? {orientation: "h", y: 1.02, yanchor: "bottom", len: 1} : {}),
});

const axis = (parameter, as) => {
  const about = {...sweep.axis, title: {text: plain(cut(parameter.name, 40))}, automargin: true, fixedrange: true};
  if (as === "grid" || !parameter.numbers) {
    const texts = parameter.texts.map((_, at) => cut(valueText(parameter, at), 24));
    if (parameter.at.includes(-1)) texts.push(NOT_SET);
    return {...about, type: "linear", showgrid: false, tickmode: "array",
      tickvals: texts.map((_, at) => at), ticktext: texts.map(plain), range: [-0.5, texts.length - 0.5]};
  }
  return {...about, ...(isWide(parameter.numbers) ? {type: "log", dtick: 1, tickformat: "~g"} : {type: "linear"})};
};
// Where a set stands on such an axis; null: nowhere.
const place = (parameter, at, as) => {
  const value = parameter.at[at];
  if (as === "grid" || !parameter.numbers) return value < 0 ? parameter.texts.length : value;
  return value < 0 ? null : parameter.numbers[value];
};
const about = (choice, at) => {
  const values = choice.strategy.parameters.map(each => `${plain(each.name)}=${plain(cut(valueText(each, each.at[at]), 40))}`);
  return `${values.join("<br>")}<br><b>${plain(choice.column.name)} ${figureText(choice.column, choice.figure(at))}</b>, in-sample`;
};
const layout = changes => ({...sweep.layout, font: {...sweep.layout.font, color: inkColour()}, showlegend: false,
  margin: {l: 60, r: 10, t: 20, b: 50}, ...changes});

const grouped = (choice, key) => {
  const cells = new Map();
  for (const at of choice.used) {
    const name = key(at);
    if (!cells.has(name)) cells.set(name, []);
    cells.get(name).push(at);
  }
  return cells;
};

const grid = choice => {
  const {across, up, column} = choice, size = parameter => parameter.texts.length + parameter.at.includes(-1);
  const cells = grouped(choice, at => `${place(across, at, "grid")} ${place(up, at, "grid")}`);
  const names = [...Array(size(up)).keys()].map(y => [...Array(size(across)).keys()].map(x => `${x} ${y}`));
  const z = names.map(row => row.map(name => cells.has(name) ? combined(cells.get(name), choice) : null));
  const text = z.map(row => row.map(value => value === null ? "" : figureText(column, value)));
  const counts = names.map(row => row.map(name => sets(cells.get(name)?.length ?? 0)));
  const {colorscale, low, high} = scale(z.flat().filter(value => value !== null));
  const longest = Math.max(...text.flat().map(each => each.length));
  const fits = size(across) * size(up) <= MAX_CELL_TEXTS &&
    size(across) * longest * 7.5 < element("map").clientWidth - (isNarrow() ? 80 : 190);
  const most = Math.max(...[...cells.values()].map(each => each.length));
  const how = {mean: "the mean of its sets", median: "the median of its sets",
    best: `the figure of its set with the best ${sweep.objective}`}[choice.others];
  return {
    data: [{type: "heatmap", z, text, customdata: counts, colorscale, zmin: low, zmax: high, xgap: 2, ygap: 2,
      texttemplate: fits ? "%{text}" : "", textfont: {size: 13}, hoverongaps: false, colorbar: bar(column),
      hovertemplate: `${plain(across.name)} %{x}, ${plain(up.name)} %{y}<br><b>${plain(column.name)} %{text}</b>, in-sample<br>%{customdata}<extra></extra>`}],
    layout: layout({xaxis: axis(across, "grid"), yaxis: axis(up, "grid")}),
    note: `${column.name} of ${sets(choice.used.length)}, in-sample. ` +
      (most > 1 ? `A cell has up to ${sets(most)}, which differ in the other parameters; it shows ${how}. ` : "A cell is one set. ") +
      "Blank: no such set, or it failed.",
  };
};

const scatter = choice => {
  const {across, up, column} = choice;
  const shown = choice.used.filter(at => place(across, at) !== null && place(up, at) !== null);
  const values = shown.map(choice.figure), {colorscale, low, high} = scale(values);
  const hidden = choice.used.length - shown.length;
  return {
    data: [{type: "scatter", mode: "markers", x: shown.map(at => place(across, at)), y: shown.map(at => place(up, at)),
      text: shown.map(at => about(choice, at)), hovertemplate: "%{text}<extra></extra>",
      marker: {color: values, colorscale, cmin: low, cmax: high, size: shown.length > 1000 ? 6 : 10, showscale: true,
        colorbar: bar(column), line: {color: "rgba(128,136,144,0.6)", width: 0.6}}}],
    layout: layout({xaxis: axis(across), yaxis: axis(up)}),
    note: `${column.name} of ${sets(shown.length)}, in-sample: each point is a set, as there are more than ${MAX_GRID_VALUES} values.` +
      (hidden ? ` ${sets(hidden)} without these parameters not shown.` : ""),
  };
};

// One parameter: the figure itself goes up.
const single = choice => {
  const {across, column} = choice, shown = choice.used.filter(at => place(across, at) !== null);
  const cells = [...grouped({...choice, used: shown}, at => place(across, at))].sort(([one], [other]) => one - other);
  const isLine = cells.length <= MAX_GRID_VALUES;
  const points = {type: "scatter", mode: "markers", x: shown.map(at => place(across, at)), y: shown.map(choice.figure),
    text: shown.map(at => about(choice, at)), hovertemplate: "%{text}<extra></extra>",
    marker: {color: "#2f86c5", size: 9, opacity: 0.75}};
  const line = {type: "scatter", mode: "lines", x: cells.map(([x]) => x), hoverinfo: "skip",
    y: cells.map(([, places]) => combined(places, choice)), line: {color: "#d55e00", width: 2}};
  return {
    data: isLine ? [line, points] : [points],
    layout: layout({xaxis: axis(across), yaxis: {...sweep.axis, automargin: true, fixedrange: true,
      title: {text: `${plain(column.name)}, in-sample`}, tickformat: format(column)}}),
    note: `${column.name} of ${sets(shown.length)}, in-sample: each point is a set` +
      (isLine && cells.length < shown.length ? `, the line is ${choice.others === "best" ? `the set with the best ${sweep.objective}` : `the ${choice.others}`} of each value.` : "."),
  };
};

const drawMap = choice => {
  const {across, up, used} = choice, isDrawn = across && used.length > 0;
  element("map").hidden = !isDrawn;
  if (!isDrawn) {
    element("map-note").textContent = across ? "No set has this figure." : "All sets of this strategy have the same parameters.";
    return;
  }
  const isMany = parameter => parameter.texts.length > MAX_GRID_VALUES;
  const made = !up ? single(choice) : isMany(across) || isMany(up) ? scatter(choice) : grid(choice);
  element("others").disabled = Boolean(up) && (isMany(across) || isMany(up));
  element("map-note").textContent = made.note;
  Plotly.react("map", made.data, made.layout, sweep.config);
};

const hasWebGl = Boolean(document.createElement("canvas").getContext("webgl"));
const MAX_STEPS = 12;
// An axis: few values, and those that are no numbers, stand in equal steps; those of a search where they belong.
const dimension = (parameter, used) => {
  const isStepped = !parameter.numbers || parameter.numbers.length <= MAX_STEPS, isLog = !isStepped && isWide(parameter.numbers);
  const places = isStepped ? parameter.texts.map((_, at) => at) : parameter.numbers.map(isLog ? Math.log10 : Number);
  const low = places[0], high = places[places.length - 1], step = isStepped ? 1 : (high - low) / 6;
  const isMissing = used.some(at => parameter.at[at] < 0);
  const ticks = isMissing ? [[low - step, NOT_SET]] : [];
  if (isStepped) {
    const every = Math.ceil(places.length / 25);
    places.forEach(at => at % every || ticks.push([at, plain(cut(valueText(parameter, at), 16))]));
  } else if (isLog) {
    for (let power = Math.ceil(low); power <= high; power++) ticks.push([power, String(+`1e${power}`)]);
  } else {
    for (let count = 0; count <= 6; count++) ticks.push([low + count * step, String(+(low + count * step).toPrecision(3))]);
  }
  return {
    label: plain(cut(parameter.name, 22)), values: used.map(at => parameter.at[at] < 0 ? low - step : places[parameter.at[at]]),
    tickvals: ticks.map(([at]) => at), ticktext: ticks.map(([, text]) => text),
  };
};

const drawParallel = choice => {
  const varied = choice.strategy.parameters.filter(isVaried), {column, used} = choice;
  const isDrawn = varied.length > 0 && used.length > 0;
  element("parallel-part").hidden = !isDrawn;
  if (!isDrawn) return;
  if (!hasWebGl) {
    element("parallel").hidden = true;
    element("parallel-note").textContent = "Parallel coordinates need WebGL, which this browser does not offer.";
    return;
  }
  const values = used.map(choice.figure), {colorscale, low, high} = scale(values);
  const last = {label: `${plain(column.name)}, in-sample`, values, tickformat: format(column)};
  element("parallel").style.minWidth = `${(varied.length + 1) * 120 + 120}px`;
  Plotly.react("parallel", [{type: "parcoords", dimensions: [...varied.map(each => dimension(each, used)), last],
    line: {color: values, colorscale, cmin: low, cmax: high}, labelfont: {size: 13}, tickfont: {size: 12},
    rangefont: {color: "rgba(0,0,0,0)"},
    unselected: {line: {color: "#808890", opacity: 0.12}}}],
    layout({margin: {l: 80, r: 80, t: 40, b: 20}, paper_bgcolor: getComputedStyle(document.body).backgroundColor}), sweep.config);
};

const fill = (select, options, value) => {
  select.replaceChildren(...options.map(([key, text]) => new Option(text, key)));
  select.value = value;
};
const fillParameters = () => {
  const {parameters} = sweep.strategies[element("strategy").value];
  const varied = parameters.map((parameter, at) => [at, parameter]).filter(([, parameter]) => isVaried(parameter));
  const options = varied.map(([at, parameter]) => [at, parameter.name]);
  fill(element("across"), options, options[0]?.[0] ?? "");
  fill(element("up"), [["", "(the figure)"], ...options], options[1]?.[0] ?? "");
};
let waiting;
const draw = () => {
  const choice = chosen();
  drawMap(choice.up === choice.across ? {...choice, up: undefined} : choice);
  // Thousands of lines take a moment where no graphics card draws them: what else there is comes first.
  clearTimeout(waiting);
  waiting = setTimeout(drawParallel, 20, choice);
};

if (sweep.columns.length) {
  fill(element("strategy"), sweep.strategies.map((strategy, at) => [at, strategy.name]), 0);
  fill(element("column"), sweep.columns.map(({name}) => [name, name]), sweep.columns[0].name);
  fill(element("others"), [["mean", "mean"], ["median", "median"], ["best", `of the best ${sweep.objective}`]], "mean");
  fillParameters();
  element("choices").addEventListener("change", event => {
    if (event.target.id === "strategy") fillParameters();
    draw();
  });
  // Some of their colours don't follow by themselves.
  dark.addEventListener("change", draw);
  draw();
} else {
  for (const id of ["choices", "map", "parallel-part"]) element(id).hidden = true;
  element("map-note").textContent = "No set has a figure.";
}
