// Text as people can read it. What agents print is data: a control or bidi character is shown by
// its number and never takes effect.

const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const number = (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;

/** The text with everything shown that would otherwise act unseen. Line breaks and tabs stay. */
export function plain(text) {
  return String(text ?? "").replace(/\r\n/g, "\n").replace(LONE, number).replace(UNSEEN, number);
}

/** How long ago or since, in one unit. */
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

/** The time of day. */
export function clock(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleTimeString([], { hour12: false });
}

/** Memory in MiB. */
export function memory(mb) {
  return mb >= 1024 ? `${(mb / 1024).toFixed(mb >= 10240 ? 0 : 1)} GiB` : `${mb} MiB`;
}

/** The first digits of a commit. */
export const short = (commit) => String(commit ?? "").slice(0, 10);

/** One sentence for what stands in a task's way; empty where nothing is known to. */
export function blocked(cause) {
  if (!cause) return "";
  if (typeof cause === "string") {
    return {
      budget: "the money set aside for it is spent",
      base_red: "the base branch fails its own verification",
      decision: "it waits for a person's decision",
      rate_limit: "its provider limits the rate",
    }[cause] ?? cause;
  }
  const [[kind, value]] = Object.entries(cause);
  if (kind === "dependency") return `${value}, which it depends on, was not completed`;
  if (kind === "question") return `${value} waits for an answer`;
  if (kind === "landing") return `it could not land: ${value}`;
  if (kind === "rate_limit") {
    return value ? `its provider limits the rate until ${clock(value)}` : "its provider limits the rate";
  }
  return `${kind} ${value}`;
}
