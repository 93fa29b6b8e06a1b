// Makes the pages live: keys, the bell, fresh content. Every page is whole without it.

const root = document.documentElement;
root.classList.add("script");
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- Forms ---------------------------------------------------------------------------------------------------------

// A choice by pointer is sent at once. By the keyboard each arrow is a choice, so there it takes Enter, or the button.
let byPointer = null;
document.addEventListener("pointerdown", (event) => (byPointer = event.target.closest("form[data-auto] select")));
document.addEventListener("keydown", (event) => {
  const select = event.target.closest("form[data-auto] select");
  byPointer = null;
  if (!select || event.key !== "Enter" || !select.form.hasAttribute("data-changed")) return;
  event.preventDefault();
  select.form.requestSubmit();
});
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (!form) return;
  if (byPointer === event.target) form.requestSubmit();
  else form.setAttribute("data-changed", "");
});

// Whoever was at a field of a list is there again when the page comes back.
const PLACE = "leadmill.place";
document.addEventListener("submit", (event) => {
  if (event.target.matches("form[data-auto]")) sessionStorage.setItem(PLACE, event.target.getAttribute("action"));
});
const place = sessionStorage.getItem(PLACE);
sessionStorage.removeItem(PLACE);
if (place) $(`form[data-auto][action="${CSS.escape(place)}"] select`)?.focus();

// What was typed stays until the server took it: over a reload, a refusal, and signing in anew.
const DRAFTS = "leadmill.drafts";
const drafts = JSON.parse(sessionStorage.getItem(DRAFTS) ?? "{}");
const keep = () => sessionStorage.setItem(DRAFTS, JSON.stringify(drafts));
const person = $(".account .strong")?.textContent;
const typed = () => $$("main form[method=post] textarea, main form[method=post] input[name=reason]");
const draft = (field) => `${person} ${field.form.getAttribute("action")} ${field.name}`;
if ($("[data-said]")) for (const [key, { sent }] of Object.entries(drafts)) if (sent) delete drafts[key];
function restore() {
  for (const field of typed()) {
    const kept = drafts[draft(field)];
    if (kept && !field.value) field.value = kept.text;
  }
}
restore();
keep();
document.addEventListener("input", (event) => {
  if (!typed().includes(event.target)) return;
  if (event.target.value) drafts[draft(event.target)] = { text: event.target.value };
  else delete drafts[draft(event.target)];
  keep();
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("[action='/sign-out']")) return sessionStorage.removeItem(DRAFTS);
  for (const field of typed().filter((field) => field.form === event.target && drafts[draft(field)])) drafts[draft(field)].sent = true;
  keep();
});

// Empty filters stay out of the address.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-slim]")) return;
  const empty = $$("input, select", form).filter((field) => field.name && !field.value);
  for (const field of empty) field.disabled = true;
  addEventListener("pageshow", () => empty.forEach((field) => (field.disabled = false)), { once: true });
});

// A reason is asked for where there is one to give.
for (const group of $$("[data-when-status]")) {
  const form = group.closest("form");
  const wanted = group.dataset.whenStatus.split(" ");
  const asked = !group.hasAttribute("data-fold");
  const show = () => group.toggleAttribute("data-fold", !(asked || wanted.includes($("select[name=status]", form).value)));
  form.addEventListener("change", show);
  show();
}

// --- What was just done ----------------------------------------------------------------------------------------------

const toasts = $("[data-toasts]");
const leaving = (toast) => setTimeout(() => (toast.matches(":hover, :focus-within") ? leaving(toast) : toast.remove()), $("form", toast) ? 20000 : 6000);
if (toasts) {
  $$(".toast", toasts).forEach(leaving);
  const here = new URL(location.href);
  if (here.searchParams.delete("said") || here.search !== location.search) history.replaceState(null, "", here);
}

function toast(text, href) {
  if (!toasts) return;
  const line = document.createElement("p");
  line.className = "toast";
  if (href) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = text;
    line.append(link);
  } else {
    line.textContent = text;
  }
  toasts.append(line);
  leaving(line);
}

// --- Fresh content ---------------------------------------------------------------------------------------------------

const busy = () =>
  document.hidden ||
  $("[data-changed], :popover-open") !== null ||
  $("[data-pick]:checked") !== null ||
  $("details[open].more, dialog[open]") !== null ||
  $$("[data-live] select").some((select) => [...select.options].some((option) => option.defaultSelected && !option.selected)) ||
  (document.activeElement?.closest("[data-live]") && document.activeElement.matches("input, select, textarea"));

let refreshing = false;
let refreshed = Date.now();
// Something kept the page from looking, or changed while an answer was on its way.
let owed = false;
let missed = false;
async function refresh() {
  const regions = $$("[data-live]");
  if (refreshing || !regions.length) return;
  owed = Boolean(busy());
  if (owed) return;
  refreshing = true;
  refreshed = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html", "x-leadmill-script": "1" }, redirect: "error" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = $$("[data-live]", page);
    owed = Boolean(busy());
    if (fresh.length !== regions.length || owed) return;
    const place = at();
    regions.forEach((region, index) => {
      if (region.innerHTML === fresh[index].innerHTML) return;
      const focused = region.contains(document.activeElement) ? document.activeElement.id || document.activeElement.getAttribute("href") : null;
      region.replaceChildren(...fresh[index].childNodes);
      if (focused) $(`[href="${CSS.escape(focused)}"], #${CSS.escape(focused)}`, region)?.focus();
    });
    if (place >= 0) move(place, false);
    restore();
    picked();
  } catch {
    // The next time.
  } finally {
    refreshing = false;
    if (missed) changed();
  }
}

function changed() {
  missed = refreshing;
  if (!refreshing) refresh();
}

// A page that is told of changes looks by itself for the ages of things only, or when something kept it from looking.
const bell = $("[data-bell]");
const AGES = 60_000;
let stream = null;
const told = () => bell?.dataset.bell.includes("?lead=") && stream?.readyState === EventSource.OPEN;
const every = Number($("[data-every]")?.dataset.every);
if (every) setInterval(() => (!told() || owed || Date.now() - refreshed > AGES) && refresh(), every * 1000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return hangUp();
  connect();
  refresh();
});

// --- What does not fit ------------------------------------------------------------------------------------------------

for (const current of $$(".tabs [aria-current], .steps [aria-current]")) {
  const strip = current.parentElement;
  strip.scrollLeft = current.offsetLeft - strip.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2;
}

for (const letter of $$("[data-letter]")) {
  const fit = () => {
    if (!letter.contentDocument?.body?.childElementCount) return;
    letter.style.height = "0";
    letter.style.height = `${letter.contentDocument.documentElement.scrollHeight + 4}px`;
  };
  letter.addEventListener("load", fit);
  addEventListener("resize", fit);
  fit();
}

// --- The bell --------------------------------------------------------------------------------------------------------

// A browser opens few connections to one host: a page that nobody looks at holds none.
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 60_000;
let failed = 0;
let again = 0;
// The last that the bell told of, so that nothing since is missed or told twice.
let heard = "";

function connect() {
  if (!bell || !window.EventSource || stream || document.hidden) return;
  clearTimeout(again);
  const address = new URL(bell.dataset.bell, location.href);
  if (heard) address.searchParams.set("last", heard);
  stream = new EventSource(address);
  stream.addEventListener("open", () => (failed = 0));
  stream.addEventListener("bell", (event) => {
    const { unread, news } = JSON.parse(event.data);
    heard = event.lastEventId;
    $("[data-count]", bell).textContent = unread > 99 ? "99+" : String(unread);
    $("[data-unread]", bell).hidden = unread === 0;
    for (const item of news) toast(item.title, item.url);
    if (news.length) changed();
  });
  stream.addEventListener("lead", changed);
  stream.addEventListener("error", () => {
    // One that ends is opened again by the browser; one that was refused is closed for good.
    if (stream?.readyState !== EventSource.CLOSED) return;
    hangUp();
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failed++);
    again = setTimeout(connect, wait * (0.5 + Math.random() / 2));
  });
}

function hangUp() {
  clearTimeout(again);
  stream?.close();
  stream = null;
}

connect();
addEventListener("pagehide", hangUp);
addEventListener("pageshow", (event) => event.persisted && connect());

// --- Choosing jobs ---------------------------------------------------------------------------------------------------

function picked() {
  const boxes = $$("[data-pick]");
  const count = boxes.filter((box) => box.checked).length;
  for (const place of $$("[data-picked]")) place.textContent = String(count);
  for (const bar of $$("[data-picked-bar]")) bar.toggleAttribute("data-any", count > 0);
  const all = $("[data-pick-all]");
  if (all) {
    all.checked = count > 0 && count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-pick-all]")) {
    for (const box of $$("[data-pick]")) box.checked = event.target.checked;
  }
  if (event.target.matches("[data-pick], [data-pick-all]")) picked();
});
picked();

// --- Rows and keys ---------------------------------------------------------------------------------------------------

const rows = () => $$("[data-row]");
const holder = (row) => row.closest("tr, li") ?? row;
const at = () => rows().findIndex((row) => holder(row).classList.contains("at"));

function move(to, focus = true) {
  const all = rows();
  if (!all.length) return;
  const index = Math.max(0, Math.min(all.length - 1, to));
  $$(".at").forEach((row) => row.classList.remove("at"));
  const row = holder(all[index]);
  row.classList.add("at");
  if (focus) {
    row.scrollIntoView({ block: "nearest" });
    (all[index].matches("button") ? all[index] : $("a", row))?.focus({ preventScroll: true });
  }
}

document.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-row]");
  if (!row || event.target.closest("a, button, input, select, label, summary") || getSelection().toString()) return;
  location.href = row.dataset.row;
});

let going = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea, dialog[open]");
  if (event.key === "Escape") {
    $$("details.more[open], details.account[open]").forEach((open) => (open.open = false));
    if (typing && !typing.matches("dialog")) typing.blur();
    return;
  }
  if (typing) return;
  const wasGoing = Date.now() - going < 1200;
  going = 0;
  if (wasGoing) {
    const link = $(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) link.click();
    return;
  }
  const row = rows()[at()];
  const act = {
    g: () => (going = Date.now()),
    "/": () => ($("[data-search]")?.focus(), event.preventDefault()),
    j: () => move(at() + 1),
    k: () => move(at() - 1),
    x: () => row && $("[data-pick]", holder(row))?.click(),
    r: () => $("[data-again]")?.click(),
    "?": () => $("#keys")?.showModal(),
  }[event.key];
  if (act) act();
});

document.addEventListener("click", (event) => {
  for (const open of $$("details.more[open], details.account[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
