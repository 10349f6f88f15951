/**
 * Prints the token ids of texts as the page makes them: node test/token_ids.mjs MODEL < texts.json
 *
 * MODEL is a folder with `tokenizer.json` and `tokenizer_config.json`. One line a text.
 */

import { readFileSync } from "node:fs";
import path from "node:path";
import { BertTokenizer } from "../src/tokenizer.js";

const read = (file) => JSON.parse(readFileSync(path.join(process.argv[2], file), "utf8"));
const tokenizer = new BertTokenizer(read("tokenizer.json"), read("tokenizer_config.json"), 512);
const texts = JSON.parse(readFileSync(0, "utf8"));
console.log(texts.map((text) => tokenizer.tokenIds(text).join(" ")).join("\n"));
