/** Text to the three inputs of BERT, with the ids of the `tokenizers` library in Python. */

import { Tokenizer } from "@huggingface/tokenizers";

// Each is a word of its own. The JavaScript library sees those of 16 bits alone.
const RARE_IDEOGRAPH =
  /[\u{20000}-\u{2A6DF}\u{2A700}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

export class BertTokenizer {
  /**
   * @param file What `tokenizer.json` holds.
   * @param settings What `tokenizer_config.json` holds.
   * @param length How many tokens the model takes, [CLS] and [SEP] included.
   */
  constructor(file, settings, length) {
    const readAsText = (token) => token.special && settings.split_special_tokens === true;
    const added = file.added_tokens.filter((token) => !readAsText(token));
    this.tokenizer = new Tokenizer({ ...file, added_tokens: added }, settings);
    this.lowerCases = file.normalizer.lowercase;
    this.length = length;
  }

  /** Gives the ids of a text, however many, with [CLS] and [SEP] around them. */
  tokenIds(text) {
    let prepared = text.replace(RARE_IDEOGRAPH, " $& ");
    if (this.lowerCases) {
      prepared = prepared.replaceAll("Σ", "σ"); // JavaScript would write ς at the end of a word
    }
    return this.tokenizer.encode(prepared).ids;
  }

  /** Gives `ids`, `mask` and `segment_ids` as int32 arrays, and how many tokens the text has. */
  encode(text) {
    const all = this.tokenIds(text);
    const used = all.length > this.length ? [...all.slice(0, this.length - 1), all.at(-1)] : all;
    const inputs = {
      ids: new Int32Array(this.length),
      mask: new Int32Array(this.length).fill(1, 0, used.length),
      segment_ids: new Int32Array(this.length),
    };
    inputs.ids.set(used);
    return { inputs, tokens: all.length };
  }
}
