/** The page: asks the worker for the text as it is typed, and shows its answers. */

import { keepForOffline, takeControl } from "./offline.js";

const PAUSE = 250; // milliseconds without a key after which the text is classified
const SECONDS_TO_KEEP = 120;

const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });

const $ = (id) => document.getElementById(id);
const main = document.querySelector("main");

let worker;
let model; // what the worker told when it was ready
let controlled = false; // whether the service worker sees what is fetched
let running = false;
let timer;

start();

async function start() {
  $("model-name").textContent = MODEL_NAME;
  document.title = `${MODEL_NAME} · Text classifier`;
  $("text").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(classify, PAUSE);
    markBusy();
  });
  $("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      $("form").requestSubmit();
    }
  });
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    classify();
  });
  if (typeof WebAssembly === "undefined") {
    fail("This browser has no WebAssembly, or it is switched off. The model needs it.");
    return;
  }
  const obstacle = await takeControl();
  controlled = obstacle === undefined;
  worker = new Worker("worker.js");
  worker.addEventListener("error", () => fail("The program of the page could not be loaded."));
  worker.addEventListener("message", ({ data }) => handlers[data.type](data));
  if (!controlled) {
    showOffline(false, obstacle);
  }
}

const handlers = {
  progress({ part }) {
    $("progress").value = part;
  },

  async ready(message) {
    model = message;
    main.dataset.state = "ready";
    $("loading").hidden = true;
    $("classify").disabled = false;
    $("labels").textContent = model.labels.join(", ");
    $("length").textContent = `${model.length} tokens`;
    $("size").textContent = `${one.format(model.size / 1e6)} MB`;
    $("bars").replaceChildren(...model.labels.map(bar));
    classify();
    if (controlled) {
      const kept = await keepForOffline(model.files, SECONDS_TO_KEEP);
      showOffline(kept, "This browser did not keep the files.");
    }
  },

  answer({ text, probabilities, tokens, milliseconds }) {
    running = false;
    if (text !== typed()) {
      classify();
      return;
    }
    showProbabilities(probabilities);
    $("tokens").textContent = `${Math.min(tokens, model.length)} of ${model.length}`;
    $("tokenizer-time").textContent = `${one.format(milliseconds.tokenizer)} ms`;
    $("model-time").textContent = `${one.format(milliseconds.model)} ms`;
    if (tokens > model.length) {
      note(`The text was cut: it has ${tokens} tokens, the model read ${model.length}.`, "cut");
    } else {
      note("");
    }
    markBusy();
  },

  error({ message }) {
    fail(message);
  },
};

function typed() {
  return $("text").value.trim();
}

function classify() {
  clearTimeout(timer);
  timer = undefined;
  if (!model || running) {
    return; // the answer of the run that is under way asks again
  }
  if (typed() === "") {
    showProbabilities(undefined);
    for (const id of ["tokens", "tokenizer-time", "model-time"]) {
      $(id).textContent = "–";
    }
    note("The answer comes as you type.");
  } else {
    running = true;
    worker.postMessage(typed());
  }
  markBusy();
}

/** Tells whether the answer shown is that of the text. */
function markBusy() {
  $("answer").setAttribute("aria-busy", String(running || timer !== undefined));
}

function bar(label) {
  const row = document.createElement("li");
  const name = document.createElement("span");
  name.className = "name";
  name.dir = "auto";
  name.textContent = label;
  const track = document.createElement("span");
  track.className = "track";
  const number = document.createElement("data");
  row.append(name, track, number);
  return row;
}

function showProbabilities(probabilities) {
  const best = probabilities?.indexOf(Math.max(...probabilities));
  [...$("bars").children].forEach((row, index) => {
    const value = probabilities?.[index];
    const number = row.querySelector("data");
    number.value = value ?? "";
    number.textContent = value === undefined ? "–" : percent.format(value);
    row.style.setProperty("--part", value ?? 0);
    row.classList.toggle("best", index === best);
  });
  $("summary").textContent = probabilities
    ? `${model.labels[best]}, ${percent.format(probabilities[best])}`
    : "";
}

function note(text, kind = "") {
  $("note").textContent = text;
  $("note").className = kind;
}

function showOffline(ready, obstacle) {
  const pill = $("offline");
  pill.hidden = false;
  pill.dataset.ready = ready;
  pill.textContent = ready ? "Ready offline" : "Needs the network";
  pill.title = ready ? "This browser keeps the page, the model and the vocabulary." : obstacle;
}

function fail(message) {
  main.dataset.state = "error";
  model = undefined;
  $("loading").hidden = true;
  $("classify").disabled = true;
  $("error").hidden = false;
  $("error-message").textContent = message;
}
