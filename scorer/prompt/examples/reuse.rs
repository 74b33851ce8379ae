//! Checks the token cache with tokenizers as vendors ship them: made-up conversations
//! that grow, are cut and are changed, with the ids of the whole text beside those from
//! the cache.
//!
//! `cargo run --release -p scorer-prompt --example reuse -- [--seconds N] [--seed N] DIRECTORY...`
//!
//! Each directory holds a `tokenizer.json`. Prints a row for each, and fails if any ids
//! differ. All share one small cache, so most pieces are forgotten and made again.

#![expect(clippy::print_stdout, reason = "the table is the output")]

#[path = "reuse/texts.rs"]
mod texts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scorer_prompt::{Model, ModelOptions, TokenCache, TokenizeOptions, Truncate};

use texts::Texts;

const CACHE_BYTES: usize = 4 << 20;
/// Differing texts of one tokenizer that are shown.
const SHOWN: usize = 3;

struct Arguments {
    time: Duration,
    seed: u64,
    directories: Vec<PathBuf>,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments {
        time: Duration::from_secs(20),
        seed: 1,
        directories: Vec::new(),
    };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut number = || {
            let value = given
                .next()
                .ok_or_else(|| format!("{argument} needs a number"))?;
            let number: Result<u64, _> = value.parse();
            number.map_err(|_| format!("{argument} is {value:?}; expected a whole number"))
        };
        match argument.as_str() {
            "--seconds" => found.time = Duration::from_secs(number()?),
            "--seed" => found.seed = number()?,
            _ if argument.starts_with('-') => {
                return Err(format!(
                    "{argument} is not known; known are --seconds and --seed"
                ));
            }
            _ => found.directories.push(PathBuf::from(&argument)),
        }
    }
    if found.directories.is_empty() {
        return Err("no directory is given; name one or more with a tokenizer.json".to_owned());
    }
    Ok(found)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let cache = Arc::new(TokenCache::new(CACHE_BYTES));
    println!("| tokenizer | texts | MB | pieces found | differ | how far texts are reused |");
    println!("|---|---|---|---|---|---|");
    let mut exact = true;
    for directory in &arguments.directories {
        match Check::of(directory, &cache, &arguments) {
            Ok(check) => exact &= check.differing == 0,
            Err(error) => {
                println!("| {} | not loaded: {error} |", directory.display());
                exact = false;
            }
        }
    }
    if exact {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What was compared with one tokenizer.
#[derive(Default)]
struct Check {
    texts: u64,
    bytes: u64,
    differing: usize,
}

impl Check {
    fn of(
        directory: &Path,
        cache: &Arc<TokenCache>,
        arguments: &Arguments,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let options = ModelOptions {
            token_cache: Some(Arc::clone(cache)),
            ..ModelOptions::default()
        };
        let model = Model::from_directory("m", directory, options)?;
        let mut texts = Texts::new(arguments.seed, texts::added_tokens(directory)?);
        let (mut check, before) = (Self::default(), cache.stats());
        let started = Instant::now();
        while started.elapsed() < arguments.time {
            for text in texts.conversation() {
                check.compare(&model, &text, &mut texts)?;
            }
        }
        let after = cache.stats();
        let name = directory.file_name().unwrap_or(directory.as_os_str());
        println!(
            "| {} | {} | {:.0} | {} of {} | {} | {} |",
            name.display(),
            check.texts,
            check.bytes as f64 / 1e6,
            after.hits - before.hits,
            after.hits + after.misses - before.hits - before.misses,
            check.differing,
            model.token_reuse(),
        );
        Ok(check)
    }

    fn compare(
        &mut self,
        model: &Model,
        text: &str,
        texts: &mut Texts,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let options = TokenizeOptions {
            add_special_tokens: texts.below(2) == 0,
            truncate: [None, None, Some(Truncate::To(100))][texts.below(3)],
            truncate_right: texts.below(2) == 0,
        };
        let ids = model.tokenize(text, options, None)?;
        let whole = model.tokenize_in_full(text, options)?;
        self.texts += 1;
        self.bytes += text.len() as u64;
        if ids != whole {
            self.differing += 1;
            if self.differing <= SHOWN {
                let at = ids.iter().zip(&whole).position(|(one, other)| one != other);
                println!(
                    "differs at id {at:?}, {} ids and {} of the whole: {text:?}",
                    ids.len(),
                    whole.len(),
                );
            }
        }
        Ok(())
    }
}
