// The page: takes what the process sends and draws it, at most once a frame.

import * as add from "./add.js";
import * as closely from "./closely.js";
import { $, say, tick, toast, why } from "./dom.js";
import { command, connect } from "./link.js";
import { delta, rows, snapshot, soft } from "./rows.js";
import * as side from "./side.js";
import * as tasks from "./tasks.js";

const status = { link: "connecting", log: "loading", say: "", coordinator: null };
let drawing = false;

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    head();
    tasks.draw();
    side.draw();
    closely.draw();
  });
}

function take(frame) {
  if (frame.t === "hello") {
    say($("mesh"), frame.mesh);
    document.title = `${frame.mesh} · devmesh`;
  } else if (frame.t === "health") Object.assign(status, frame);
  else if (frame.t === "snapshot") snapshot(frame);
  else if (frame.t === "delta") delta(frame);
  else if (frame.t === "soft") soft(frame);
  else if (frame.t === "error") toast(why(frame.error), true);
  draw();
}

/** How everything between this page and the mesh stands, in a word and, where bad, a sentence. */
function standing() {
  if (status.link === "signed out") return ["bad", "signed out", "You are signed out. Run “devmesh up” in a terminal: it prints a link."];
  if (status.link !== "open") return ["wait", "reconnecting", "The dashboard does not answer; what you see may be old. Trying again."];
  if (status.log === "broken") return ["bad", "log broken", `The log is not whole, and nothing after that is shown: ${status.say}`];
  if (status.log === "lost") return ["wait", "bus lost", `The bus cannot be read; what you see may be old: ${status.say}`];
  if (status.log === "loading") return ["wait", "loading", "The log is being read."];
  if (status.coordinator === false) return ["wait", "no leader", "No coordinator answers: nothing is decided now."];
  if (status.stale) return ["bad", "stuck", `Nothing is decided now: ${status.stale}`];
  if (rows.mesh.paused) return ["wait", "paused", "The mesh is paused: nothing new starts."];
  return ["live", "live", ""];
}

function head() {
  const [tone, word, sentence] = standing();
  $("link").dataset.link = tone;
  say($("link").lastElementChild, word);
  $("banner").hidden = !sentence;
  $("banner").classList.toggle("bad", tone === "bad");
  say($("banner"), sentence);
  say($("seq"), rows.mesh.seq ?? "–");
  say($("leader"), rows.mesh.leader ?? "–");
  say($("epoch"), rows.mesh.epoch ?? "–");
  say($("pause"), rows.mesh.paused ? "Resume the mesh" : "Pause the mesh");
}

async function pauseOrResume() {
  const verb = rows.mesh.paused ? "mesh.resume" : "mesh.pause";
  if (verb === "mesh.pause" && !confirm("Pause the mesh? Nothing new starts; what runs goes on.")) return;
  try {
    await command(verb, {});
  } catch (error) {
    toast(why(error), true);
  }
}

function theme() {
  const now = document.documentElement.dataset.theme
    ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("devmesh theme", next);
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, textarea, select")) return;
  if (event.key === "n") {
    event.preventDefault();
    add.show();
  } else if (event.key === "/") {
    event.preventDefault();
    $("filter").focus();
  }
}

const chosen = localStorage.getItem("devmesh theme");
if (chosen) document.documentElement.dataset.theme = chosen;
$("theme").addEventListener("click", theme);
$("pause").addEventListener("click", pauseOrResume);
addEventListener("keydown", keys);
setInterval(tick, 1000);
tasks.start(closely.show, draw);
side.start(closely.show);
closely.start();
add.start();
connect(take, (link) => {
  status.link = link;
  draw();
});
draw();
