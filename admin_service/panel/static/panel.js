// The panel works without this file. It only adds comfort, and never builds markup from text.
"use strict";

const all = (selector, root = document) => root.querySelectorAll(selector);
const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

/* Toasts: the region is filled again after it is known, so that screen readers speak it. */
const region = document.querySelector(".toasts");

function toast(text) {
  const message = make("div", { className: "toast" }, make("p", { textContent: text }));
  region.append(message);
  setTimeout(() => message.remove(), 4000);
}

function announceToasts() {
  const waiting = [...region.children];
  region.replaceChildren();
  setTimeout(() => region.append(...waiting), 60);
}

/* Copy buttons. */
async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast("Copied");
  } catch {
    toast("The browser did not allow copying. Select the text instead.");
  }
}

/* Relative times: the exact time stays in the title. */
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const STEPS = [["minute", 60], ["hour", 3600], ["day", 86400]];

function tellAge(time) {
  const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
  time.dataset.exact ??= time.textContent;
  if (seconds < 0 || seconds > 7 * 86400) return;
  if (seconds < 60) {
    time.textContent = "just now";
    return;
  }
  const [unit, size] = STEPS.findLast(([, length]) => seconds >= length);
  time.textContent = relative.format(-Math.floor(seconds / size), unit);
}

/* Everything that a part of a page needs, whether it came with the page or into the drawer. */
function enhance(root) {
  for (const button of all("[data-copy], [data-dismiss], [data-shortcuts-switch]", root)) button.hidden = false;
  for (const time of all("time[data-relative]", root)) tellAge(time);
  for (const link of all(".row-link", root)) link.closest("tr").dataset.clickable = "";
  for (const code of all("code[data-fill]", root)) {
    const button = make("button", { type: "button", textContent: code.textContent });
    button.addEventListener("click", () => {
      const control = document.getElementById(code.dataset.fill);
      control.value = button.textContent;
      control.focus();
    });
    code.replaceWith(button);
  }
}

/* The drawer: a linked page beside the list. Any surprise means: follow the link. */
function openDrawer(link) {
  const request = new XMLHttpRequest();
  request.open("GET", link.href);
  request.responseType = "document"; // parsed without scripts and without a markup string
  request.onerror = () => location.assign(link.href);
  request.onload = () => {
    const body = request.response?.querySelector("[data-dialog-body]");
    if (request.status !== 200 || !body) return location.assign(link.href);
    showDrawer(request.response.querySelector("h1").textContent, document.importNode(body, true), link);
  };
  request.send();
}

function showDrawer(title, body, link) {
  const heading = make("h2", { id: "drawer-title", textContent: title });
  const close = make("button", { type: "button", className: "button", textContent: "Close", autofocus: true });
  const page = make("a", { className: "button", href: link.href, textContent: "Open page" });
  const drawer = make("dialog", { className: "drawer" }, make("header", {}, heading, page, close), body);
  drawer.setAttribute("aria-labelledby", "drawer-title");
  close.addEventListener("click", () => drawer.close());
  drawer.addEventListener("click", (event) => event.target === drawer && drawer.close());
  drawer.addEventListener("close", () => {
    drawer.remove();
    link.focus();
  });
  document.body.append(drawer);
  enhance(drawer);
  drawer.showModal();
}

/* Submit once: the second click of an impatient hand is dropped. Back makes the form usable again. */
function submitOnce(event) {
  const form = event.target;
  if (!form.matches("[data-submit-once]")) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "true";
  for (const button of all("button:not([type=button])", form)) button.setAttribute("aria-disabled", "true");
}

/* The list replaces the menu that it was opened from; without this file it opens above it. */
function showShortcuts(event) {
  event?.preventDefault();
  document.getElementById("account")?.hidePopover();
  document.getElementById("shortcuts")?.showPopover();
}

/* Keyboard shortcuts; they can be turned off (WCAG 2.1.4), here or in the operator's preferences. */
const OFF = "panel-shortcuts-off";
const offered = document.documentElement.dataset.shortcuts === "on";
const shortcutsOn = () => offered && document.documentElement.dataset.shortcuts === "on";
let leader = 0;

function shortcut(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !shortcutsOn()) return;
  if (event.target.closest("input, select, textarea, [contenteditable], dialog")) return;
  const target = Date.now() - leader < 1200 && document.querySelector(`nav [data-key="${CSS.escape(event.key)}"]`);
  leader = event.key === "g" ? Date.now() : 0;
  if (target) target.click();
  else if (event.key === "/") focusSearch(event);
  else if (event.key === "?") showShortcuts();
}

function focusSearch(event) {
  const search = document.querySelector("[data-search]");
  if (!search) return;
  event.preventDefault();
  const panel = search.closest("details");
  if (panel) panel.open = true;
  search.focus();
  search.select();
}

function showSwitch(button) {
  button.setAttribute("aria-pressed", String(shortcutsOn()));
  button.textContent = shortcutsOn() ? "Turn shortcuts off" : "Turn shortcuts on";
  button.disabled = !offered;
}

function setShortcuts(on) {
  document.documentElement.dataset.shortcuts = on ? "on" : "off";
  for (const button of all("[data-shortcuts-switch]")) showSwitch(button);
}

/* The browser may refuse to remember; then the choice holds for this page. */
function toggleShortcuts() {
  setShortcuts(!shortcutsOn());
  remembered((storage) => (shortcutsOn() ? storage.removeItem(OFF) : storage.setItem(OFF, "1")));
}

function remembered(use) {
  try {
    return use(localStorage);
  } catch {
    return null;
  }
}

/* One listener for clicks. */
function click(event) {
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  const target = event.target.closest("[data-copy], [data-dismiss], [data-shortcuts-switch], a, button, summary, pre, input");
  if (!target) return plain && followRow(event);
  if (target.matches("[data-copy]")) copy(target);
  else if (target.matches("[data-dismiss]")) target.closest(".toast").remove();
  else if (target.matches("[data-shortcuts-switch]")) toggleShortcuts();
  else if (target.matches(".menu [popovertarget]")) showShortcuts(event);
  else if (target.matches("[data-select]")) target.select();
  else if (target.matches("a[data-dialog]") && plain) {
    event.preventDefault();
    openDrawer(target);
  }
}

function followRow(event) {
  const row = event.target.closest("tr[data-clickable]");
  if (row && String(getSelection()) === "") row.querySelector(".row-link").click();
}

enhance(document);
announceToasts();
setShortcuts(offered && remembered((storage) => storage.getItem(OFF)) === null);
setInterval(() => all("time[data-relative]").forEach(tellAge), 60000);
document.addEventListener("click", click);
document.addEventListener("keydown", shortcut);
document.addEventListener("submit", submitOnce);
/* Back must not bring a secret again, even where the browser keeps the whole page. */
addEventListener("pagehide", () => {
  for (const box of all(".once")) box.replaceChildren("This was shown once. If it is lost, issue a new one.");
});
addEventListener("pageshow", () => {
  for (const form of all("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of all("[aria-disabled]", form)) button.removeAttribute("aria-disabled");
  }
});
