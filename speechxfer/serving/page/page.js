// A recording or the microphone in; the transcript, row by row as the server sends it, and files of it out.
"use strict";

const $ = (id) => document.getElementById(id);
const headers = () => ($("key").value ? { Authorization: `Bearer ${$("key").value}` } : {});
let segments = [];
let recorder = null;

const say = (text) => { $("status").textContent = text; };

const clock = (seconds, point) => {
  const ms = Math.round(1000 * seconds);
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  return `${two(ms / 3600000)}:${two((ms / 60000) % 60)}:${two((ms / 1000) % 60)}${point}${String(ms % 1000).padStart(3, "0")}`;
};

function show(segment) {
  const row = $("rows").insertRow();
  for (const seconds of [segment.start, segment.end]) row.insertCell().textContent = clock(seconds, ".");
  row.insertCell().textContent = segment.channel === null ? "" : segment.channel + 1;
  const text = row.insertCell();
  segment.words.forEach((word, number) => {
    const part = document.createElement("span");
    part.textContent = word.word;
    if (word.confidence < 0.5) part.className = "doubtful";
    text.append(number ? " " : "", part);
  });
  if (!segment.words.length) text.textContent = segment.text;
  row.insertCell().textContent = `${Math.round(100 * segment.confidence)} %`;
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    waiting += value;
    const whole = waiting.split("\n\n");
    waiting = whole.pop();
    for (const event of whole) yield JSON.parse(event.slice("data: ".length));
  }
}

async function transcribe(file) {
  segments = [];
  $("rows").replaceChildren();
  for (const id of ["srt", "json"]) $(id).disabled = true;
  say("Listening to the recording.");
  const body = new FormData();
  body.append("file", file, "recording");
  body.append("model", $("model").value);
  body.append("channels", $("channels").value);
  body.append("stream", "true");
  const response = await fetch("v1/audio/transcriptions", { method: "POST", body, headers: headers() });
  if (!response.ok) throw new Error((await response.json()).error.message);
  for await (const event of events(response)) {
    if (event.error) throw new Error(event.error.message);
    if (event.type !== "transcript.text.delta") continue;
    const segment = { ...event.segment, text: event.delta.trim() };
    segments.push(segment);
    show(segment);
  }
  segments.sort((one, two) => one.start - two.start);
  say(segments.length ? "Done." : "Done: no speech was found.");
  for (const id of ["srt", "json"]) $(id).disabled = !segments.length;
}

const failed = (error) => say(`Failed: ${error.message}`);

function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function speak() {
  if (recorder) {
    recorder.stop();
    return;
  }
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const parts = [];
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = () => {
    for (const track of stream.getTracks()) track.stop();
    recorder = null;
    $("speak").textContent = "Speak";
    $("speak").setAttribute("aria-pressed", "false");
    transcribe(new Blob(parts)).catch(failed);
  };
  recorder.start();
  $("speak").textContent = "Stop and transcribe";
  $("speak").setAttribute("aria-pressed", "true");
  say("Speak now.");
}

async function models() {
  const response = await fetch("v1/models", { headers: headers() });
  $("keyline").hidden = response.status !== 401 && !$("key").value;
  if (!response.ok) return;
  const names = (await response.json()).data.map((model) => new Option(model.id));
  $("model").replaceChildren(...names);
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = $("file").files;
  if (file) transcribe(file).catch(failed);
  else say("Choose a recording first.");
});
$("drop").addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("over"); });
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
$("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  if (event.dataTransfer.files.length) $("file").files = event.dataTransfer.files;
});
$("speak").addEventListener("click", () => speak().catch(failed));
$("key").addEventListener("change", () => models().catch(failed));
$("json").addEventListener("click", () => download("transcript.json", JSON.stringify({ segments }, null, 1), "application/json"));
$("srt").addEventListener("click", () => {
  const cue = (one, number) => `${number + 1}\n${clock(one.start, ",")} --> ${clock(one.end, ",")}\n${one.text}\n`;
  download("transcript.srt", segments.map(cue).join("\n"), "application/x-subrip");
});
models().catch(failed);
