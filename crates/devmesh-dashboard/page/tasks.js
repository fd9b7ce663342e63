// The table of tasks, and above it what waits for a person.

import { $, el, keyed, say, since, state, toast, why } from "./dom.js";
import { ask, command } from "./link.js";
import { blocked, plain, short } from "./plain.js";
import { number, rows } from "./rows.js";

const SHOWN = 250;
const ENDED = new Set(["completed", "failed", "cancelled"]);
const ACTIVE = new Set(["claimed", "working", "verifying", "review", "landing"]);
const ORDER = ["review", "blocked", "landing", "verifying", "working", "claimed", "paused", "queued"];
const VIEWS = [
  ["all", "All", () => true],
  ["active", "Active", (task) => ACTIVE.has(task.state)],
  ["queued", "Queued", (task) => task.state === "queued" || task.state === "paused"],
  ["blocked", "Blocked", (task) => task.state === "blocked"],
  ["done", "Landed", (task) => task.state === "completed"],
  ["failed", "Not landed", (task) => task.state === "failed" || task.state === "cancelled"],
];

const shown = { view: "all", text: "", all: false, open: () => {}, render: () => {} };

/** Wires filter and chips. `open` shows one task closely, `render` draws again. */
export function start(open, render) {
  shown.open = open;
  shown.render = render;
  $("filter").addEventListener("input", (event) => {
    shown.text = event.target.value.trim().toLowerCase();
    shown.all = false;
    render();
  });
  $("tasks-more").addEventListener("click", () => {
    shown.all = true;
    render();
  });
  for (const [name, label] of VIEWS) {
    const press = () => {
      shown.view = name;
      shown.all = false;
      render();
    };
    $("chips").append(el("button", { type: "button", "data-view": name, onclick: press }, label, el("b")));
  }
}

/** Everything of tasks. */
export function draw() {
  drawChips();
  drawNeeds();
  const list = [...rows.tasks.values()].filter(matches).sort(byUrgency);
  const some = shown.all ? list : list.slice(0, SHOWN);
  keyed($("task-rows"), some, (task) => task.task, row, (task) => [task, sub(task), waitsFor(task)]);
  const more = list.length - some.length;
  $("tasks-more").hidden = more === 0;
  say($("tasks-more"), `Show ${more} more`);
  $("tasks-empty").hidden = list.length > 0;
  say($("tasks-empty"), rows.tasks.size === 0
    ? "No tasks yet. Add one with “New task”, or devmesh task add."
    : "No task is like that.");
}

function drawChips() {
  const counts = rows.mesh.tasks ?? {};
  for (const chip of $("chips").children) {
    const [name, , wanted] = VIEWS.find(([view]) => view === chip.dataset.view);
    chip.setAttribute("aria-pressed", String(name === shown.view));
    const of = Object.entries(counts).filter(([state]) => wanted({ state }));
    say(chip.lastElementChild, of.reduce((sum, [, n]) => sum + n, 0));
  }
}

function matches(task) {
  const [, , wanted] = VIEWS.find(([view]) => view === shown.view);
  if (!wanted(task)) return false;
  if (!shown.text) return true;
  const text = [task.task, task.title, task.state, task.repo, task.by, task.key,
    task.attempt?.actor, ...(task.paths ?? [])].join(" ").toLowerCase();
  return shown.text.split(/\s+/).every((word) => text.includes(word));
}

/** What a person should see first stands first; of the ended ones the newest. */
function byUrgency(a, b) {
  const ended = Number(ENDED.has(a.state)) - Number(ENDED.has(b.state));
  if (ended) return ended;
  if (ENDED.has(a.state)) {
    return (b.ended_at ?? "").localeCompare(a.ended_at ?? "") || number(b.task) - number(a.task);
  }
  return ORDER.indexOf(a.state) - ORDER.indexOf(b.state)
    || a.priority - b.priority || number(a.task) - number(b.task);
}

function waitsFor(task) {
  return (task.depends_on ?? []).filter((id) => rows.tasks.get(id)?.state !== "completed" && rows.tasks.has(id));
}

/** The second line: what it waits for, or what it is about. */
function sub(task) {
  const open = waitsFor(task);
  const verdict = task.attempt?.receipt?.verdict;
  switch (task.state) {
    case "blocked": return ["warn", blocked(task.blocked)];
    case "queued": return open.length ? ["", `waits for ${open.join(", ")}`] : ["", paths(task)];
    case "review": return ["warn", `waits for ${task.review === "person" ? "a person's" : "another agent's"} review${verdict ? ` · ${verdict}` : ""}`];
    case "landing": return ["", landing(task)];
    case "completed": return ["", `landed on ${task.target}${task.commit ? ` as ${short(task.commit)}` : ""}`];
    case "failed": return ["bad", task.attempts?.length ? `last attempt: ${words(task.attempts.at(-1).why)}` : "its tries are spent"];
    default: return ["", rows.soft.messages?.[task.task] || paths(task)];
  }
}

const words = (name) => String(name).replaceAll("_", " ");
const paths = (task) => (task.paths ?? []).slice(0, 4).join("  ") + ((task.paths?.length ?? 0) > 4 ? " …" : "");

function tries(task) {
  const n = task.tries + (task.attempt ? 1 : 0);
  return n ? `${n}/${task.max_attempts}` : "";
}

function landing(task) {
  if (task.attempt?.turn) return "has the turn to land";
  const ahead = (rows.repos.get(task.repo)?.land_queue ?? []).indexOf(task.task);
  return ahead >= 0 ? `waits for its turn, ${ahead + 1} in line` : "about to land";
}

function row(task) {
  const [tone, text] = sub(task);
  const ended = ENDED.has(task.state);
  const open = () => shown.open(task.task);
  const priority = task.priority === 2 || ended ? undefined
    : el("span", { class: task.priority > 2 ? "prio low" : "prio" }, ["urgent", "high", "", "low", "idle"][task.priority]);
  return el("tr", { class: ended ? "ended" : undefined, "data-task": task.task, onclick: open },
    el("td", { class: "id" }, task.task),
    el("td", {}, state(task.state)),
    el("td", {},
      el("button", { type: "button", class: "plain title", "data-f": "title", "aria-haspopup": "dialog" }, task.title), priority,
      text && el("div", { class: `sub ${tone}`.trim() }, text)),
    el("td", { class: "cut", title: task.attempt?.actor }, task.attempt?.actor ?? task.attempts?.at(-1)?.actor ?? ""),
    el("td", { class: "try" }, tries(task)),
    el("td", { class: "age" }, since(task.ended_at ?? task.attempt?.started_at ?? task.added_at)));
}

function drawNeeds() {
  const asks = [...rows.tasks.values()].filter(needsPerson).sort((a, b) => number(a.task) - number(b.task));
  $("needs").hidden = asks.length === 0;
  say($("needs-n"), asks.length || "");
  for (const task of asks) if (task.question) learn(task);
  const what = (task) => [task.task, task.title, task.state, task.question, task.blocked, task.review,
    task.attempt?.receipt?.verdict, questions.get(task.question?.question)];
  keyed($("needs-list"), asks, (task) => task.task, need, what);
}

/** Questions by their id; rows leave texts out. */
const questions = new Map();

async function learn(task) {
  const { question } = task.question;
  if (questions.has(question)) return;
  questions.set(question, "");
  try {
    questions.set(question, (await ask("task", { task: task.task })).question?.text ?? "");
    shown.render();
  } catch {
    // It is asked again the next time the page is drawn after a while.
    setTimeout(() => questions.delete(question), 5000);
  }
}

function needsPerson(task) {
  if (task.question) return true;
  if (task.state === "review") return task.review === "person";
  const cause = task.state === "blocked" ? task.blocked : undefined;
  return cause === "budget" || cause === "base_red" || cause === "decision" || Boolean(cause?.landing || cause?.dependency);
}

function need(task) {
  const open = () => shown.open(task.task);
  const head = el("button", { type: "button", class: "ref", "data-f": "open", onclick: open }, task.task);
  if (task.question) return el("li", {}, head, el("span", { class: "say" }, task.title, el("div", { class: "asks" }, questions.get(task.question.question) || "The worker asks.")), answer(task));
  if (task.state === "review") {
    return el("li", {}, head, el("span", { class: "say" }, task.title,
      el("div", { class: "asks" }, `Wants your review; its verification: ${task.attempt?.receipt?.verdict ?? "none"}.`)), verdict(task));
  }
  return el("li", {}, head, el("span", { class: "say" }, task.title, el("div", { class: "asks" }, blocked(task.blocked))));
}

/** A small form that sends one command. */
export function act(fields, buttons, send) {
  const form = el("form", { onsubmit: (event) => event.preventDefault() }, fields, buttons.map(([label, look, value]) => {
    const click = async () => {
      for (const button of form.querySelectorAll("button")) button.disabled = true;
      try {
        toast(plain(await send(value, form)));
        form.reset();
      } catch (error) {
        toast(why(error), true);
      }
      for (const button of form.querySelectorAll("button")) button.disabled = false;
    };
    return el("button", { type: "button", class: look, "data-f": `act ${value ?? label}`, onclick: click }, label);
  }));
  return form;
}

/** Approve or reject. */
export function verdict(task) {
  const comments = el("input", { name: "comments", placeholder: "Comments for the worker", "aria-label": `Comments on ${task.task}`, "data-f": "comments" });
  return act([comments], [["Approve", "good", "approve"], ["Reject", "danger", "reject"]], async (verdict, form) => {
    const comments = form.elements.comments.value.trim();
    await command("task.review", { task: task.task, verdict, ...(comments && { comments }) });
    return `${task.task}: ${verdict === "approve" ? "approved" : "rejected"}`;
  });
}

/** An answer: one of the options, or one's own words. */
export function answer(task) {
  const { question, options = [] } = task.question;
  const field = el("input", { name: "answer", placeholder: "Your answer", "aria-label": `Answer to ${question}`, "data-f": "answer" });
  const buttons = [...options.map((option) => [option, "", option]), ["Answer", "primary", undefined]];
  return act([field], buttons, async (option, form) => {
    const said = option ?? form.elements.answer.value.trim();
    if (!said) throw new Error("Write an answer first.");
    await command("task.answer", { question, answer: said });
    return `${question} is answered`;
  });
}
