// What htmx does not do: keys, copying, the names of chosen files. Without JavaScript every page and action still works.
"use strict";

const root = document.documentElement;
root.classList.add("scripted");

const GO = { f: "/faxes", n: "/attention", m: "/mailings", a: "/accounts", u: "/usage", s: "/system" };
const KEYS = "faxline-keys"; // "off" in this browser turns the one-letter keys off (WCAG 2.1.4)
let gone = 0; // when g was pressed

const all = (what, within = document) => [...within.querySelectorAll(what)];
const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* for this page only */ } };
const rows = () => all("#main tbody tr, #main article.case").filter((row) => row.querySelector("a[href]"));

function move(by) {
  const every = rows();
  const here = every.findIndex((row) => row.contains(document.activeElement));
  const next = every[Math.min(Math.max(here + by, 0), every.length - 1)];
  next?.querySelector("a[href]").focus();
}

function tick(until) {
  const picks = all("#main .pick");
  const here = picks.findIndex((pick) => pick.closest("tr").contains(document.activeElement));
  if (here < 0) return;
  const last = until ? picks.findLastIndex((pick, i) => i < here && pick.checked) : here - 1;
  for (const pick of picks.slice(last + 1, here + 1)) {
    pick.checked = until || !pick.checked;
    pick.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

function countPicks() {
  const shown = document.getElementById("picked");
  if (shown) shown.textContent = `${all("#main .pick:checked").length} selected`;
}

function help() {
  const list = document.getElementById("keys");
  list?.togglePopover();
}

function close() {
  for (const open of all("#main details[open]")) open.open = false;
}

function pressed(event) {
  const where = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape") { close(); return; }
  if (where.matches("input, select, textarea, [contenteditable]") || kept(KEYS) === "off") return;
  const went = event.timeStamp - gone < 1500;
  gone = 0;
  const link = went && GO[event.key] && document.querySelector(`nav a[href="${GO[event.key]}"]`);
  const does = {
    "/": () => document.querySelector("input[type=search]")?.focus(),
    "j": () => move(1),
    "k": () => move(-1),
    "x": () => tick(false),
    "X": () => tick(true),
    "r": () => document.querySelector("[data-key=r]")?.click(),
    "c": () => document.querySelector("[data-key=c]")?.click(),
    "g": () => { gone = event.timeStamp; },
    "?": help,
  }[event.key];
  if (link) link.click();
  else if (does) does();
  else return;
  event.preventDefault();
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    const label = button.lastChild;
    if (label.nodeType !== Node.TEXT_NODE) { button.title = "Copied"; return; }
    const before = label.textContent;
    label.textContent = "Copied";
    setTimeout(() => { label.textContent = before; }, 2000);
  } catch { /* not over plain http; the line can be marked */ }
}

function showFiles(field) {
  const list = document.getElementById("chosen");
  if (!list) return;
  list.replaceChildren(...[...field.files].map((file) => {
    const item = document.createElement("li");
    item.textContent = `${file.name}, ${Math.ceil(file.size / 1000).toLocaleString("en")} kB`;
    return item;
  }));
}

// Without leaving the page: a plan would be gone, and what was typed.
async function choose(field) {
  const body = new URLSearchParams(new FormData(field.form));
  const answer = await fetch("/theme", { method: "POST", body, redirect: "manual" }).catch(() => null);
  if (answer?.type !== "opaqueredirect") return field.form.requestSubmit();
  if (field.value === "auto") delete root.dataset.theme;
  else root.dataset.theme = field.value;
}

let typed = 0; // the number of the last change, so that an answer to an earlier one is not shown
async function dial(form) {
  const turn = ++typed;
  const shown = document.getElementById("dialled");
  shown.replaceChildren(); // never a number beside one that is no longer typed
  await new Promise((then) => { setTimeout(then, 300); });
  if (turn !== typed) return;
  const body = new URLSearchParams(["form_token", "to", "region"].map((name) => [name, form.elements[name].value]));
  const answer = await fetch("/send/numbers", { method: "POST", body });
  const text = await answer.text();
  if (turn === typed && answer.ok && !answer.redirected) shown.outerHTML = text;
}

// What was said of a form holds until it is changed: of all of it, and of a field until one that it is about is.
function changeForm(field) {
  for (const said of all("#main [data-said]")) said.remove();
  for (const said of all(`[data-about~="${field.name}"]`, field.form)) {
    for (const about of said.dataset.about.split(" ")) field.form.elements[about].removeAttribute("aria-invalid");
    said.remove();
  }
}

document.addEventListener("keydown", pressed);
document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form?.enctype === "multipart/form-data") changeForm(event.target);
  if (form?.matches("[action='/send']") && ["to", "region"].includes(event.target.name)) dial(form);
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});
document.addEventListener("change", (event) => {
  const field = event.target;
  if (field.matches(".pick-all")) for (const pick of all("#main .pick")) pick.checked = field.checked;
  if (field.matches(".pick, .pick-all")) countPicks();
  if (field.name === "theme") choose(field);
  if (field.type === "file") {
    changeForm(field); // dropped files are no input
    showFiles(field);
  }
  if (field.id === "keys-on") keep(KEYS, field.checked ? "on" : "off");
});
for (const drop of all(".drop")) {
  const field = drop.querySelector("input[type=file]");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) {
        field.files = event.dataTransfer.files;
        field.dispatchEvent(new Event("change", { bubbles: true }));
      }
    });
  }
}
countPicks(); // a browser keeps what was ticked when one goes back
const on = document.getElementById("keys-on");
if (on) on.checked = kept(KEYS) !== "off";

// A session that is about to end is told in time, and goes on if somebody says so (WCAG 2.2.1). To ask is no use of it.
const WARN = 120; // seconds before its end
let due; // of the next look

function warn(text, then, go) {
  const note = document.getElementById("session") ?? document.createElement("p");
  Object.assign(note, { id: "session", className: "note" });
  note.setAttribute("role", "alert");
  const act = document.createElement(go ? "button" : "a");
  if (go) Object.assign(act, { type: "button", onclick: go });
  else act.href = "/sign-in";
  act.textContent = then;
  if (!note.isConnected) document.getElementById("main").prepend(note);
  note.replaceChildren(text, ...(then ? [" ", act] : []));
}

function stay() {
  const body = new URLSearchParams({ form_token: document.querySelector("[name=form_token]").value });
  document.getElementById("main").focus();
  askLeft({ method: "POST", body });
}

async function askLeft(how = {}) {
  clearTimeout(due);
  const answer = await fetch("/session", { redirect: "manual", ...how }).catch(() => null);
  if (answer?.type === "opaqueredirect" || answer?.status === 403) {
    warn("Your session has ended. What you typed still stands here: copy it before you", "sign in again");
  } else if (answer?.ok) showLeft(await answer.json());
  else due = setTimeout(askLeft, 10000);
}

function showLeft({ left, last = false }) {
  due = setTimeout(askLeft, 1000 * (left > WARN ? left - WARN : left + 1));
  if (left > WARN) document.getElementById("session")?.remove();
  else if (last) warn(`Your session ends in ${Math.ceil(left / 60)} min, as each does. Send or copy what you typed.`);
  else warn(`Your session ends in ${Math.ceil(left / 60)} min.`, "Stay signed in", stay);
}
const leftAtFirst = Number(document.getElementById("main")?.dataset.left);
if (leftAtFirst) showLeft({ left: leftAtFirst });

// A page that could not be made is tried again by itself. Like what is live, that keeps no session alive.
const failed = document.querySelector("[data-again]");
async function again() {
  const answer = document.hidden ? null : await fetch(location.href, { headers: { "hx-request": "true" } }).catch(() => null);
  if (answer?.ok) location.reload();
  else setTimeout(again, 1000 * failed.dataset.again);
}
if (failed) setTimeout(again, 1000 * failed.dataset.again);

// Live: an event says that the page is old. A region is loaded again unless somebody is at work in it.
const OLD = "This page is not kept up to date any more.";
const LOST = 10000; // milliseconds without a stream after which a page says that it may be old
const SLOW = 30000; // milliseconds from which on somebody may want to load the page sooner
const live = document.getElementById("live");
const main = document.getElementById("main");
let newer = 0;
let waiting = 0;
let last = Date.now();

function busy() {
  const region = document.getElementById("live");
  return region.contains(document.activeElement) || all("details[open]", region).length > 0
    || all("input:not([type=hidden])", region).some((field) => field.value);
}

function tell(text, then = "Show it") {
  let note = document.getElementById("newer");
  if (!note) {
    note = document.createElement("p");
    note.id = "newer";
    note.className = "note";
    note.setAttribute("role", "status");
    main.querySelector(".head").after(note);
  }
  const link = document.createElement("a");
  link.href = live?.dataset.from ?? main.dataset.newer ?? location.href;
  link.textContent = then;
  note.replaceChildren(`${text} `, link);
}

function load() {
  waiting = 0;
  last = Date.now();
  if (document.hidden) return;
  if (busy()) tell("Something has changed.");
  else htmx.ajax("GET", live.dataset.from, { target: "#live", select: "#live", selectOOB: "#acts:outerMorph", swap: "outerMorph" });
}

function changed(event) {
  newer += Number(event.data);
  if (main.dataset.newer !== undefined && newer) tell(`${newer.toLocaleString("en")} newer.`, "Show them");
  if (!live?.dataset.from || waiting) return;
  const every = 1000 * live.dataset.every; // the server says how often, by what the page costs Redis
  waiting = setTimeout(load, Math.max(0, last + every - Date.now()));
  if (every > SLOW && event.type === "changed") tell("Something has changed.");
}

if (live?.dataset.from || main?.dataset.newer !== undefined) {
  let stream, left, lost;
  const listen = () => {
    stream?.close();
    if (document.hidden) left = Date.now();
    if (document.hidden) return; // nobody looks
    const old = left && Date.now() - left > 60000;
    if (old && main.dataset.newer !== undefined) tell("More may have come meanwhile.", "Show them");
    stream = new EventSource("/live");
    stream.addEventListener("changed", changed);
    stream.addEventListener("error", () => {
      lost ??= setTimeout(() => tell(OLD, "Load it again"), LOST);
    });
    stream.addEventListener("open", () => {
      clearTimeout(lost);
      lost = undefined;
      const note = document.getElementById("newer");
      if (note?.textContent.startsWith(OLD)) note.remove();
      changed({ data: 0 }); // what happened before it is told by no event
    });
  };
  listen();
  addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => stream?.close());
}
