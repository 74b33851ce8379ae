//! Tokenizers of the common forms: the recorded model's with other rules, and one
//! of the SentencePiece kind.

use std::sync::LazyLock;

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::model::TokenReuse;

/// One tokenizer, and how far it can be reused.
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) tokenizer: Tokenizer,
    pub(super) extent: TokenReuse,
    /// Whether added tokens take spaces: then words are told apart by ids only.
    pub(super) strips: bool,
}

const QWEN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;
const DEEPSEEK_CJK: &str = "[一-龥\u{3040}-ゟ゠-ヿ]+";

/// The patterns of the common families.
pub(super) const PATTERNS: [&str; 5] = [QWEN, LLAMA_3, GPT_2, O200K, DEEPSEEK];

fn split(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

fn bytes(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

fn sequence(steps: &[Value]) -> Value {
    json!({"type": "Sequence", "pretokenizers": steps})
}

fn token(id: u32, content: &str) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
    })
}

fn recorded() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/vllm/model/tokenizer.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Bytes, a few letters and a few merges, as SentencePiece models have them.
fn pieces() -> Value {
    let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
    let others = [
        "<unk>", "▁", "t", "h", "e", "▁t", "th", "▁th", "▁the", "▁▁", "he",
    ];
    let vocab: serde_json::Map<_, _> = others
        .iter()
        .map(|piece| (*piece).to_owned())
        .chain(bytes)
        .zip((0..).map(Value::from))
        .collect();
    let mut tokenizer = recorded();
    tokenizer["model"] = json!({
        "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
        "vocab": vocab,
        "merges": [["▁", "t"], ["▁t", "h"], ["▁th", "e"], ["t", "h"], ["h", "e"], ["▁", "▁"]],
    });
    tokenizer["normalizer"] = Value::Null;
    tokenizer["pre_tokenizer"] = Value::Null;
    tokenizer["added_tokens"] = json!([token(267, "<|im_start|>"), token(268, "<|im_end|>")]);
    tokenizer
}

struct Maker {
    base: Value,
    forms: Vec<Form>,
}

impl Maker {
    /// Adds the base tokenizer with some fields replaced.
    fn add(&mut self, name: &'static str, extent: TokenReuse, fields: &[(&str, Value)]) {
        let mut tokenizer = self.base.clone();
        for (pointer, value) in fields {
            *tokenizer.pointer_mut(pointer).unwrap() = value.clone();
        }
        let strips = tokenizer["added_tokens"]
            .to_string()
            .contains("strip\":true");
        self.forms.push(Form {
            name,
            tokenizer: Tokenizer::from_bytes(tokenizer.to_string()).unwrap(),
            extent,
            strips,
        });
    }

    fn words(&mut self, name: &'static str, fields: &[(&str, Value)]) {
        self.add(name, TokenReuse::Words, fields);
    }

    fn segments(&mut self, name: &'static str, because: &'static str, fields: &[(&str, Value)]) {
        self.add(name, TokenReuse::Segments { because }, fields);
    }

    fn nothing(&mut self, name: &'static str, because: &'static str, fields: &[(&str, Value)]) {
        self.add(name, TokenReuse::Nothing { because }, fields);
    }
}

const PRE: &str = "/pre_tokenizer";
const NORMALIZER: &str = "/normalizer";
const ADDED: &str = "/added_tokens";

/// One of each form.
pub(super) fn forms() -> &'static [Form] {
    static FORMS: LazyLock<Vec<Form>> = LazyLock::new(make);
    &FORMS
}

fn make() -> Vec<Form> {
    let mut maker = Maker {
        base: recorded(),
        forms: Vec::new(),
    };
    byte_level(&mut maker);
    refused(&mut maker);
    added_tokens(&mut maker);
    maker.base = pieces();
    sentence_pieces(&mut maker);
    maker.forms
}

fn byte_level(maker: &mut Maker) {
    let none = (NORMALIZER, Value::Null);
    let two = |pattern| sequence(&[split(pattern), bytes(false)]);
    let cjk = [
        split(r"\p{N}{1,3}"),
        split(DEEPSEEK_CJK),
        split(DEEPSEEK),
        bytes(false),
    ];
    let digits = json!({"type": "Digits", "individual_digits": true});
    let grouped = json!({"type": "Digits", "individual_digits": false});
    maker.words("recorded", &[]);
    maker.words("recorded without NFC", std::slice::from_ref(&none));
    maker.words("llama 3", &[none.clone(), (PRE, two(LLAMA_3))]);
    maker.words("o200k", &[none.clone(), (PRE, two(O200K))]);
    maker.words(
        "deepseek",
        &[
            (NORMALIZER, json!({"type": "Sequence", "normalizers": []})),
            (PRE, sequence(&cjk)),
        ],
    );
    maker.words("gpt-2", &[none.clone(), (PRE, bytes(true))]);
    maker.words("gpt-2 with NFC", &[(PRE, sequence(&[bytes(true)]))]);
    maker.words(
        "starcoder",
        &[none.clone(), (PRE, sequence(&[digits, bytes(true)]))],
    );
    maker.words(
        "grouped digits",
        &[(PRE, sequence(&[grouped, split(GPT_2), bytes(false)]))],
    );
    maker.words(
        "ideographic stops join",
        &[(PRE, two(r"\p{L}+[。，]?|[^\p{L}]"))],
    );
}

fn refused(maker: &mut Maker) {
    let normaliser = "its normaliser is neither absent nor NFC";
    for kind in ["NFKC", "NFD", "Lowercase"] {
        maker.segments(kind, normaliser, &[(NORMALIZER, json!({"type": kind}))]);
    }
    let unknown = "its pre-tokenizer is not one of those known to end words";
    let prefix = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    maker.segments("prefix space", unknown, &[(PRE, prefix)]);
    let bytes_first = sequence(&[bytes(false), split(QWEN)]);
    maker.segments("bytes before words", unknown, &[(PRE, bytes_first)]);
    let mut merged = split(QWEN);
    merged["behavior"] = json!("MergedWithPrevious");
    maker.segments(
        "merged",
        unknown,
        &[(PRE, sequence(&[merged, bytes(false)]))],
    );
    let spanning = sequence(&[split(r"\p{L}+\s*|\s+"), bytes(false)]);
    let across = "its pattern may match across the end of a word";
    maker.segments("words with spaces", across, &[(PRE, spanning)]);
    let possessive = sequence(&[split(r"\p{L}++|\s++"), bytes(false)]);
    maker.segments(
        "possessive",
        "its pattern is not understood",
        &[(PRE, possessive)],
    );
    let numbers = sequence(&[split(r"\p{N}+"), bytes(false)]);
    let ends = "no step of its pre-tokenizer is known to end words";
    maker.segments("only numbers", ends, &[(PRE, numbers)]);
    maker.nothing(
        "dropout",
        "the tokenizer's merges are random (dropout)",
        &[("/model/dropout", json!(0.5))],
    );
}

fn added_tokens(maker: &mut Maker) {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut mask = token(4093, "<mask>");
        change(&mut mask);
        let tokens = json!([token(4094, "<|im_start|>"), token(4095, "<|im_end|>"), mask]);
        (ADDED, tokens)
    };
    let set = |fields: &'static [&'static str]| {
        with(&move |mask: &mut Value| {
            for field in fields {
                mask[*field] = json!(true);
            }
        })
    };
    maker.words("lstrip", &[set(&["lstrip"])]);
    maker.words("rstrip", &[set(&["rstrip"])]);
    maker.words("both strip", &[set(&["lstrip", "rstrip"])]);
    maker.words("normalized", &[set(&["normalized"])]);
    let around = "an added token looks at the text around it";
    maker.segments(
        "normalized lstrip",
        around,
        &[set(&["normalized", "lstrip"])],
    );
    maker.segments(
        "normalized rstrip",
        around,
        &[set(&["normalized", "rstrip"])],
    );
    maker.segments(
        "normalized word",
        around,
        &[set(&["normalized", "single_word"])],
    );
    let single = "an added token is matched as a single word only";
    maker.nothing("single word", single, &[set(&["single_word"])]);
    let spaced = with(&|mask| {
        mask["content"] = json!("the word");
        mask["normalized"] = json!(true);
    });
    maker.segments(
        "normalized with a space",
        "an added token has a word end in it",
        &[spaced],
    );
    let spaced = with(&|mask| mask["content"] = json!(" word"));
    maker.words("raw with a space", &[spaced]);
    let takes = with(&|mask| {
        mask["content"] = json!(" word");
        mask["rstrip"] = json!(true);
    });
    let because = "added tokens take spaces that other added tokens begin with";
    maker.nothing("takes spaces of others", because, &[takes]);
}

fn sentence_pieces(maker: &mut Maker) {
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let prepend = json!({"type": "Prepend", "prepend": "▁"});
    let llama = json!({"type": "Sequence", "normalizers": [prepend, replace]});
    let normaliser = "its normaliser is neither absent nor NFC";
    maker.segments("llama 2", normaliser, &[(NORMALIZER, llama)]);
    let gemma = json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false});
    maker.segments("gemma", normaliser, &[(NORMALIZER, replace), (PRE, gemma)]);
    let unknown = "its pre-tokenizer is not one of those known to end words";
    for (name, scheme, split) in [
        ("metaspace first", "first", false),
        ("metaspace first, split", "first", true),
        ("metaspace always", "always", true),
        ("metaspace never", "never", true),
    ] {
        let metaspace = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
        maker.segments(name, unknown, &[(PRE, metaspace.clone())]);
        if split {
            let steps = sequence(&[
                metaspace,
                json!({"type": "Punctuation", "behavior": "Isolated"}),
            ]);
            maker.segments(name, unknown, &[(PRE, steps)]);
        }
    }
    maker.segments("no words", "it does not split text into words", &[]);
}
