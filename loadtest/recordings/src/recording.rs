//! One recorded server: what it was, what it published, what it was asked.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use crate::request::{RawRequest, RecordedRequest};

/// What one vLLM server published and answered.
#[derive(Debug)]
pub struct Recording {
    /// The file name without its endings, such as `v0.32.0-sha256_cbor`.
    pub tag: String,
    /// How the server was configured.
    pub meta: EngineMeta,
    /// Its messages, in order.
    pub published: Vec<Published>,
    /// The requests it was sent, in order.
    pub requests: Vec<RecordedRequest>,
}

/// How the server was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineMeta {
    /// vLLM's version text.
    pub version: String,
    /// `--prefix-caching-hash-algo`.
    pub algorithm: String,
    /// `PYTHONHASHSEED`.
    pub seed: String,
    /// `--block-size`, in tokens.
    pub block_size: u32,
    /// Blocks of its cache, with the one that vLLM never uses.
    pub blocks: u32,
}

/// One message as it was sent.
#[derive(Debug, Clone)]
pub struct Published {
    /// When the engine made it, in seconds since the Unix epoch: the time in the
    /// payload. When it was received is up to some milliseconds later, which may
    /// be after the next request was sent.
    pub made_at: f64,
    /// Its topic frame.
    pub topic: String,
    /// Its number.
    pub sequence: u64,
    /// Its sequence frame.
    pub sequence_frame: Bytes,
    /// Its payload frame.
    pub payload: Bytes,
}

/// Why a recording could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file is not there or cannot be read.
    #[error("cannot read {path}; give the folder that holds the recordings")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A line is not what the format says.
    #[error("{path}, line {line}: not a recording's line")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// A payload does not begin with its time.
    #[error("{path}, line {line}: payload_b64 is no batch that begins with its time")]
    Time {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A field is not base64.
    #[error("{path}, line {line}: {field} is not base64")]
    Base64 {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The field.
        field: &'static str,
    },
}

impl Recording {
    /// Reads `TAG.meta.json`, `TAG.events.jsonl` and `TAG.requests.jsonl`.
    pub fn load(traces: &Path, tag: &str) -> Result<Self, RecordingError> {
        let file = |ending: &str| traces.join(format!("{tag}.{ending}"));
        let raw: RawMeta = parse_lines(&file("meta.json"))?.remove(0);
        let meta = EngineMeta {
            version: raw.vllm.version,
            algorithm: raw.algo,
            seed: raw.seed,
            block_size: raw.block_size,
            blocks: raw.blocks,
        };
        let requests: Vec<RawRequest> = parse_lines(&file("requests.jsonl"))?;
        Ok(Self {
            tag: tag.to_owned(),
            meta,
            published: published(&file("events.jsonl"))?,
            requests: requests.into_iter().map(RecordedRequest::from).collect(),
        })
    }

    /// The tags of all recordings in a folder, sorted.
    pub fn tags(traces: &Path) -> Result<Vec<String>, RecordingError> {
        let failed = |source| RecordingError::Read {
            path: traces.to_owned(),
            source,
        };
        let mut tags = Vec::new();
        for entry in fs::read_dir(traces).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(tag) = name
                .to_str()
                .and_then(|name| name.strip_suffix(".meta.json"))
            {
                tags.push(tag.to_owned());
            }
        }
        tags.sort();
        Ok(tags)
    }
}

fn published(path: &Path) -> Result<Vec<Published>, RecordingError> {
    let raw: Vec<RawPublished> = parse_lines(path)?;
    let decode = |line: usize, field, text: &str| {
        STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(|_| RecordingError::Base64 {
                path: path.to_owned(),
                line: line + 1,
                field,
            })
    };
    raw.into_iter()
        .enumerate()
        .map(|(line, raw)| {
            let payload = decode(line, "payload_b64", &raw.payload_b64)?;
            let made_at = made_at(&payload).ok_or_else(|| RecordingError::Time {
                path: path.to_owned(),
                line: line + 1,
            })?;
            Ok(Published {
                made_at,
                topic: raw.topic,
                sequence: raw.seq,
                sequence_frame: decode(line, "seq_b64", &raw.seq_b64)?,
                payload,
            })
        })
        .collect()
}

/// The first field of the batch: an array's head, then a 64-bit float.
fn made_at(payload: &[u8]) -> Option<f64> {
    match payload {
        [0x92 | 0x93, 0xcb, rest @ ..] => Some(f64::from_be_bytes(*rest.first_chunk()?)),
        _ => None,
    }
}

fn parse_lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>, RecordingError> {
    let text = fs::read_to_string(path).map_err(|source| RecordingError::Read {
        path: path.to_owned(),
        source,
    })?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(line, json)| {
            serde_json::from_str(json).map_err(|source| RecordingError::Line {
                path: path.to_owned(),
                line: line + 1,
                source,
            })
        })
        .collect()
}

#[derive(Deserialize)]
struct RawMeta {
    algo: String,
    vllm: RawVersion,
    seed: String,
    block_size: u32,
    blocks: u32,
}

#[derive(Deserialize)]
struct RawVersion {
    version: String,
}

#[derive(Deserialize)]
struct RawPublished {
    topic: String,
    seq: u64,
    seq_b64: String,
    payload_b64: String,
}
