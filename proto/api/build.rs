//! Compiles the `.proto` files without a `protoc` on the machine.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const FILES: [&str; 7] = [
    "kvatlas/v1/scorer.proto",
    "kvatlas/v1/index.proto",
    "kvatlas/v1/raft.proto",
    "kvatlas/v1/routes.proto",
    "kvatlas/v1/store.proto",
    "kvatlas/v1/store_admin.proto",
    "indexer/v1/indexer.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let include = [PathBuf::from(".."), PathBuf::from("../compat")];
    for folder in ["../kvatlas", "../compat"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    let descriptors = protox::compile(FILES, &include)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Prompts stay in the buffer that they came in.
        .bytes(".kvatlas.v1.ScoreRequest")
        // So do the entries of a log.
        .bytes(".kvatlas.v1.RaftAppendRequest")
        .bytes(".kvatlas.v1.RaftCall")
        .bytes(".kvatlas.v1.RaftReply")
        .bytes(".kvatlas.v1.RaftSnapshotPiece")
        // Batches come in large numbers and from a socket: they are read by hand,
        // in bounds (src/batch.rs).
        .extern_path(".kvatlas.v1.AppendRequest", "crate::AppendRequest")
        // So are the thousands of ids of a prompt (src/token_ids.rs).
        .extern_path(".kvatlas.v1.TokenIds", "crate::TokenIds")
        // A user's text and salt must not be printable by accident.
        .skip_debug([
            ".kvatlas.v1.ScoreRequest",
            ".indexer.v1.GetPodScoresRequest",
        ])
        .skip_debug([".kvatlas.v1.ScoreRequest.input"])
        .compile_fds(descriptors)?;
    Ok(())
}
