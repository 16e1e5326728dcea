"use strict";
const at = (id) => document.getElementById(id);
const put = (id, text) => { const place = at(id); if (place.textContent !== text) place.textContent = text; };
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const bytes = (count) => {
  let unit = 0;
  for (; count >= 1024 && unit < 4; unit += 1) count /= 1024;
  return `${count.toFixed(unit ? 1 : 0)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
};
const span = (seconds) => {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
};
const sum = (figures, key) => figures.workers.reduce((all, worker) => all + worker[key], 0);

const rates = [];
let before = null;

function rows(count) {
  const body = at("workers");
  while (body.rows.length < count) {
    const row = body.insertRow();
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = String(body.rows.length - 1);
    row.append(name);
    const meter = document.createElement("meter");
    meter.max = 1;
    meter.setAttribute("aria-label", `Worker ${name.textContent}, part of the time that it is busy`);
    const share = document.createElement("span");
    row.insertCell().append(meter, " ", share);
    row.insertCell();
    row.insertCell();
  }
  return body.rows;
}

function show(figures) {
  const seconds = before ? (figures.uptime_us - before.uptime_us) / 1e6 : 0;
  const rate = (now, then) => (seconds > 0 ? (now - then) / seconds : 0);
  put("requests", whole.format(figures.requests));
  put("open", whole.format(figures.open));
  put("sent", bytes(figures.bytes_sent));
  put("memory", figures.memory === null ? "not told here" : bytes(figures.memory));
  put("uptime", span(figures.uptime_us / 1e6));
  put("tasks", whole.format(figures.tasks));
  put("blocking", whole.format(figures.blocking));
  put("timeouts", whole.format(figures.timeouts));
  put("sockets", whole.format(figures.sockets.open));
  put("ws-received", whole.format(figures.sockets.received));
  put("ws-sent", whole.format(figures.sockets.sent));
  put("ws-waiting", bytes(figures.sockets.bytes_waiting));
  if (before) {
    const requests = rate(figures.requests, before.requests);
    rates.push(requests);
    if (rates.length > 60) rates.shift();
    const most = Math.max(1, ...rates);
    const points = rates.map((value, index) => `${(index + 60 - rates.length) * 240 / 59},${46 - value / most * 44}`);
    at("chart").setAttribute("points", points.join(" "));
    put("chart-says", `${whole.format(requests)} requests a second now, ${whole.format(most)} at most within the last minute.`);
    put("rate", whole.format(requests));
    put("polls", whole.format(rate(sum(figures, "polls"), sum(before, "polls"))));
    put("turns", whole.format(rate(sum(figures, "turns"), sum(before, "turns"))));
    const events = (from) => sum(from, "ready") + sum(from, "completions");
    put("events", whole.format(rate(events(figures), events(before))));
    const table = rows(figures.workers.length);
    figures.workers.forEach((worker, index) => {
      const then = before.workers[index];
      const busy = Math.min(1, rate(worker.busy_us, then.busy_us) / 1e6);
      const cells = table[index].cells;
      cells[1].firstElementChild.value = busy;
      cells[1].lastElementChild.textContent = `${whole.format(busy * 100)} %`;
      cells[2].textContent = whole.format(rate(worker.polls, then.polls));
      cells[3].textContent = whole.format(worker.steals);
    });
  }
  before = figures;
}

const live = new EventSource("/.blitz/live");
live.onopen = () => { before = null; put("state", "Connected: the figures are live."); };
live.onmessage = (event) => show(JSON.parse(event.data));
live.onerror = () => put("state", "Not connected: the server has ended or is out of reach. Trying again.");

at("load").addEventListener("click", async () => {
  const button = at("load");
  button.disabled = true;
  put("loaded", "Sending.");
  const begun = performance.now();
  let left = 1000, failed = 0;
  const one = async () => {
    while (left > 0) {
      left -= 1;
      try {
        const answer = await fetch("/.blitz/ping", { cache: "no-store" });
        if ((await answer.text()) !== "pong\n") failed += 1;
      } catch { failed += 1; }
    }
  };
  await Promise.all(Array.from({ length: 6 }, one));
  const seconds = (performance.now() - begun) / 1000;
  put("loaded", `${whole.format(1000 - failed)} answers in ${seconds.toFixed(2)} s${failed ? `, ${failed} failed` : ""}.`);
  button.disabled = false;
});

let socket = null, sent = 0, wait = 1000;
function open() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/.blitz/echo`);
  socket.onopen = () => {
    wait = 1000;
    put("socket-state", `Connected${socket.extensions ? ", with compression" : ""}: every message comes back.`);
  };
  socket.onmessage = (event) => {
    put("took", `${(performance.now() - sent).toFixed(1)} ms`);
    put("echoed", event.data);
  };
  socket.onclose = () => {
    put("socket-state", "Not connected: trying again.");
    setTimeout(open, wait);
    wait = Math.min(wait * 2, 30000);
  };
}
open();

at("echo").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  sent = performance.now();
  socket.send(at("message").value);
});
