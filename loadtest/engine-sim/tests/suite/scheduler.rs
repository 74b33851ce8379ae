//! Continuous batching: who runs, who waits, who gives up blocks.

use std::time::Duration;

use loadtest_engine_sim::engine::{
    Calibration, ConfigError, Engine, EngineConfig, Extras, StepOutcome, Submission, SubmitError,
};

/// No time passes but one second per step, so steps are easy to count.
const STEPS: Calibration = Calibration {
    request: 0.0,
    request_per_token: 0.0,
    step: 1.0,
    prefill: 0.0,
    prefill_attention: 0.0,
    decode: 0.0,
    decode_context: 0.0,
};

/// Blocks of 4 tokens, of which 10 can be used.
fn config() -> EngineConfig {
    EngineConfig {
        block_size: 4,
        kv_tokens: 44,
        max_model_len: 40,
        calibration: STEPS,
        ..EngineConfig::default()
    }
}

fn submit(engine: &mut Engine, id: u64, prompt: std::ops::Range<u32>, reply: usize) {
    let submission = Submission {
        id,
        prompt: prompt.collect(),
        reply: vec![7; reply],
        extras: Extras::default(),
    };
    engine.submit(Duration::ZERO, submission).unwrap();
}

/// Who got a token.
fn step(engine: &mut Engine) -> Vec<u64> {
    outcome(engine)
        .tokens
        .iter()
        .map(|token| token.id)
        .collect()
}

fn outcome(engine: &mut Engine) -> StepOutcome {
    engine.step(Duration::ZERO).expect("somebody runs or waits")
}

#[test]
fn a_long_prompt_is_computed_in_chunks_beside_others_tokens() {
    let mut engine = Engine::new(&EngineConfig {
        max_num_batched_tokens: 8,
        ..config()
    })
    .unwrap();
    submit(&mut engine, 1, 0..4, 3);
    submit(&mut engine, 2, 100..110, 1);
    // 4 tokens of the first, 4 of the second; then 1 and 6.
    assert_eq!(step(&mut engine), [1]);
    assert_eq!(step(&mut engine), [1, 2]);
    assert_eq!(step(&mut engine), [1]);
    assert!(engine.step(Duration::ZERO).is_none());
}

#[test]
fn no_more_run_than_may() {
    let mut engine = Engine::new(&EngineConfig {
        max_num_seqs: 2,
        ..config()
    })
    .unwrap();
    for id in 1..=3 {
        let first = u32::try_from(id).unwrap() * 100;
        submit(&mut engine, id, first..first + 4, 2);
    }
    let first = outcome(&mut engine);
    assert_eq!((first.load.running, first.load.waiting), (2, 1));
    assert_eq!(step(&mut engine), [1, 2]);
    assert_eq!(step(&mut engine), [3]);
}

#[test]
fn who_came_last_gives_up_its_blocks_and_computes_again() {
    let mut engine = Engine::new(&config()).unwrap();
    submit(&mut engine, 1, 0..16, 12);
    submit(&mut engine, 2, 100..116, 12);
    let mut last_seen = [0; 2];
    let mut preempted_at = None;
    for number in 0.. {
        let Some(outcome) = engine.step(Duration::ZERO) else {
            break;
        };
        for token in &outcome.tokens {
            last_seen[usize::try_from(token.id).unwrap() - 1] += 1;
        }
        if engine.totals().preemptions > 0 && preempted_at.is_none() {
            preempted_at = Some(number);
            assert_eq!(outcome.tokens.len(), 1, "only the first goes on");
            assert_eq!(engine.load().waiting, 1);
        }
    }
    assert!(preempted_at.is_some(), "ten blocks are not enough for both");
    assert_eq!(last_seen, [12, 12], "no token is lost or given twice");
    assert!(engine.load().kv_usage.abs() < f64::EPSILON);
}

#[test]
fn a_prompt_that_runs_is_found_by_the_next_one() {
    let mut engine = Engine::new(&config()).unwrap();
    submit(&mut engine, 1, 0..10, 5);
    step(&mut engine);
    submit(&mut engine, 2, 0..10, 1);
    let cached: Vec<_> = outcome(&mut engine)
        .tokens
        .iter()
        .filter_map(|token| token.first)
        .map(|first| first.cached_tokens)
        .collect();
    assert_eq!(cached, [8]);
}

#[test]
fn an_aborted_request_is_gone_wherever_it_was() {
    let mut engine = Engine::new(&EngineConfig {
        max_num_seqs: 1,
        ..config()
    })
    .unwrap();
    submit(&mut engine, 1, 0..10, 5);
    submit(&mut engine, 2, 20..30, 5);
    step(&mut engine);
    submit(&mut engine, 3, 40..50, 5);
    for id in [1, 2, 3] {
        assert!(engine.abort(id), "{id} runs, waits or comes");
        assert!(!engine.abort(id));
    }
    assert!(engine.step(Duration::ZERO).is_none());
    assert!(engine.load().kv_usage.abs() < f64::EPSILON);
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let mut engine = Engine::new(&EngineConfig {
        max_waiting: 1,
        ..config()
    })
    .unwrap();
    let mut ask = |prompt: usize, reply: usize| {
        let submission = Submission {
            id: 1,
            prompt: vec![1; prompt],
            reply: vec![7; reply],
            extras: Extras::default(),
        };
        engine.submit(Duration::ZERO, submission)
    };
    assert_eq!(ask(0, 1), Err(SubmitError::EmptyPrompt));
    assert_eq!(ask(1, 0), Err(SubmitError::EmptyReply));
    let long = ask(39, 2).unwrap_err();
    assert!(long.to_string().contains("prompt (39) and reply (2)") && !long.retryable());
    assert_eq!(ask(39, 1), Ok(()));
    let full = ask(1, 1).unwrap_err();
    assert!(matches!(full, SubmitError::Full { limit: 1 }) && full.retryable());
}

#[test]
fn a_cache_too_small_for_one_request_is_no_engine() {
    let refused = Engine::new(&EngineConfig {
        max_model_len: 41,
        ..config()
    });
    let expected = ConfigError::ModelTooLong {
        max_model_len: 41,
        room: 40,
    };
    assert_eq!(refused.err(), Some(expected));
    let zero = Engine::new(&EngineConfig {
        block_size: 0,
        ..config()
    });
    assert_eq!(
        zero.err(),
        Some(ConfigError::Zero {
            field: "block_size"
        })
    );
}
