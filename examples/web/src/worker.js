/** Runs the classifier beside the page, which stays quick while the model computes. */

import { Classifier } from "./classifier.js";

const loading = Classifier.load("model/", (part) => postMessage({ type: "progress", part }));

guard(
  loading.then(({ labels, size, tokenizer }) => {
    const files = performance.getEntriesByType("resource").map((entry) => entry.name);
    postMessage({ type: "ready", labels, size, length: tokenizer.length, files });
  }),
);

addEventListener("message", ({ data: text }) =>
  guard(
    loading.then(async (classifier) =>
      postMessage({ type: "answer", text, ...(await classifier.classify(text)) }),
    ),
  ),
);

/** Tells the page of an error. WebAssembly throws things that are no `Error`, too. */
function guard(promise) {
  return promise.catch((error) =>
    postMessage({ type: "error", message: error.message ?? String(error) }),
  );
}
