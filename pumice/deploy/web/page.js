// What people do on the page.
"use strict";

const SHOWN = 5; // classes of a picture
const KEPT = 50; // latencies that the median is taken of
const latencies = [];
const element = (id) => document.getElementById(id);
const say = (text) => (element("status").textContent = text);

function median(values) {
  const ordered = [...values].sort((a, b) => a - b);
  const middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
}

function told(ms) {
  latencies.push(ms);
  if (latencies.length > KEPT) latencies.shift();
  element("latency").textContent = `${median(latencies).toFixed(1)} ms`;
  element("runs").textContent = `median of the last ${latencies.length}, this browser, one thread`;
}

function bars(list, ranked) {
  list.replaceChildren(
    ...ranked.slice(0, SHOWN).map(([name, probability]) => {
      const item = document.createElement("li");
      const percent = `${(100 * probability).toFixed(1)} %`;
      const bar = document.createElement("span");
      bar.className = "bar";
      bar.style.width = `${100 * probability}%`;
      const [title, share] = [document.createElement("b"), document.createElement("i")];
      title.textContent = name;
      share.textContent = percent;
      item.append(bar, title, share);
      item.setAttribute("aria-label", `${name}, ${percent}`);
      return item;
    }),
  );
}

function card(name, picture) {
  const box = element("card").content.cloneNode(true).firstElementChild;
  box.querySelector("figcaption").textContent = name;
  picture.setAttribute("alt", name);
  box.querySelector("figure").prepend(picture);
  element("results").prepend(box);
  return box;
}

async function show(file) {
  const picture = new Image();
  picture.src = URL.createObjectURL(file);
  const box = card(file.name, picture);
  try {
    const { ranked, ms } = await pumice.classify(file);
    told(ms);
    bars(box.querySelector("ol"), ranked);
  } catch (error) {
    box.classList.add("failed");
    box.querySelector("p").textContent = `This is no picture that the browser can read (${error.message}).`;
  }
}

async function showAll(files) {
  say("");
  for (const file of files) await show(file); // one after the other, so that latencies are of one alone
}

const zone = element("drop");
element("files").addEventListener("change", (event) => showAll([...event.target.files]));
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) addEventListener(name, () => zone.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  showAll([...event.dataTransfer.files]);
});
addEventListener("paste", (event) => showAll([...event.clipboardData.files]));

// The camera: a picture as soon as the one before is done.
let stream = null;
const button = element("camera");

async function watch() {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, srcObject: stream });
  await video.play();
  const box = card("camera", video);
  while (stream) {
    const { ranked, ms } = await pumice.classify(video);
    told(ms);
    bars(box.querySelector("ol"), ranked);
    await new Promise(requestAnimationFrame);
  }
  video.srcObject = null;
  box.remove();
}

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  button.textContent = "Start the camera";
}

button.addEventListener("click", async () => {
  if (stream) return stop();
  if (!navigator.mediaDevices) return say("This browser lends its camera only to pages of https or localhost.");
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    button.textContent = "Stop the camera";
    await watch();
  } catch (error) {
    stop();
    say(`The camera cannot be used (${error.message}).`);
  }
});

say("Loading the network ...");
pumice.ready().then(
  () => say(""),
  (error) => say(`The network cannot run in this browser (${error.message}).`),
);
