// The console: signs in, keeps the sentence at the top, and shows the view that the address names.

import { Problem, ask, events, keep, play, sign_out, token } from "./api.js";
import { view as audit } from "./audit.js";
import { el, prose, show, tell } from "./dom.js";
import { begin, changed, facts, forget } from "./facts.js";
import { listen } from "./live.js";
import { list as merchants, one as merchant } from "./merchants.js";
import { view as overview } from "./overview.js";
import { view as plugins } from "./plugins.js";
import { view as search } from "./search.js";
import { sentences } from "./sentence.js";
import { view as story } from "./story.js";
import { view as undelivered } from "./undelivered.js";

const NAME = "paynotify";
const VIEWS = [
  ["", "Overview", overview], ["notifications", "Notifications", search, story], ["merchants", "Merchants", merchants, merchant],
  ["undelivered", "Undelivered", undelivered], ["plugins", "Plugins", plugins], ["audit", "Audit", audit],
];
const main = document.getElementById("main"), nav = document.getElementById("nav"), session = document.getElementById("session");
const needs_token = document.documentElement.dataset.signIn === "needed";

let tasks = [], leave = () => {}, view = null, headline = null, told_matter = "", title = "";

/** What the address names: a view, whose, and its parameters. */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, of] = path.split("/");
  const found = VIEWS.find(([first]) => first === name) ?? VIEWS[0];
  return { found, of: of && found[3] ? decoded(of) : null, parameters: new URLSearchParams(query) };
}

/** What was typed need not be an encoding of anything. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function draw_headline() {
  if (!headline) return;
  const said = sentences(facts);
  if (said.length === 0) return;
  const [{ level, text, detail, href }, ...rest] = said;
  const line = (one) => (one.href ? el("a", { href: one.href }, one.text) : one.text);
  const first = el("p", { class: `sentence ${level}` }, line({ text, href }));
  const more = rest.length ? el("ul", { class: "more-sentences" }, rest.map((one) => el("li", { class: one.level }, line(one)))) : null;
  show(headline, first, detail ? el("p", { class: "detail" }, detail) : null, more);
  // Whoever listens is told when something else is the matter, and not each time that a number changes.
  const matter = said.map((one) => `${one.level}${one.href ?? ""}`).join();
  if (matter !== told_matter) tell(text);
  told_matter = matter;
  const matters = level === "well" || level === "note" ? 0 : said.filter((one) => one.level !== "note").length;
  document.title = `${matters ? `(${matters}) ` : ""}${title} · ${NAME}`;
  main.classList.toggle("stale", facts.away !== null);
}

function draw_nav(name) {
  show(nav, VIEWS.map(([path, words]) => el("a", { href: `#/${path}`, "aria-current": path === name ? "page" : null }, words)));
}

function go(by_hand) {
  leave();
  const { found: [name, words, whole, one], of, parameters } = place();
  title = of ?? words;
  draw_nav(name);
  nav.querySelector("[aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
  view = el("div", { class: "view" });
  headline.className = name === "" ? "" : "brief";
  main.replaceChildren(headline, view);
  leave = of === null ? whole(view, parameters) : one(view, of);
  draw_headline();
  if (!by_hand) return;
  window.scrollTo(0, 0);
  view.querySelector("h1")?.focus({ preventScroll: true });
}

function draw_session({ name, role }) {
  const says = needs_token ? `${name} · ${role === "operate" ? "may operate" : "may look"}` : "no token needed";
  show(session, el("span", { class: "soft" }, says), needs_token ? el("button", { type: "button", class: "quiet", id: "sign-out", click: () => sign_out() }, "Sign out") : null);
}

function enter(who) {
  play(who.role);
  headline = el("section", { id: "headline", "aria-label": "What is wrong" }, el("p", { class: "sentence note" }, "…"));
  nav.hidden = session.hidden = false;
  draw_session(who);
  changed.addEventListener("facts", draw_headline);
  tasks = [begin(), listen()];
  go(false);
}

function ask_for_token(reason) {
  tasks.forEach((task) => task.end());
  leave();
  tasks = [];
  [leave, headline] = [() => {}, null];
  changed.removeEventListener("facts", draw_headline);
  forget();
  nav.hidden = session.hidden = true;
  document.title = NAME;
  const wrong = el("p", { class: "wrong", id: "sign-in-wrong", role: "alert" }, reason);
  const field = el("input", { id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false", "aria-describedby": "sign-in-wrong sign-in-what" });
  const button = el("button", { type: "submit", class: "main" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return field.focus();
    button.disabled = true;
    show(wrong, "");
    try {
      const who = await ask("/v1/token", { with_token: text });
      keep(text);
      tell(`Signed in as ${who.name}.`);
      enter(who);
      view.querySelector("h1")?.focus({ preventScroll: true });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const says = { 401: "This token is not known here.", 403: "This token is for something else: the console takes one with the role `read` or `operate`." };
      show(wrong, says[error.status] ?? `${error.message}.`);
      field.select();
      field.focus();
    } finally {
      button.disabled = false;
    }
  };
  main.replaceChildren(el("form", { class: "sign-in", submit },
    el("h1", { tabindex: -1 }, "Sign in"),
    el("label", { for: "token" }, "Token"), field, wrong, button,
    el("p", { class: "soft", id: "sign-in-what" }, prose("One with the role `read` looks, one with `operate` also changes what runs. `paynotify token new` makes them. It is kept for this tab alone."))));
  field.focus();
}

/** The slash leads to the search from everywhere, unless somebody writes. */
function slash(event) {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !headline) return;
  if (event.target.closest("input, select, textarea, dialog")) return;
  event.preventDefault();
  const field = () => document.getElementById("what");
  if (!field()) {
    history.pushState(null, "", "#/notifications");
    go(true);
  }
  field()?.focus();
}

async function start() {
  document.addEventListener("keydown", slash);
  document.querySelector(".skip").addEventListener("click", (event) => {
    // The address is a view's, and stays so.
    event.preventDefault();
    main.focus();
  });
  events.addEventListener("signed-out", ({ detail }) => ask_for_token(detail));
  window.addEventListener("hashchange", () => { if (headline) go(true); });
  if (needs_token && !token()) return ask_for_token("");
  try {
    enter(await ask("/v1/token"));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // What the gateway refuses has been forgotten by now, and what it refuses for another reason is no reason to sign out.
    if (error.status === 403) sign_out(`${error.message}.`);
    else if (!headline && (token() || !needs_token)) enter({ name: "", role: "" });
  }
}

void start();
