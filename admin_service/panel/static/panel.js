// The panel works without this file. It only adds comfort, and never builds markup from text.

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const on = (name, handler, target = document) => target.addEventListener(name, handler);
const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

/* Toasts: the region is filled again once it is known, so that it is spoken. */
const region = one(".toasts");

function toast(text) {
  const message = make("div", { className: "toast" }, make("p", { textContent: text }));
  region.append(message);
  setTimeout(() => message.remove(), 4000);
}

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
const UNITS = [["minute", 60], ["hour", 3600], ["day", 86400]];

function tellAge(time) {
  const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
  if (seconds < 0 || seconds > 7 * 86400) return;
  const [unit, size] = UNITS.findLast(([, length]) => seconds >= length) ?? [];
  time.textContent = unit ? relative.format(-Math.floor(seconds / size), unit) : "just now";
}

/* What a part of a page needs, whenever it came. */
function enhance(root) {
  for (const button of all("[data-copy], [data-dismiss]", root)) button.hidden = false;
  all("time[data-relative]", root).forEach(tellAge);
  for (const link of all("tr .row-link", root)) link.closest("tr").dataset.clickable = "";
  for (const code of all("code[data-fill]", root)) {
    const button = make("button", { type: "button", textContent: code.textContent });
    on("click", () => {
      const control = one(`#${code.dataset.fill}`);
      control.value = button.textContent;
      control.focus();
    }, button);
    code.replaceWith(button);
  }
}

/* A page of ours, parsed without its scripts; null for any surprise. */
function load(url, use) {
  const request = new XMLHttpRequest();
  request.open("GET", url);
  request.responseType = "document";
  request.onloadend = () => use(request.status === 200 ? request.response : null);
  request.send();
  return request;
}

/* A linked page above this one: a detail beside its list, or a step that asks. */
function openDialog(link) {
  load(link.href, (page) => {
    const body = page && one("[data-dialog-body]", page);
    if (!body) return location.assign(link.href);
    showDialog(body.ariaLabel ?? one("h1", page).textContent, body, link);
  });
}

function showDialog(title, body, link) {
  const asks = body.dataset.dialogBody === "ask";
  const heading = make("h2", { textContent: title });
  const close = make("button", { className: "button", textContent: "Close", autofocus: !asks });
  const head = make("header", {}, heading, close);
  if (!asks) close.before(make("a", { className: "button", href: link.href, textContent: "Open page" }));
  const dialog = make("dialog", { className: asks ? "ask" : "drawer" }, head, body);
  dialog.ariaLabel = title;
  on("click", (event) => {
    if (![dialog, close].includes(event.target) && !event.target.matches("[data-cancel]")) return;
    event.preventDefault();
    dialog.close();
  }, dialog);
  on("close", () => {
    dialog.remove();
    link.focus();
  }, dialog);
  document.body.append(dialog);
  enhance(dialog);
  dialog.showModal();
}

/* Live filter: what follows the filters is exchanged. */
let asking, soon;

function filter(form) {
  const given = [...new FormData(form)].filter(([, value]) => value);
  const url = `${form.action}?${new URLSearchParams(given)}`;
  asking?.abort();
  asking = load(url, (page) => page && exchange(page, url));
}

function exchange(page, url) {
  for (const part of ["main .lede", ".filters .segments"]) {
    const fresh = all(part, page);
    all(part).forEach((node, index) => fresh[index] && node.replaceWith(fresh[index]));
  }
  all(".filters ~ *").forEach((node) => node.remove());
  one(".filters").after(...all(".filters ~ *", page));
  enhance(one("main"));
  history.replaceState(null, "", url);
}

/* Live tiles. */
function follow(box) {
  on("message", ({ data }) => {
    const told = JSON.parse(data);
    for (const element of all("[id]", box)) element.textContent = told[element.id] ?? element.textContent;
  }, new EventSource(box.dataset.live));
}

/* Submit once, until Back. */
function submitOnce(event) {
  const form = event.target;
  if (!form.matches("[data-submit-once]")) return;
  if (form.matches("[data-sent]")) return event.preventDefault();
  hold(form, true);
}

function hold(form, isSent) {
  form.toggleAttribute("data-sent", isSent);
  for (const button of all("button", form)) button.ariaDisabled = isSent || null;
}

/* It replaces the menu it was opened from. */
function showShortcuts(event) {
  event?.preventDefault();
  one("#account")?.hidePopover();
  one("#shortcuts")?.showPopover();
}

/* Keyboard shortcuts; the operator's preferences turn them off (WCAG 2.1.4). */
let leader = 0;

const keys = {
  "/": focusSearch,
  "?": showShortcuts,
  j: () => step(1),
  k: () => step(-1),
  n: () => one('.page-head a[href$="/new"]')?.click(),
  e: () => one('.page-head a[href$="/edit"]')?.click(),
};

function shortcut(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.documentElement.dataset.shortcuts !== "on") return;
  const field = event.target.closest("input, select, textarea, [contenteditable], dialog");
  if (field) return event.key === "Escape" && field.matches("[data-search]") && field.blur();
  const target = Date.now() - leader < 1200 && one(`nav [data-key="${CSS.escape(event.key)}"]`);
  leader = event.key === "g" ? Date.now() : 0;
  const act = target ? () => target.click() : Object.hasOwn(keys, event.key) && keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function step(by) {
  const rows = all("main :is(.row-link, .activity a)");
  rows[Math.max(0, rows.indexOf(document.activeElement) + by)]?.focus();
}

function focusSearch() {
  const search = one("main [data-search]") ?? one("#find");
  const panel = search?.closest("details");
  if (panel) panel.open = true;
  search?.focus();
  search?.select();
}

function click(event) {
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  for (const drop of all(".drop[open]")) drop.open = drop.contains(event.target);
  const target = event.target.closest("a, button, summary, pre, input");
  if (!target) return plain && followRow(event);
  if (target.matches("[data-copy]")) copy(target);
  else if (target.matches("[data-dismiss]")) target.closest(".toast").remove();
  else if (target.matches(".menu [popovertarget]")) showShortcuts(event);
  else if (target.matches("[data-select]")) target.select();
  else if (target.matches("a[data-dialog]") && plain) {
    event.preventDefault();
    openDialog(target);
  }
}

function followRow(event) {
  const row = event.target.closest("tr[data-clickable]");
  if (row && String(getSelection()) === "") one(".row-link", row).click();
}

enhance(document);
const waiting = [...region.children];
region.replaceChildren();
setTimeout(() => region.append(...waiting), 60);
all("[data-live]").forEach(follow);
setInterval(() => all("time[data-relative]").forEach(tellAge), 60000);
on("click", click);
on("keydown", shortcut);
on("submit", submitOnce);
on("input", ({ target }) => {
  if (!target.matches(".search [data-search]")) return;
  clearTimeout(soon);
  soon = setTimeout(filter, 250, target.form);
});
/* Back must not bring a secret again. */
on("pagehide", () => {
  for (const box of all(".once")) box.replaceChildren("This was shown once. If it is lost, issue a new one.");
}, window);
on("pageshow", () => {
  all("[data-sent]").forEach((form) => hold(form, false));
}, window);
