// Shows the pictures that the board streams. Every board, task and service has one element that lives as long as it does, so
// that a task that gets another board is seen to move, and a page that stays open for a week does not grow.
import { languages, words } from "./words.js";

const eventsMax = 50;
const silentMax = 25_000; // ms without a sign of life until the stream is opened anew
const retryAfter = 3_000; // ms

const $ = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");

let language = languages.includes(saved()) ? saved() : document.documentElement.lang;
let picture = null;
const events = []; // newest first: when, and the words of it

function saved() {
  try { return localStorage.getItem("language"); } catch { return null; }
}

const word = () => words[language];

// set writes a text only where it changes: a screen reader does not repeat itself, a selection stays.
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// inWords is a sentence of a picture in the language of the page, and the language that it is in: words of an engine or of a
// file stay as they are.
function inWords(sentence, shown) {
  const own = shown.sentences?.[sentence]?.[language];
  return own ? { text: own, lang: language } : { text: sentence || "", lang: "en" };
}

function say(element, sentence) {
  const { text, lang } = inWords(sentence, picture);
  set(element, text);
  element.lang = lang;
}

function make(tag, className, ...children) {
  const e = document.createElement(tag);
  e.className = className;
  e.append(...children);
  return e;
}

// keyed makes the children of a list those of items, in their order, and keeps the elements of those that were there.
function keyed(list, items, key, create, update) {
  list.had ??= new Map();
  const now = new Map();
  for (const item of items) {
    let k = key(item);
    while (now.has(k)) k += "'";
    const e = list.had.get(k) || create(item);
    update(e, item);
    now.set(k, e);
  }
  for (const [k, e] of list.had) if (!now.has(k)) e.remove();
  let at = list.firstElementChild;
  for (const e of now.values()) {
    if (e === at) at = at.nextElementSibling;
    else list.insertBefore(e, at);
  }
  list.had = now;
}

const boardKey = (b) => b.node || b.serial || b.name;
const link = (b) => {
  const a = b.addresses[0];
  return a && `http://${a.includes(":") ? `[${a}]` : a}${location.port && ":" + location.port}/`;
};

function newBoard() {
  const e = make("li", "board");
  e.parts = {
    name: make("a", ""), state: make("span", "badge state"), role: make("span", "badge"), drained: make("span", "badge"),
    model: make("p", "facts model"), address: make("p", "facts"), why: make("p", "why"), tasks: make("ul", "tasks"),
  };
  const p = e.parts;
  e.append(make("h3", "", p.name), make("div", "badges", p.state, p.role, p.drained), p.model, p.address, p.why, p.tasks);
  return e;
}

function showBoard(e, b) {
  const p = e.parts, w = word(), self = b.serial && b.serial === picture.self;
  e.className = `board ${b.state}${self ? " self" : ""}`;
  set(p.name, b.name);
  const to = link(b);
  if (to && !self && b.state !== "down") { p.name.href = to; p.name.title = w.open; } else { p.name.removeAttribute("href"); p.name.removeAttribute("title"); }
  p.name.parentElement.dataset.self = w.self;
  set(p.state, w.state[b.state]);
  set(p.role, w.role[b.role] || "");
  p.role.hidden = !b.role;
  set(p.drained, w.drained);
  p.drained.hidden = !b.drained;
  set(p.model, (b.model === "unknown" ? "" : b.model || "").replace(/ Rev .*/, ""));
  set(p.address, b.addresses[0] || "");
  say(p.why, b.why);
  p.why.hidden = !b.why;
}

// tasks lists the tasks of the swarm. One that starts elsewhere in the place of another is the same to people.
function tasksOf(p) {
  const all = new Map();
  for (const s of p.services) {
    for (const t of s.tasks) {
      const name = t.slot ? `${s.name}.${t.slot}` : s.name;
      all.set(`${s.name}/${t.slot || t.node}`, { ...t, name, service: s.name, global: !t.slot });
    }
  }
  return all;
}

const chips = new Map();

function showTasks() {
  const before = new Map([...chips].map(([k, e]) => [k, e.getBoundingClientRect()]));
  const homes = new Map();
  for (const [i, b] of picture.boards.entries()) if (b.node) homes.set(b.node, $("boards").children[i].parts.tasks);
  const all = tasksOf(picture);
  for (const [k, e] of chips) if (!all.has(k)) { e.remove(); chips.delete(k); }
  const names = picture.services.map((s) => s.name);
  for (const [k, t] of all) {
    let e = chips.get(k);
    if (!e) chips.set(k, (e = make("li", "task", make("span", ""), make("small", ""))));
    e.className = t.state === "running" ? "task" : "task pending";
    e.style.setProperty("--hue", (205 + names.indexOf(t.service) * 137.5) % 360);
    set(e.firstChild, t.name);
    set(e.lastChild, t.state === "running" ? "" : ` ${t.state}`);
    const home = homes.get(t.node) || $("homeless");
    if (e.parentElement !== home) home.append(e);
  }
  $("waiting").hidden = !$("homeless").childElementCount;
  if (still.matches || document.hidden) return;
  for (const [k, e] of chips) {
    const was = before.get(k), is = e.getBoundingClientRect();
    if (!was) e.animate({ opacity: [0, 1] }, 600);
    else if (was.x !== is.x || was.y !== is.y) {
      e.animate({ transform: [`translate(${was.x - is.x}px, ${was.y - is.y}px)`, "none"] }, { duration: 900, easing: "ease-in-out" });
    }
  }
}

// compare tells what is new in a picture. Each is a function, for the language may be changed later.
function compare(old, now) {
  const news = [];
  const was = new Map(old.boards.map((b) => [boardKey(b), b]));
  const is = new Map(now.boards.map((b) => [boardKey(b), b]));
  const known = (list, b) => list.some((o) => b.serial && o.serial === b.serial);
  for (const [k, b] of is) {
    const o = was.get(k) || old.boards.find((o) => b.serial && o.serial === b.serial);
    if (!o) news.push((w) => w.came(b.name));
    else if (o.state !== b.state) news.push((w) => w.became(b.name, w.states[b.state]));
    else if (b.role && o.role !== b.role) news.push((w) => w.rose(b.name, w.roles[b.role]));
  }
  for (const [k, b] of was) if (!is.has(k) && !known(now.boards, b)) news.push((w) => w.went(b.name));
  if (!old.source || !now.source) return news; // without a manager the services are not known
  for (const s of now.services) if (!old.services.some((o) => o.name === s.name)) news.push((w) => w.added(s.name));
  for (const s of old.services) if (!now.services.some((n) => n.name === s.name)) news.push((w) => w.removed(s.name));
  for (const [k, t] of tasksOf(now)) {
    const from = places.get(k);
    if (!t.board || from === t.board) continue;
    news.push(from ? (w) => w.moved(t.name, from, t.board) : (w) => w.started(t.name, t.board));
  }
  return news;
}

// places is the board that each task was last on: one that moves may be on none for a while.
const places = new Map();

function place(p) {
  if (!p.source) return; // without a manager the tasks are not known
  const all = tasksOf(p);
  for (const k of places.keys()) if (!all.has(k)) places.delete(k);
  for (const [k, t] of all) if (t.board) places.set(k, t.board);
}

function showEvents() {
  keyed($("events"), events, (e) => e.id, () => make("li", "", make("time", ""), make("span", "")), (e, item) => {
    e.firstChild.dateTime = item.at.toISOString();
    set(e.firstChild, item.at.toLocaleTimeString(language));
    set(e.lastChild, item.words(word()));
  });
  $("no-events").hidden = events.length > 0;
}

// gist is a warning without its numbers: one that lasts is no news every minute.
const gist = (warning) => warning.text.replace(/\d+/g, "");

let counted = 0;

function show(next) {
  const old = picture;
  picture = next;
  if (old) {
    const news = compare(old, next);
    for (const words of news) events.unshift({ id: String(counted++), at: new Date(), words });
    events.splice(eventsMax);
    const known = new Set(old.warnings.map(gist));
    const spoken = news.slice(0, 3).map((n) => n(word()));
    for (const x of next.warnings) if (!known.has(gist(x))) spoken.push(inWords(x.text, next).text);
    if (spoken.length) set($("spoken"), spoken.slice(0, 5).join(" "));
  }
  place(next);
  render();
}

function render() {
  const w = word();
  document.documentElement.lang = language;
  for (const e of document.querySelectorAll("[data-word]")) set(e, w[e.dataset.word]);
  set($("language"), w.other);
  $("language").lang = languages.find((l) => l !== language);
  showLife();
  showEvents();
  if (!picture) return;
  const p = picture, ready = p.boards.filter((b) => b.state === "ready" || b.state === "in").length;
  set($("cluster"), w.cluster(p.cluster));
  set($("headline"), w.headline(ready, p.boards.length));
  document.title = `${ready}/${p.boards.length} · ${p.cluster}`;
  set($("swarm"), [p.swarm ? p.source && w.managers(p.swarm.managers_reachable, p.swarm.managers) : w.noSwarm, w.keyed(p.keyed)].filter(Boolean).join(" · "));
  keyed($("warnings"), p.warnings, (x) => x.text, () => make("li", "", make("b", ""), make("span", ""), make("span", "remedy")), (e, x) => {
    e.className = x.trouble ? "trouble" : "";
    set(e.children[0], (x.trouble ? "▲ " : "● ") + (x.trouble ? w.trouble : w.note));
    say(e.children[1], x.text);
    say(e.children[2], x.remedy);
    e.children[2].hidden = !x.remedy;
  });
  $("know").hidden = !p.warnings.length;
  document.body.className = p.boards.length > 12 ? "many" : "";
  keyed($("boards"), p.boards, boardKey, newBoard, showBoard);
  showTasks();
  keyed($("services"), p.services, (s) => s.name, () => make("li", "", make("div", "name", make("span", ""), make("span", "")), make("div", "image")), (e, s) => {
    const [name, count] = e.firstChild.children;
    set(name, s.name);
    set(count, (s.job || s.running >= s.wanted ? "● " : "▲ ") + w.tasks(s.running, s.wanted));
    set(e.lastChild, s.image);
  });
  $("no-services").hidden = p.services.length > 0;
  keyed($("nearby"), p.nearby, (n) => n.serial, () => make("li", "", make("b", ""), " ", make("span", "")), (e, n) => {
    set(e.firstChild, "pi-" + n.serial.slice(-6));
    say(e.lastChild, n.why);
  });
  $("near").hidden = !p.nearby.length;
  set($("source"), w.source(nameOf(p.self), p.source));
}

const nameOf = (serial) => picture?.boards.find((b) => b.serial === serial)?.name || location.hostname;

// The stream. A board whose plug is pulled says no goodbye, so silence counts as one.
let stream, heard = Date.now(), alive = false;

function open() {
  stream?.close();
  stream = new EventSource("events");
  heard = Date.now();
  stream.addEventListener("picture", (e) => { live(); show(JSON.parse(e.data)); });
  stream.addEventListener("beat", live);
  stream.onerror = () => {
    alive = false;
    showLife();
    if (stream.readyState === EventSource.CLOSED) heard = Date.now() - silentMax + retryAfter; // it would not try again
  };
}

function live() {
  heard = Date.now();
  if (alive) return;
  alive = true;
  showLife();
}

let lost; // whether the board has been away for long enough to say so

function showLife() {
  const w = word();
  set($("live"), alive ? w.live : w.connecting);
  if (alive) lost = false;
  $("lost").hidden = !lost;
  if (!lost) return;
  const others = picture.boards.filter((b) => b.serial !== picture.self && b.state !== "down" && link(b));
  $("lost").replaceChildren(w.lost(nameOf(picture.self)), ...others.slice(0, 8).flatMap((b) => {
    const a = make("a", "");
    a.href = link(b);
    a.textContent = b.name;
    return [" ", a];
  }));
}

setInterval(() => {
  if (Date.now() - heard < silentMax) return;
  alive = false;
  if (picture && !lost) { lost = true; showLife(); }
  open();
}, 1_000);

$("language").addEventListener("click", () => {
  language = languages.find((l) => l !== language);
  try { localStorage.setItem("language", language); } catch { /* it lasts as long as the page */ }
  render();
});

render();
open();
