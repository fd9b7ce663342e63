// The rows as the process sent them, by part and name.

const NAMES = { tasks: "task", agents: "agent", leases: "lease", waiters: "id", hosts: "host", repos: "repo" };
const LINES_MAX = 400;

/** Everything that is shown. */
export const rows = {
  mesh: {},
  tasks: new Map(),
  agents: new Map(),
  leases: new Map(),
  waiters: new Map(),
  hosts: new Map(),
  repos: new Map(),
  lines: [],
  soft: { hosts: {}, silent: {}, messages: {} },
};

function put(parts) {
  for (const [part, list] of Object.entries(parts)) {
    for (const row of list) rows[part]?.set(row[NAMES[part]], row);
  }
}

function add(lines) {
  const last = rows.lines.at(-1);
  const isNew = (line) => !last || line.seq > last.seq || (line.seq === last.seq && line.i > last.i);
  rows.lines.push(...lines.filter(isNew));
  rows.lines.splice(0, Math.max(0, rows.lines.length - LINES_MAX));
}

/** Takes everything anew. The event tail goes on from the last one that is there. */
export function snapshot(frame) {
  for (const part of Object.keys(NAMES)) rows[part].clear();
  rows.mesh = frame.mesh;
  put(frame.put);
  // A log that ends before what was seen is another log.
  if ((rows.lines.at(-1)?.seq ?? 0) > frame.mesh.seq) rows.lines.length = 0;
  add(frame.lines);
}

/** Takes what has changed. */
export function delta(frame) {
  rows.mesh = frame.mesh;
  for (const [part, names] of Object.entries(frame.cut)) for (const name of names) rows[part]?.delete(name);
  put(frame.put);
  add(frame.lines);
}

/** Takes what the coordinator's memory holds beside the log. */
export function soft(frame) {
  rows.soft = frame;
}

/** The number in an id such as t-12. */
export const number = (id) => Number(String(id).slice(2)) || 0;
