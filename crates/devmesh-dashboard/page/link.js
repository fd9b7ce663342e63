// The connection: comes back by itself, goes on from the last push it has, and sends a command
// again under its id until it knows what became of it.

const VERSION = 1;
const PAUSE_MS = [250, 8000];
const SENDINGS_MAX = 3;

const waiting = new Map();
let socket;
let pause = PAUSE_MS[0];
let boot;
let rev = 0;
let numbers = 0;
let open = false;
let astray = false;
let heard;

/** Begins. `take` gets every frame that is no answer, `turn` how the connection stands. */
export function connect(take, turn) {
  heard = { take, turn };
  dial();
  addEventListener("online", () => { if (!open) dial(); });
}

function dial() {
  if (socket && socket.readyState <= 1) return;
  heard.turn("connecting");
  socket = new WebSocket(`ws://${location.host}/ws`);
  const mine = socket;
  mine.addEventListener("open", () => mine.send(JSON.stringify({ t: "hello", boot, rev })));
  mine.addEventListener("message", (message) => { if (mine === socket) take(JSON.parse(message.data)); });
  mine.addEventListener("close", () => { if (mine === socket) again(); });
}

async function again() {
  const was = open;
  open = false;
  heard.turn("lost");
  if (!was && pause > 1000 && (await signedOut())) return heard.turn("signed out");
  const jitter = pause * (0.5 + Math.random() / 2);
  pause = Math.min(pause * 2, PAUSE_MS[1]);
  setTimeout(dial, jitter);
}

async function signedOut() {
  try {
    return (await fetch("/", { method: "HEAD", redirect: "manual" })).status === 401;
  } catch {
    return false;
  }
}

function take(frame) {
  if (frame.t === "hello") return hello(frame);
  if (frame.t === "reply") return answered(frame);
  if (frame.rev !== undefined) {
    // A push that does not follow the last one: something was missed, all is asked for anew.
    if (frame.t === "delta" && frame.rev !== rev + 1) {
      if (!astray) socket.send(JSON.stringify({ t: "hello" }));
      astray = true;
      return undefined;
    }
    astray = false;
    rev = frame.rev;
  }
  return heard.take(frame);
}

function hello(frame) {
  if (frame.v !== VERSION) {
    // A newer devmesh serves a newer page; once is enough.
    if (sessionStorage.getItem("reloaded") !== String(frame.v)) {
      sessionStorage.setItem("reloaded", String(frame.v));
      location.reload();
    }
    return;
  }
  open = true;
  astray = false;
  pause = PAUSE_MS[0];
  boot = frame.boot;
  heard.turn("open");
  heard.take(frame);
  for (const request of waiting.values()) socket.send(request.text);
}

function answered({ n, reply, unknown }) {
  const request = waiting.get(n);
  if (!request) return;
  if (unknown !== undefined && request.sendings < SENDINGS_MAX) {
    request.sendings += 1;
    return open && socket.send(request.text);
  }
  waiting.delete(n);
  if (unknown !== undefined) request.reject({ unknown });
  else if (reply.ok) request.resolve(reply.result);
  else request.reject(reply.error);
}

function request(said) {
  const n = ++numbers;
  const text = JSON.stringify({ ...said, n });
  return new Promise((resolve, reject) => {
    waiting.set(n, { text, resolve, reject, sendings: 1 });
    if (open) socket.send(text);
  });
}

/** Sends a command; its id is minted here, once. */
export const command = (verb, body) => request({ t: "do", verb, body: { id: uuid7(), ...body } });

/** Asks `task` or `why`. */
export const ask = (what, body) => request({ t: "ask", what, body });

function uuid7() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let ms = Date.now();
  for (let i = 5; i >= 0; i -= 1) {
    bytes[i] = ms % 256;
    ms = Math.floor(ms / 256);
  }
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
