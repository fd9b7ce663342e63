// What stands beside the tasks: agents, merge queues, leases and who waits, hosts, events.

import { $, el, keyed, say, since, state } from "./dom.js";
import { clock, memory, short, span } from "./plain.js";
import { rows } from "./rows.js";

const SHOWN = 200;
const LINES = 200;
let open = () => {};

/** Wires it. `show` shows one task closely. */
export function start(show) {
  open = show;
}

/** Everything beside the tasks. */
export function draw() {
  drawAgents();
  drawRepos();
  drawLeases();
  drawHosts();
  drawEvents();
}

const task = (id) => id && el("button", { type: "button", class: "ref", "data-f": id, onclick: () => open(id) }, id);

function part(id, items, key, make, shown) {
  keyed($(id), items.slice(0, SHOWN), key, make, shown);
  $(`${id}-empty`).hidden = items.length > 0;
}

function drawAgents() {
  const list = [...rows.agents.values()].sort((a, b) => a.agent.localeCompare(b.agent));
  say($("agents-n"), rows.mesh.agents || "");
  const silent = (agent) => {
    const ms = rows.soft.silent?.[agent.agent];
    return ms > 8000 ? `silent for ${span(ms)}` : "";
  };
  part("agents", list, (agent) => agent.agent, (agent) => el("li", {},
    el("div", { class: "line" }, el("span", { class: "name" }, agent.agent),
      agent.role === "architect" && el("span", { class: "tag" }, "architect"), state(agent.state)),
    el("div", { class: "line small" },
      el("span", { class: "grow" }, [agent.tool, agent.model, agent.host].filter(Boolean).join(" · ")),
      task(agent.task)),
    agent.suspended && el("div", { class: "sub warn" },
      `lacks ${agent.suspended.resource}: needs ${agent.suspended.needs}, there are ${agent.suspended.free}`),
    silent(agent) && el("div", { class: "sub warn" }, silent(agent))),
  (agent) => [agent, silent(agent)]);
}

function drawRepos() {
  const list = [...rows.repos.values()];
  part("repos", list, (repo) => repo.repo, (repo) => el("li", {},
    el("div", { class: "line" }, el("span", { class: "name" }, repo.repo),
      el("span", { class: "small mono" }, short(repo.head))),
    el("div", { class: "small" }, `${repo.base} → ${repo.target}`),
    el("div", { class: "line small" }, repo.landing
      ? [el("span", {}, "landing"), task(repo.landing)] : el("span", {}, "nothing is landing")),
    repo.land_queue && el("div", { class: "line small" }, el("span", {}, "then"),
      el("span", { class: "grow" }, repo.land_queue.slice(0, 12).flatMap((id) => [task(id), " "]))),
    !repo.verify && el("div", { class: "sub warn" }, "no verify command: what lands is unverified")));
}

function drawLeases() {
  const leases = [...rows.leases.values()].sort((a, b) => a.path.localeCompare(b.path));
  const waiters = [...rows.waiters.values()].map((waiter) => ({ ...waiter, waiter: true }));
  const n = (rows.mesh.leases ?? 0) + (rows.mesh.waiters ?? 0);
  say($("leases-n"), n ? `${rows.mesh.leases ?? 0}${rows.mesh.waiters ? ` and ${rows.mesh.waiters} waiting` : ""}` : "");
  part("leases", [...waiters, ...leases], (row) => row.lease ?? row.id, (row) => row.waiter ? el("li", {},
    el("div", { class: "line" }, el("span", { class: "path grow" }, row.paths.join("  ")), el("span", { class: "tag wait" }, `waits · ${row.mode}`)),
    el("div", { class: "line small" },
      el("span", { class: "grow" }, row.actor, row.waits_for && ` waits for ${row.waits_for.join(", ")}`), task(row.task), since(row.queued_at)))
    : el("li", {},
      el("div", { class: "line" }, el("span", { class: "path grow" }, row.path), el("span", { class: `tag ${row.mode}` }, row.mode)),
      el("div", { class: "line small" },
        el("span", { class: "grow" }, row.actor, row.reason && ` · ${row.reason}`), task(row.task), since(row.granted_at))));
}

function meter(label, used, total, reserved = 0) {
  if (!total) return undefined;
  const share = (n) => `${Math.min(100, Math.round((100 * n) / total))}%`;
  const measured = el("i", { class: "used" });
  measured.style.width = share(used);
  const held = el("i");
  held.style.width = share(reserved);
  const text = `${label}: ${memory(used)} of ${memory(total)} used${reserved ? `, ${memory(reserved)} reserved` : ""}`;
  return el("div", {}, el("div", { class: "small" }, text),
    el("div", { class: used / total > 0.92 ? "meter hot" : "meter", role: "meter", "aria-label": label,
      "aria-valuemin": 0, "aria-valuemax": total, "aria-valuenow": used, "aria-valuetext": text }, measured, held));
}

function drawHosts() {
  const list = [...rows.hosts.values()].sort((a, b) => a.host.localeCompare(b.host));
  const report = (host) => rows.soft.hosts?.[host.host];
  part("hosts", list, (host) => host.host, (host) => {
    const now = report(host);
    const cpu = now && `${now.cpus} CPUs, ${Math.round(now.cpu_milli / 10)} % busy · ${memory(now.disk_free_mb)} disk free`;
    return el("li", {},
      el("div", { class: "line" }, el("span", { class: "name" }, host.host),
        el("span", { class: "small" }, `${host.slots_taken} of ${host.capacity.slots} places taken`)),
      cpu && el("div", { class: "small" }, cpu),
      (host.strained ?? []).map((strain) => el("div", { class: "small why" }, `Strained: ${strain}`)),
      host.silent_ms && el("div", { class: "small why" }, `Not measured: no report for ${Math.floor(host.silent_ms / 1000)} s`),
      meter("Memory", now ? now.ram_total_mb - now.ram_free_mb : host.ram_reserved_mb, now?.ram_total_mb ?? host.capacity.ram_mb, host.ram_reserved_mb),
      (now?.gpus ?? []).map((gpu) => meter(gpu.name, gpu.vram_used_mb, gpu.vram_total_mb, host.vram_reserved_mb?.[gpu.device])));
  }, (host) => [host, report(host)]);
}

const BAD = /rejected|failed|lost|lapsed|expired|broken|blocked|suspended$|ended$/;
const GOOD = /completed|land_ended/;
const DIM = /progressed|checkpoint|renewed|auction|read$/;

function tone(line) {
  if (GOOD.test(line.kind)) return "good";
  if (DIM.test(line.kind)) return "dim";
  return BAD.test(line.kind) ? "bad" : undefined;
}

function drawEvents() {
  const lines = rows.lines.slice(-LINES).reverse();
  keyed($("events"), lines, (line) => `${line.seq}.${line.i}`, (line) => el("li", { "data-tone": tone(line), title: `${line.kind} by ${line.by}` },
    el("span", { class: "seq" }, `#${line.seq}`), el("time", { datetime: line.at }, clock(line.at)),
    el("span", { class: "text" }, sentence(line))), (line) => `${line.seq}.${line.i}`);
  $("events-empty").hidden = lines.length > 0;
}

/** Ids of tasks in a sentence open them. */
function sentence(line) {
  return String(line.text).split(/\b(t-\d+)\b/).map((word) => (/^t-\d+$/.test(word) && rows.tasks.has(word) ? task(word) : word));
}
