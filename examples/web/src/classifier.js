/** A model folder as `keras-bert-kit export --format litert` writes it, run by LiteRT.js. */

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { BertTokenizer } from "./tokenizer.js";

export class Classifier {
  /**
   * Loads the model of a folder.
   *
   * @param folder Address of the folder, with a slash at its end.
   * @param onProgress Called with the part of the model's file that has come, from 0 to 1.
   */
  static async load(folder, onProgress) {
    const [file, settings, labels, bytes] = await Promise.all([
      get(`${folder}tokenizer.json`).then((response) => response.json()),
      get(`${folder}tokenizer_config.json`).then((response) => response.json()),
      get(`${folder}labels.txt`).then((response) => response.text()),
      get(`${folder}model.ids.tflite`).then((response) => download(response, onProgress)),
    ]);
    if (String.fromCharCode(...bytes.subarray(4, 8)) !== "TFL3") {
      throw new Error(`${folder}model.ids.tflite is not a LiteRT model.`);
    }
    self.Module = { printErr: log }; // LiteRT.js hands it to its WebAssembly module
    await loadLiteRt("./");
    const model = await loadAndCompile(bytes, { accelerator: "wasm" });
    return new Classifier(model, file, settings, labels.trimEnd().split("\n"), bytes.length);
  }

  constructor(model, file, settings, labels, size) {
    this.model = model;
    this.labels = labels;
    this.size = size;
    this.inputs = model.getInputDetails().map((input) => ({ ...input, as: role(input.name) }));
    const [output] = model.getOutputDetails();
    this.output = output.name;
    const shapes = this.inputs.map(({ shape }) => `[${shape.join(", ")}]`);
    const [batch, length] = this.inputs[0].shape;
    if (batch !== 1 || !(length > 2) || new Set(shapes).size !== 1) {
      throw new Error(`The inputs must be of one fixed shape [1, length], not ${shapes.join(" ")}.`);
    }
    const count = output.shape.at(-1);
    if (count !== labels.length) {
      throw new Error(`labels.txt names ${labels.length} labels, the model has ${count}.`);
    }
    this.tokenizer = new BertTokenizer(file, settings, length);
  }

  /** Gives the probability of each label for a text, and what it took. */
  async classify(text) {
    const start = performance.now();
    const { inputs, tokens } = this.tokenizer.encode(text);
    const tokenized = performance.now();
    const tensors = Object.fromEntries(
      this.inputs.map(({ name, shape, as }) => [name, new Tensor(inputs[as], [...shape])]),
    );
    const outputs = await this.model.run(tensors);
    const probabilities = [...outputs[this.output].toTypedArray()];
    const end = performance.now();
    for (const tensor of [...Object.values(tensors), ...Object.values(outputs)]) {
      tensor.delete();
    }
    const milliseconds = { tokenizer: tokenized - start, model: end - tokenized };
    return { probabilities, tokens, milliseconds };
  }
}

/** Writes what LiteRT tells of its start to the console's details, and errors to the errors. */
function log(line) {
  (/^(INFO|VERBOSE|WARNING):/.test(line) ? console.debug : console.error)(line);
}

/** Tells which input a tensor is, such as "serving_default_ids:0". */
function role(name) {
  const plain = name.replace(/:\d+$/, "");
  const found = ["segment_ids", "mask", "ids"].find((input) => plain.endsWith(input));
  if (!found) {
    throw new Error(`The inputs must be ids, mask and segment_ids. One is named ${name}.`);
  }
  return found;
}

async function get(address) {
  const response = await fetch(address).catch((error) => {
    throw new Error(`${address} cannot be fetched: ${error.message}.`);
  });
  if (!response.ok) {
    const answer = `the server answered ${response.status} for ${address}`;
    throw new Error(`The model was not found: ${answer}.`);
  }
  return response;
}

async function download(response, onProgress) {
  const total = Number(response.headers.get("content-length"));
  const parts = [];
  let size = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    parts.push(value);
    size += value.length;
    onProgress(total > 0 ? Math.min(size / total, 1) : 0);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
