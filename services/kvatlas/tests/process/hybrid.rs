//! A model with sliding-window layers beside full attention: four groups that
//! each announce their own blocks, of which only one is prefix-complete.

use crate::running::{Engine, Running, parsed, run, settled};

const MODEL: &str = "Qwen3-32B";

/// The experiment's prompt: 320 tokens.
fn prompt() -> String {
    let ids: Vec<String> = (0..320).map(|index| (18 + 5 * index).to_string()).collect();
    ids.join(",")
}

fn reusable(standalone: &Running) -> u64 {
    let asked = [
        "score",
        "--server",
        &standalone.grpc,
        "--json",
        "--model",
        MODEL,
    ];
    let answer = parsed(&run(&[&asked[..], &["--tokens", &prompt()]].concat()));
    answer["endpoints"].get(0).map_or(0, |endpoint| {
        endpoint["reusable_tokens"].as_u64().expect("a number")
    })
}

/// The engine's own `cached_tokens` for the prompt, and after how many of its
/// messages it was asked.
#[test]
fn the_full_attention_group_decides_as_the_engine_reported() {
    let standalone = Running::start(&[]);
    let mut engine = Engine::stepwise(&standalone, "exp-hybrid", "kv@10.1.1.1:8000@Qwen3-32B");
    for (messages, cached) in [(1, 288), (1, 288), (9, 0)] {
        engine.publish(messages);
        let endpoint = settled(&standalone, &engine);
        assert_eq!(endpoint["trust"], "exact");
        assert_eq!(
            reusable(&standalone),
            cached,
            "after {} messages",
            engine.published
        );
    }
}
