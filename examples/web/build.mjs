/**
 * Makes the page for a model: npm run build -- MODEL [--name NAME] [--output FOLDER]
 *
 * MODEL is what `keras-bert-kit export ... --format litert` wrote. NAME, by default the folder's
 * name, is what the page calls the model; FOLDER is `dist` beside this file by default.
 */

import { createHash } from "node:crypto";
import { cp, mkdir, readFile, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const WASM = path.join(HERE, "node_modules/@litertjs/core/wasm");
const MODEL_FILES = ["model.ids.tflite", "labels.txt", "tokenizer.json", "tokenizer_config.json"];
// With the faster instructions (relaxed SIMD) and without; LiteRT.js takes what the browser has.
const WASM_FILES = ["litert_wasm_internal", "litert_wasm_compat_internal"];

async function makePage(model, name, output) {
  await rm(output, { recursive: true, force: true });
  await mkdir(path.join(output, "model"), { recursive: true });
  for (const file of MODEL_FILES) {
    await cp(path.join(model, file), path.join(output, "model", file));
  }
  for (const file of WASM_FILES) {
    await cp(path.join(WASM, `${file}.js`), path.join(output, `${file}.js`));
    await cp(path.join(WASM, `${file}.wasm`), path.join(output, `${file}.wasm`));
  }
  for (const file of ["index.html", "style.css", "icon.svg"]) {
    await cp(path.join(HERE, "src", file), path.join(output, file));
  }
  await bundle(["page.js", "worker.js"], { MODEL_NAME: JSON.stringify(name) }, output);
  const version = await fingerprint(output);
  await bundle(["service_worker.js"], { VERSION: JSON.stringify(version) }, output);
}

function bundle(scripts, define, output) {
  return build({
    entryPoints: scripts.map((script) => path.join(HERE, "src", script)),
    outdir: output,
    bundle: true,
    minify: true,
    format: "iife", // not a module, so that LiteRT.js can use importScripts in the worker
    target: "es2022",
    legalComments: "none",
    define,
  });
}

/** Gives another text for other files, so that browsers drop the ones they keep. */
async function fingerprint(folder) {
  const hash = createHash("sha256");
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  for (const file of files.map((entry) => path.join(entry.parentPath, entry.name)).sort()) {
    hash.update(path.relative(folder, file)).update(await readFile(file));
  }
  return hash.digest("hex").slice(0, 16);
}

const { values, positionals } = parseArgs({
  options: { name: { type: "string" }, output: { type: "string" } },
  allowPositionals: true,
});
if (positionals.length !== 1) {
  console.error("Usage: npm run build -- MODEL [--name NAME] [--output FOLDER]");
  process.exit(2);
}
const model = path.resolve(positionals[0]);
const output = path.resolve(values.output ?? path.join(HERE, "dist"));
const present = await readdir(model).catch(() => []);
const missing = MODEL_FILES.filter((file) => !present.includes(file));
if (missing.length > 0) {
  console.error(`${model} must hold ${MODEL_FILES.join(", ")}. Missing: ${missing.join(", ")}.`);
  console.error("Make it with: keras-bert-kit export CLASSIFIER --format litert --output MODEL");
  process.exit(2);
}
const old = await readdir(output).catch(() => []);
if (old.length > 0 && !old.includes("service_worker.js")) {
  console.error(`${output} holds other files than a page made before. Name another --output.`);
  process.exit(2);
}
await makePage(model, values.name ?? path.basename(model), output);
console.log(`Wrote ${path.relative(process.cwd(), output) || output}`);
