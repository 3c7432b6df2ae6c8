// The chat's page. Everything that comes from others goes into the page as text, never as HTML.

const REFUSED = 4000; // the server's close code for a name that cannot be had
const FIRST_WAIT = 500; // milliseconds until the first attempt to reconnect; doubled with each one
const LONGEST_WAIT = 15_000;
const BACK_FOR = 4_000; // milliseconds for which the page says that the server is back
const LEFT_AFTER = 3_000; // milliseconds: who reloads the page has not left
const GROUP_FOR = 5 * 60_000; // milliseconds within which messages of one person stay together
const KEEP = 1_000; // messages in the page

const $ = (id) => document.getElementById(id);
const [chat, door, messages, scroller, textField] = ["chat", "door", "messages", "scroller", "text"].map($);

// sessionStorage: it survives a reload, and each window has its own.
const me = { name: sessionStorage.getItem("name"), key: sessionStorage.getItem("key") ?? newKey() };
sessionStorage.setItem("key", me.key);

let socket = null;
let wait = FIRST_WAIT;
let retryTimer = 0;
let noticeTimer = 0;
let wasLost = false; // whether the server was there before and has gone
let here = null; // the names of those who are here; null: not known yet
let unconfirmed = []; // texts that were sent and have not come back yet
let unseen = 0; // messages that came while the window was in the background
let last = null; // the newest message, when another may follow it closely
let atBottom = true; // whether the newest message is in view
const shown = new Set(); // the ids of the messages in the page
const leaving = new Map(); // names that are gone, with the timers that will say so

function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Connection

function connect() {
  clearTimeout(retryTimer);
  setState("connecting", wasLost ? "Reconnecting…" : "Connecting…");
  const url = new URL("ws", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const mine = new WebSocket(url);
  socket = mine;
  mine.onopen = () => send({ type: "join", ...me });
  mine.onmessage = ({ data }) => mine === socket && receive(JSON.parse(data));
  mine.onclose = (event) => mine === socket && disconnected(event);
}

function send(message) {
  socket.send(JSON.stringify(message));
}

function receive(message) {
  switch (message.type) {
    case "welcome": return welcome(message);
    case "here": return showHere(message.names);
    case "said": return hear(message);
  }
}

function disconnected({ code, reason }) {
  socket = null;
  if (code === REFUSED) return openDoor(reason);
  setState("offline", "Offline, reconnecting");
  wasLost = true;
  here = null;
  showNotice("The server has gone. Trying to reconnect…");
  // What was on its way may not have arrived: back into the field with it.
  if (unconfirmed.length) {
    textField.value = [...unconfirmed.splice(0), textField.value].filter(Boolean).join("\n");
    fit();
  }
  retryTimer = setTimeout(connect, wait * (0.75 + Math.random() / 2));
  wait = Math.min(wait * 2, LONGEST_WAIT);
}

function retryNow() {
  if (socket === null && !chat.hidden) {
    wait = FIRST_WAIT;
    connect();
  }
}

function welcome({ name, history }) {
  me.name = name; // as the server has cleaned it
  sessionStorage.setItem("name", name);
  wait = FIRST_WAIT;
  setState("online", `Online as ${name}`);
  if (wasLost) showNotice("The server is back.", { good: true });
  wasLost = false;
  messages.ariaBusy = "true"; // nobody wants to have the whole history read to them
  for (const message of history) showMessage(message);
  messages.ariaBusy = "false";
  toBottom();
}

// What the page says of itself

function setState(state, text) {
  chat.dataset.state = $("status").dataset.state = state;
  $("status").textContent = text;
  $("composer").querySelector("button").disabled = state !== "online";
}

function showNotice(text, { good = false } = {}) {
  clearTimeout(noticeTimer);
  $("notice").hidden = false;
  $("notice").classList.toggle("good", good);
  $("notice-text").textContent = text;
  $("retry").hidden = good;
  if (good) noticeTimer = setTimeout(hideNotice, BACK_FOR);
}

function hideNotice() {
  $("notice").hidden = true;
}

function showUnseen(count) {
  unseen = count;
  document.title = unseen ? `(${unseen}) Chat` : "Chat";
}

// Door and room

function openDoor(refusal = "") {
  chat.hidden = true;
  door.hidden = false;
  $("refusal").textContent = refusal;
  $("name").ariaInvalid = refusal ? "true" : null;
  $("name").value = me.name ?? "";
  $("name").select();
  $("name").focus();
  sessionStorage.removeItem("name");
}

function enter() {
  door.hidden = true;
  chat.hidden = false;
  hideNotice();
  wasLost = false;
  here = null;
  textField.focus();
  connect();
}

function leave() {
  clearTimeout(retryTimer);
  const old = socket;
  socket = null; // whatever it still has to say, nobody listens
  old?.close(1000, "left");
  unconfirmed = [];
  messages.replaceChildren();
  shown.clear();
  last = null;
  $("empty").hidden = false;
  openDoor();
}

// Who is here

function showHere(names) {
  if (here !== null) {
    for (const name of names) if (!here.includes(name) && !returned(name)) showEvent(`${name} joined`);
    for (const name of here) if (!names.includes(name)) expectBack(name);
  }
  here = names;
  $("count").textContent = names.length;
  $("here").replaceChildren(...names.map((name) => {
    const item = element("li", {}, avatar(name), element("bdi", { textContent: name }));
    if (name === me.name) item.append(element("small", { textContent: "you" }));
    return item;
  }));
}

function expectBack(name) {
  const timer = setTimeout(() => { if (leaving.delete(name)) showEvent(`${name} left`); }, LEFT_AFTER);
  leaving.set(name, timer);
}

function returned(name) {
  clearTimeout(leaving.get(name));
  return leaving.delete(name);
}

// Messages

function hear(message) {
  const own = message.name === me.name;
  if (own) unconfirmed.splice(0, unconfirmed.indexOf(message.text) + 1); // they come back in order
  if (document.hidden && !own) showUnseen(unseen + 1);
  keepPlace(() => showMessage(message, "new"), own);
}

function showEvent(text) {
  last = null;
  keepPlace(() => messages.append(element("li", { className: "event", textContent: text })));
}

function showMessage({ id, name, text, time }, ...classes) {
  if (shown.has(id)) return;
  shown.add(id);
  $("empty").hidden = true;
  const when = new Date(time);
  const day = when.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
  if (day !== messages.dataset.day || !messages.children.length) {
    messages.dataset.day = day;
    last = null;
    const isToday = when.toDateString() === new Date().toDateString();
    messages.append(element("li", { className: "day", textContent: isToday ? "Today" : day }));
  }
  const follows = last !== null && last.name === name && when - last.when < GROUP_FOR;
  last = { name, when };
  const item = element("li", { className: ["message", ...classes].join(" ") });
  item.classList.toggle("own", name === me.name);
  item.classList.toggle("follows", follows);
  const clock = when.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  item.style.setProperty("--hue", hue(name));
  item.append(
    avatar(name),
    element("div", { className: "by" },
      element("bdi", { textContent: name }),
      element("time", { dateTime: time, textContent: clock, title: when.toLocaleString() })),
    element("div", { className: "text", textContent: text, title: when.toLocaleString() }),
  );
  messages.append(item);
  while (messages.children.length > KEEP) messages.firstChild.remove();
}

function keepPlace(change, follow = false) {
  change();
  if (atBottom || follow) toBottom();
  else $("newer").hidden = false;
}

function toBottom() {
  scroller.scrollTop = scroller.scrollHeight;
  atBottom = true;
  $("newer").hidden = true;
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function avatar(name) {
  const initials = name.split(" ").map((word) => [...word][0]).slice(0, 2).join("").toUpperCase();
  const made = element("span", { className: "avatar", textContent: initials, ariaHidden: "true" });
  made.style.setProperty("--hue", hue(name));
  return made;
}

function hue(name) {
  let hash = 2166136261; // FNV-1a
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 16777619);
  return 140 + (hash >>> 8) % 260; // from green over blue to orange: the rest is mud
}

// The composer

function say() {
  const text = textField.value.trim();
  if (!text || chat.dataset.state !== "online") return;
  unconfirmed.push(text);
  send({ type: "say", text });
  textField.value = "";
  fit();
}

function fit() {
  textField.style.height = "auto";
  textField.style.height = `${textField.scrollHeight + 2}px`;
  const left = textField.maxLength - textField.value.length;
  $("left").textContent = left <= 200 ? `${left} left` : "";
}

// What the user does

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  me.name = $("name").value.trim();
  if (me.name) enter();
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  say();
  textField.focus();
});
textField.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    say();
  }
});
textField.addEventListener("input", fit);
$("leave").addEventListener("click", leave);
$("retry").addEventListener("click", retryNow);
$("newer").addEventListener("click", toBottom);
$("toggle").addEventListener("click", () => {
  $("toggle").ariaExpanded = String($("people").classList.toggle("open"));
});
scroller.addEventListener("scroll", () => {
  atBottom = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
  if (atBottom) $("newer").hidden = true;
});
new ResizeObserver(() => atBottom && toBottom()).observe(scroller);
addEventListener("online", retryNow);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    showUnseen(0);
    retryNow();
  }
});

if (me.name) enter();
else openDoor();
