// The page: what comes in goes into the state, and the state is drawn. Only operators, who sign in, change anything.

import { Chart } from "./chart.js";
import { connect } from "./connection.js";
import { at, make, say } from "./dom.js";
import { clock } from "./format.js";
import { Api } from "./operators/api.js";
import { Letters } from "./operators/letters.js";
import { ALL, Operate } from "./operators/operate.js";
import { SignIn } from "./operators/sign_in.js";
import { drawPaper } from "./paper.js";
import { SignalDrawer } from "./signal.js";
import { Signals } from "./signals.js";
import { State } from "./state.js";
import { drawProblems, drawStatus } from "./status.js";
import { Strategies } from "./strategies.js";
import { Symbols } from "./symbols.js";

const state = new State();
const openSignal = (/** @type {string} */ id) => signal.open(id);
const chart = new Chart(state, openSignal);
const signals = new Signals(state, openSignal);
const symbols = new Symbols(state, (name) => chart.choose(name));
const api = new Api((problem) => sign_in.draw(problem));
const sign_in = new SignIn(api);
const signal = new SignalDrawer(api, state);
const operate = new Operate(api, state);
const letters = new Letters(api);
const strategies = new Strategies(state, (name) => operate.open(name));
at("operate-all").addEventListener("click", () => operate.open(ALL));

function draw() {
  symbols.draw();
  chart.draw();
  strategies.draw();
  letters.draw(state.now.deadletters?.[0] ?? null);
  drawStatus(state);
}

connect(
  {
    hello(told) {
      const is_first = !state.now;
      state.hello(told);
      drawAbout();
      signals.draw();
      drawPaper(state);
      draw();
      if (is_first) signal.openLinked();
      else chart.reload();
    },
    tick(told) {
      state.tick(told);
      draw();
    },
    signals: (told) => signals.add(state.add(told)),
    returns: (told) => (state.returns = told),
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
  const { namespace, links, started_ms, has_api } = state.about;
  say(at("namespace"), namespace);
  at("sign").hidden = !has_api;
  if (!has_api && api.signed_in) api.signOut();
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
