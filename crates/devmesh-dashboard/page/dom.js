// Elements by hand: text only ever goes in as text.

import { plain, span } from "./plain.js";

/** The element of that id. */
export const $ = (id) => document.getElementById(id);

/**
 * Makes an element. Of the properties, `on…` are listeners, `class` and `data-…` and the rest
 * attributes; a false or missing one is left out. Children are elements or text.
 */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : plain(value));
  }
  for (const child of children.flat(3)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    made.append(child instanceof Node ? child : document.createTextNode(plain(child)));
  }
  return made;
}

/** Puts a text where it differs. */
export function say(element, text) {
  const shown = plain(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/** The state of a task or agent: a colour, a shape and its word. */
export const state = (name) => el("span", { class: "state", "data-s": name }, name);

/** A time span that goes on counting. */
export const since = (at) => el("time", { datetime: at, "data-since": at, title: at }, span(Date.now() - Date.parse(at)));

/** Counts on. */
export function tick(now = Date.now()) {
  for (const time of document.querySelectorAll("time[data-since]")) {
    say(time, span(now - Date.parse(time.dataset.since)));
  }
}

/**
 * Makes the children of `parent` those of `items`, in their order. An element is made anew only
 * where what is shown of its item changed, so that what a person types or has selected stays.
 */
export function keyed(parent, items, key, make, shown = (item) => item) {
  const old = new Map();
  for (const child of [...parent.children]) old.set(child.itemKey, child);
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const sign = JSON.stringify(shown(item));
    let child = old.get(name);
    old.delete(name);
    if (!child || child.itemSign !== sign) {
      const fresh = make(item);
      fresh.itemKey = name;
      fresh.itemSign = sign;
      if (child) {
        const focus = child.contains(document.activeElement) ? document.activeElement.dataset.f : undefined;
        if (child === place) place = fresh;
        child.replaceWith(fresh);
        if (focus) [...fresh.querySelectorAll("[data-f]")].find((e) => e.dataset.f === focus)?.focus();
      }
      child = fresh;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of old.values()) child.remove();
}

/** Tells something for a few seconds. */
export function toast(text, bad = false) {
  const line = el("p", { class: bad ? "bad" : undefined }, text);
  $("toasts").append(line);
  while ($("toasts").children.length > 4) $("toasts").firstElementChild.remove();
  setTimeout(() => line.remove(), bad ? 12000 : 5000);
}

/** A refusal, or why an outcome is unknown, in a sentence. */
export function why(error) {
  if (error?.unknown) return `The outcome is unknown: ${error.unknown}. Look before you try again.`;
  return error?.code ? `${error.message} (${error.code})` : String(error?.message ?? error);
}
