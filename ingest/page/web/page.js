// The page: what comes in goes into the state, and the state is drawn. Nothing is ever sent.

import { Chart } from "./chart.js";
import { connect } from "./connection.js";
import { at, make, say } from "./dom.js";
import { clock } from "./format.js";
import { drawPaper } from "./paper.js";
import { drawReturns } from "./returns.js";
import { Signals } from "./signals.js";
import { State } from "./state.js";
import { drawProblems, drawStatus } from "./status.js";
import { Symbols } from "./symbols.js";

const state = new State();
const chart = new Chart(state);
const signals = new Signals(state);
const symbols = new Symbols(state, (name) => chart.choose(name));

function draw() {
  symbols.draw();
  chart.draw();
  drawStatus(state);
}

connect(
  {
    hello(told) {
      state.hello(told);
      drawAbout();
      signals.draw();
      drawPaper(state);
      drawReturns(state);
      draw();
    },
    tick(told) {
      state.tick(told);
      draw();
    },
    signals: (told) => signals.add(state.add(told)),
    returns(told) {
      state.returns = told;
      drawReturns(state);
    },
    paper(told) {
      state.paper = told;
      drawPaper(state);
    },
  },
  onAway,
);

/** @param {number | null} since_ms */
function onAway(since_ms) {
  document.body.classList.toggle("stale", since_ms !== null);
  if (since_ms === null) return;
  const old = state.now ? ` The numbers are those of ${clock(since_ms)}.` : "";
  const says = `not connected since ${clock(since_ms)}. The page goes on by itself when ingest is back.${old}`;
  drawProblems([{ sign: "fault", what: "Page", says, do: "", name: "page" }]);
}

function drawAbout() {
  const { namespace, links, started_ms } = state.about;
  say(at("namespace"), namespace);
  say(at("since"), `Ingest runs since ${new Date(started_ms).toLocaleString("en-GB")}.`);
  const shown = Object.entries(links).filter(([, href]) => href);
  at("links").replaceChildren(...shown.map(([name, href]) => make("a", { href, rel: "noreferrer" }, name)));
}

// Light, dark, or as the system says.

const THEMES = ["system", "light", "dark"];
const root = document.documentElement;

function drawTheme() {
  say(at("theme"), `Theme: ${root.dataset.theme ?? "system"}`);
}

at("theme").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
  if (next === "system") delete root.dataset.theme;
  else root.dataset.theme = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // Not remembered, then.
  }
  drawTheme();
  chart.repaint();
});
drawTheme();
signals.draw();
