"use strict";
const at = (id) => document.getElementById(id);
const LINES_MAX = 500;
let socket = null;

function line(kind, who, text) {
  const log = at("log");
  const below = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const item = document.createElement("li");
  item.className = kind;
  const name = document.createElement("span");
  name.className = "who";
  name.textContent = who;
  item.append(name, text);
  log.append(item);
  while (log.children.length > LINES_MAX) log.firstElementChild.remove();
  if (below) log.scrollTop = log.scrollHeight;
}

function inside(is) {
  at("enter").hidden = is;
  at("inside").hidden = !is;
}

function heard(event) {
  const said = JSON.parse(event.data);
  if (said.here) at("here").textContent = said.here.join(", ");
  if (said.kind === "said") line("said", said.name, `: ${said.text}`);
  else line("news", said.name, said.kind === "came" ? " came in." : " left.");
}

at("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const [name, room] = [at("name").value.trim(), at("room").value.trim()];
  if (!name || !room) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  at("state").textContent = "Connecting.";
  const query = new URLSearchParams({ room, name });
  socket = new WebSocket(`${scheme}://${location.host}/ws?${query}`);
  let entered = false;
  socket.onopen = () => {
    entered = true;
    at("state").textContent = `You are ${name}.`;
    at("title").textContent = `Room ${room}`;
    at("log").replaceChildren();
    inside(true);
    at("text").focus();
  };
  socket.onmessage = heard;
  socket.onclose = (end) => {
    const why = end.code === 1000 ? "You have left." : end.code === 1001 ? "The server has ended."
      : end.code === 1008 ? "You were too slow for this room." : entered ? "The connection was lost." : "The server cannot be reached.";
    at("state").textContent = why;
    inside(false);
    at("name").focus();
  };
});

at("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (text && socket?.readyState === WebSocket.OPEN) socket.send(text);
  at("text").value = "";
});

at("leave").addEventListener("click", () => socket?.close(1000));
