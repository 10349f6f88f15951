/**
 * Uses the page as a person does:
 *
 *     node test/drive.mjs BROWSER ADDRESS PROFILE [options] < texts.json
 *
 * BROWSER is Chromium's program, PROFILE the folder in which it keeps its state from one run to the
 * next. Prints, as JSON, what the page showed for each text, what the console said, and which
 * addresses were asked.
 */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
  "--disable-background-networking", "--disable-component-update",
];

const { values: options, positionals } = parseArgs({
  options: {
    "without-webassembly": { type: "boolean" },
    screenshot: { type: "string" },
    dark: { type: "boolean" },
    width: { type: "string", default: "800" },
  },
  allowPositionals: true,
});
const [browser, address, profile] = positionals;
const texts = JSON.parse(readFileSync(0, "utf8"));

const context = await chromium.launchPersistentContext(profile, {
  executablePath: browser,
  args: FLAGS,
  colorScheme: options.dark ? "dark" : "light",
  viewport: { width: Number(options.width), height: 600 },
});
const page = context.pages()[0];
const result = { console: [], requests: [], answers: [] };
page.on("console", (message) => result.console.push(`${message.type()}: ${message.text()}`));
page.on("pageerror", (error) => result.console.push(`error: ${error.message}`));
context.on("request", (request) => result.requests.push(request.url()));
if (options["without-webassembly"]) {
  await page.addInitScript(() => delete globalThis.WebAssembly);
}

await page.goto(address);
await page.waitForSelector('main:not([data-state="loading"])', { timeout: 120_000 });
result.state = await page.getAttribute("main", "data-state");
if (result.state === "ready") {
  await page.waitForSelector("#offline:not([hidden])", { timeout: 120_000 });
  for (const text of texts) {
    result.answers.push(await ask(text));
  }
}
result.shown = await page.innerText("main");
if (options.screenshot) {
  await page.waitForTimeout(400);
  await page.screenshot({ path: options.screenshot, fullPage: true });
}
await context.close();
console.log(JSON.stringify(result));

/** Types a text and reads the answer; the texts take turns between the button and the pause. */
async function ask(text) {
  await page.fill("#text", text);
  if (result.answers.length % 2 === 0) {
    await page.click("#classify");
  }
  await page.waitForSelector('#answer[aria-busy="false"]');
  return page.evaluate(() => {
    const shown = (id) => document.getElementById(id).textContent;
    const rows = [...document.querySelectorAll("#bars li")];
    return {
      probabilities: rows.map((row) => row.querySelector("data").value).map((v) => v && Number(v)),
      rows: rows.map((row) => [...row.children].map((child) => child.textContent).filter(Boolean)),
      summary: shown("summary"),
      tokens: shown("tokens"),
      note: shown("note"),
      milliseconds: [shown("tokenizer-time"), shown("model-time")],
    };
  });
}
