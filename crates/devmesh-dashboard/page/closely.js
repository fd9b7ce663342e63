// One task closely: all that is known of it, and what a person can do with it.

import { $, el, since, state, why } from "./dom.js";
import { ask, command } from "./link.js";
import { blocked, clock, short } from "./plain.js";
import { rows } from "./rows.js";
import { act, answer, verdict } from "./tasks.js";

const ENDED = new Set(["completed", "failed", "cancelled"]);
let open;
let drawn;

/** Shows a task. */
export function show(id) {
  open = { id, full: undefined, reasons: undefined, said: "" };
  drawn = undefined;
  fetchAll();
  draw();
  if (!$("closely").open) $("closely").showModal();
  $("closely").scrollTop = 0;
}

/** Wires it. */
export function start() {
  $("closely").addEventListener("close", () => { open = undefined; });
  $("closely").addEventListener("click", (event) => { if (event.target === $("closely")) $("closely").close(); });
}

async function fetchAll() {
  const mine = open;
  const [full, reasons] = await Promise.allSettled([ask("task", { task: mine.id }), ask("why", { about: mine.id })]);
  if (mine !== open) return;
  mine.full = full.value;
  mine.reasons = reasons.value;
  mine.said = full.status === "rejected" ? `Its texts cannot be shown now. ${why(full.reason)}` : "";
  drawn = undefined;
  draw();
}

/** Draws it again where its row has changed. */
export function draw() {
  if (!open) return;
  const row = rows.tasks.get(open.id);
  const sign = JSON.stringify([row, rows.soft.messages?.[open.id]]);
  if (drawn === sign) return;
  if (drawn !== undefined) {
    // Somebody types into it: it is drawn when they are done.
    if (document.activeElement?.matches?.("#closely input") && document.activeElement.value) return;
    fetchAll();
  }
  drawn = sign;
  const task = { ...open.full, ...row, prompt: open.full?.prompt, said: open.full?.said };
  $("closely").replaceChildren(body(task));
}

function body(task) {
  const close = el("button", { type: "button", class: "quiet icon", "aria-label": "Close", onclick: () => $("closely").close() }, "✕");
  return el("div", {},
    el("header", {}, el("h2", { id: "closely-h" }, `${open.id} · ${task.title ?? "no such task"}`), close),
    task.state && el("div", { class: "line" }, state(task.state), task.added_at && el("span", { class: "small" }, "added ", since(task.added_at), ` ago by ${task.by}`)),
    task.state && actions(task),
    reasons(task),
    task.state && facts(task),
    open.said && el("p", { class: "sub warn" }, open.said),
    task.prompt && block("What is to be done", el("div", { class: "text-block" }, task.prompt)),
    task.said?.length && block("Said", el("ul", { class: "stack" }, task.said.map((said) =>
      el("li", {}, el("b", {}, `${said.by} · ${said.kind} · ${clock(said.at)}`), el("div", {}, said.text ?? "(forgotten)"))))),
    attempts(task),
    open.reasons?.chain?.length && block("What led here", el("ol", { class: "stack" }, open.reasons.chain.map((link) =>
      el("li", {}, el("span", { class: "mono small" }, `#${link.seq} ${clock(link.at)} `), link.what)))));
}

const block = (title, ...content) => el("section", {}, el("h3", {}, title), content);

function reasons(task) {
  const list = open.reasons?.now?.length ? open.reasons.now : [blocked(task.blocked)].filter(Boolean);
  const message = rows.soft.messages?.[open.id];
  if (!list.length && !message) return undefined;
  return block(list.length ? "What it waits for" : "What it does now",
    el("ul", { class: "stack" }, list.map((reason) => el("li", {}, reason)), message && el("li", {}, message)));
}

function facts(task) {
  const pairs = [
    ["Repository", `${task.repo}: ${task.base} → ${task.target}`],
    ["Paths", (task.paths ?? []).join("\n")],
    ["Depends on", (task.depends_on ?? []).join(", ")],
    ["Priority", task.priority],
    ["Review", task.review],
    ["Verified by", (task.verify ?? []).join("\n") || (open.full ? "nothing: it would land unverified" : "")],
    ["Tries spent", `${task.tries ?? 0} of ${task.max_attempts}`],
    ["Ceiling", task.max_cost_usd !== undefined ? `$${task.max_cost_usd}` : ""],
    ["Commit", task.commit],
  ];
  return block("Facts", el("dl", { class: "pairs" }, pairs.filter(([, value]) => value !== "" && value !== undefined && value !== null)
    .flatMap(([name, value]) => [el("dt", {}, name), el("dd", { class: "text" }, value)])));
}

function attempts(task) {
  const now = task.attempt;
  const past = [...(task.attempts ?? [])].reverse();
  if (!now && !past.length) return undefined;
  const receipt = now?.receipt;
  return block("Attempts", el("ul", { class: "stack" },
    now && el("li", {}, el("b", {}, `${now.attempt} · ${now.actor}`), ` on ${now.host}, since `, since(now.awarded_at),
      now.base_commit && ` · from ${short(now.base_commit)}`, cost(now.usage),
      receipt && el("ul", { class: "stack" }, el("li", {}, `verification: ${receipt.verdict} (tree ${short(receipt.tree)})`),
        (receipt.steps ?? []).map((step) => el("li", { class: "small" }, `${step.exit === 0 ? "✓" : "✗"} ${step.name}: `, el("code", {}, step.command), ` ${step.ms} ms`)))),
    past.map((attempt) => el("li", {}, el("b", {}, `${attempt.attempt} · ${attempt.actor}`),
      ` ${attempt.why.replaceAll("_", " ")} at ${clock(attempt.ended_at)}`))));
}

function cost(usage) {
  if (!usage) return undefined;
  const money = usage.cost_micro_usd === undefined ? "cost not told" : `$${(usage.cost_micro_usd / 1e6).toFixed(2)}`;
  return ` · ${money}, ${(usage.input_tokens ?? 0) + (usage.output_tokens ?? 0)} tokens`;
}

/** What can be done with it now. */
function actions(task) {
  const id = task.task;
  const simple = (label, look, verb, done) => el("button", {
    type: "button", class: look, onclick: (event) => {
      const form = ask_reason(label, look, async (reason) => {
        await command(verb, { task: id, ...(reason && { reason }) });
        return `${id} ${done}`;
      });
      event.currentTarget.parentElement.querySelector("form.reason")?.remove();
      event.currentTarget.parentElement.append(form);
      form.elements.reason.focus();
    },
  }, label);
  const list = [];
  if (task.question) list.push(el("p", { class: "asks" }, open.full?.question?.text), answer(task));
  if (task.state === "review") list.push(verdict(task));
  if (!ENDED.has(task.state)) {
    if (task.state === "paused") list.push(simple("Resume", "", "task.resume", "goes on"));
    else list.push(simple("Pause", "", "task.pause", "is held"));
    list.push(simple("Cancel the task", "danger", "task.cancel", "is cancelled"));
  } else if (task.state !== "completed") {
    list.push(simple("Put it back into the queue", "", "task.retry", "is queued again"));
  }
  if (task.state !== "cancelled") list.push(words(task));
  return el("div", { class: "acts" }, list);
}

function ask_reason(label, look, send) {
  const field = el("input", { name: "reason", placeholder: "Why, for the log (may be empty)", "aria-label": "Why" });
  const form = act([field], [[`Yes: ${label.toLowerCase()}`, look || "primary", undefined]], (_, form) => send(form.elements.reason.value.trim()));
  form.classList.add("reason");
  return form;
}

function words(task) {
  const field = el("input", { name: "text", placeholder: "Say something to its worker", "aria-label": "Say something to its worker" });
  return act([field], [["Say", "", undefined]], async (_, form) => {
    const text = form.elements.text.value.trim();
    if (!text) throw new Error("Write something first.");
    await command("task.say", { task: task.task, text });
    return `said to ${task.task}`;
  });
}
