// Adding a task.

import { $, el, toast, why } from "./dom.js";
import { command } from "./link.js";
import { plain } from "./plain.js";
import { rows } from "./rows.js";

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

/** Wires the form. */
export function start() {
  $("new").addEventListener("click", show);
  $("add-close").addEventListener("click", () => $("add").close());
  $("add-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  $("add-form").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
  });
}

/** Opens it. */
export function show() {
  const repos = [...rows.repos.keys()];
  const { repo } = $("add-form").elements;
  repo.replaceChildren(...repos.map((name) => el("option", { value: name }, name)));
  repo.disabled = repos.length < 2;
  wrong();
  if (!$("add").open) $("add").showModal();
  $("add-form").elements.title.focus();
}

function wrong(text = "", field = undefined) {
  $("add-wrong").textContent = plain(text);
  for (const input of $("add-form").elements) input.removeAttribute("aria-invalid");
  const at = field && $("add-form").elements[String(field).split(/[.[]/)[0]];
  if (at) {
    at.setAttribute("aria-invalid", "true");
    at.focus();
  }
}

function body() {
  const fields = $("add-form").elements;
  const made = { title: fields.title.value.trim(), priority: Number(fields.priority.value), review: fields.review.value };
  if (fields.prompt.value.trim()) made.prompt = fields.prompt.value;
  if (fields.repo.value) made.repo = fields.repo.value;
  const paths = lines(fields.paths.value);
  if (paths.length) made.paths = paths;
  const verify = lines(fields.verify.value);
  if (verify.length) made.verify = verify;
  const after = fields.depends_on.value.split(/[\s,]+/).filter(Boolean);
  if (after.length) made.depends_on = after;
  return made;
}

async function send() {
  const made = body();
  if (!made.title) return wrong("A title is needed.", "title");
  $("add-send").disabled = true;
  try {
    const result = await command("task.add", made);
    $("add-form").reset();
    wrong();
    $("add").close();
    toast(`${result?.task?.task ?? result?.task ?? "The task"} is in the queue`);
  } catch (error) {
    wrong(why(error), error?.details?.field);
  }
  $("add-send").disabled = false;
}
