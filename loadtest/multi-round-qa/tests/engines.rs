//! Against simulated engines with real sockets.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use loadtest_engine_sim::engine::EngineConfig;
use loadtest_engine_sim::{EngineSim, Faults, SimConfig};
use loadtest_multi_round_qa::{
    Client, ClientError, Options, Outcome, Record, RunError, Summary, Tally, read_csv, run,
};
use tokio::sync::oneshot;

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

async fn engine() -> EngineSim {
    let config = SimConfig {
        engine: EngineConfig {
            block_size: 16,
            max_model_len: 32_768,
            ..EngineConfig::default()
        },
        speed: 0.0,
        ..SimConfig::default()
    };
    EngineSim::start(config).await.unwrap()
}

fn base_url(engine: &EngineSim) -> String {
    format!("http://{}/v1", engine.address())
}

fn options() -> Options {
    Options {
        users: 3,
        rounds: 4,
        qps: 100.0,
        system_words: 40,
        history_words: 200,
        answer_tokens: 24,
        model: "Qwen3-32B".to_owned(),
        first_user: 0,
        user_header: true,
        warm_up: true,
    }
}

/// Runs until so many requests are answered or failed.
async fn until(url: &str, options: Options, requests: u64) -> Result<(Outcome, Vec<u8>), RunError> {
    let client = Client::new(url, "EMPTY").unwrap();
    let (enough, over) = oneshot::channel::<()>();
    let mut enough = Some(enough);
    let mut progress = |tally: &Tally, _: u64, failed: u64| {
        if tally.finished() + failed >= requests
            && let Some(enough) = enough.take()
        {
            let _ = enough.send(());
        }
    };
    let end = async {
        let _ = over.await;
    };
    let mut file = Vec::new();
    let running = run(client, options, None, end, &mut file, &mut progress);
    let outcome = tokio::time::timeout(LIMIT, running).await;
    Ok((outcome.expect("enough requests in time")?, file))
}

/// Columns of the file, by user: prompt tokens and cached tokens in order.
fn by_user(file: &[u8]) -> BTreeMap<u32, Vec<(u64, u64)>> {
    let mut users: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
    for line in String::from_utf8_lossy(file).lines().skip(1) {
        let fields: Vec<f64> = line
            .split(',')
            .map(|field| field.parse().unwrap())
            .collect();
        let turns = users.entry(fields[4] as u32).or_default();
        turns.push((fields[0] as u64, fields[8] as u64));
        assert_eq!(fields[5] as usize, turns.len(), "questions are numbered");
    }
    users
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_grow_and_figures_add_up() {
    let engines = [engine().await, engine().await];
    let urls = engines.each_ref().map(base_url);
    let runs = urls.each_ref().map(|url| until(url, options(), 60));
    let [one, two] = runs;
    let (one, two) = tokio::join!(one, two);
    for (outcome, file) in [one.unwrap(), two.unwrap()] {
        let summary: Summary = outcome.summary;
        assert_eq!((summary.finished, summary.failed), (60, 0));
        assert!(outcome.last_error.is_none());
        let users = by_user(&file);
        assert!(users.len() >= 15, "four rounds each: {}", users.len());
        let mut reused = 0;
        for turns in users.values() {
            assert!(turns.len() <= 4);
            for pair in turns.windows(2) {
                let [(before, _), (now, cached)] = [pair[0], pair[1]];
                // The answer and the next question came to it, and what was there
                // before was in the cache, up to a block.
                assert!(now > before + 24, "{now} {before}");
                assert!(cached + 16 > before, "{cached} of {before}");
                reused += 1;
            }
        }
        assert!(reused > 20, "{reused}");
        assert!(summary.hit_rate.unwrap() > 0.5);
        let tally = read_csv(&file[..]).unwrap();
        let again = tally.summary(100.0, Some(summary.start), summary.on_the_fly, 0);
        assert_eq!(again, summary);
        let tokens = summary.output_tokens_per_second / summary.processing_speed;
        assert!((tokens - 24.0).abs() < 1e-6, "{tokens}");
        assert!(summary.ttft_mean > 0.0 && summary.ttft_p50 <= summary.ttft_p99);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_token_is_the_streams_first_text() {
    let engine = engine().await;
    engine.set_faults(Faults {
        first_token_delay_ms: 300,
        ..Faults::default()
    });
    let (outcome, file) = until(&base_url(&engine), options(), 5).await.unwrap();
    assert!(outcome.summary.ttft_mean >= 0.3);
    let text = String::from_utf8(file).unwrap();
    let fields: Vec<f64> = text
        .lines()
        .nth(1)
        .unwrap()
        .split(',')
        .map(|f| f.parse().unwrap())
        .collect();
    assert!(fields[2] >= 0.3, "{text}");
    let took = fields[7] - fields[6];
    assert!((took - fields[2] - fields[3]).abs() < 1e-6, "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_refuse_are_told_of() {
    let engine = engine().await;
    let url = base_url(&engine);
    let unknown = Options {
        model: "another".to_owned(),
        ..options()
    };
    let error = until(&url, unknown.clone(), 1).await.unwrap_err();
    let RunError::WarmUp(ClientError::Status { status, kind }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(status.as_u16(), 404);
    assert!(kind.starts_with(" ("), "{kind}");
    // Later on failures are counted, and users go on.
    let later = Options {
        warm_up: false,
        ..unknown
    };
    let (outcome, _) = until(&url, later, 12).await.unwrap();
    assert_eq!(outcome.summary.finished, 0);
    assert!(outcome.summary.failed >= 12);
    assert!(outcome.last_error.unwrap().to_string().contains("404"));
    drop(engine);
    let error = until(&url, options(), 1).await.unwrap_err();
    assert!(matches!(
        error,
        RunError::WarmUp(ClientError::Connection(_))
    ));
}

/// A user whose answers never come leaves no room for endlessly many others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_servers_do_not_gather_users() {
    let engine = engine().await;
    engine.set_faults(Faults {
        frozen: true,
        ..Faults::default()
    });
    let client = Client::new(&base_url(&engine), "EMPTY").unwrap();
    let options = Options {
        users: 1,
        rounds: 2,
        qps: 1_000.0,
        warm_up: false,
        ..options()
    };
    let end = tokio::time::sleep(Duration::from_secs(2));
    let (mut file, mut progress) = (Vec::new(), |_: &Tally, _: u64, _: u64| {});
    let running = run(client, options, None, end, &mut file, &mut progress);
    let outcome = running.await.unwrap();
    // Two for each that is meant, and sixteen.
    assert!(outcome.summary.on_the_fly <= 18);
    assert!(outcome.held_back > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_the_program_with_its_summary() {
    let engine = engine().await;
    let folder = tempfile::tempdir().unwrap();
    let (csv, json) = (folder.path().join("q.csv"), folder.path().join("q.json"));
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_loadtest-multi-round-qa"));
    program
        .args("--num-users 4 --num-rounds 3 --qps 100 --shared-system-prompt 10".split(' '))
        .args("--user-history-prompt 100 --answer-len 8 --model Qwen3-32B".split(' '))
        .arg("--base-url")
        .arg(base_url(&engine))
        .arg("--output")
        .arg(&csv)
        .arg("--json")
        .arg(&json)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = program.spawn().unwrap();
    let deadline = tokio::time::Instant::now() + LIMIT;
    while engine.stats().generated_tokens < 1_500 {
        assert!(tokio::time::Instant::now() < deadline, "no requests came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let id = child.id().unwrap().to_string();
    let sent = tokio::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.await.unwrap().success());
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
    let output = output.expect("it ends").unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said} {errors}");
    assert!(said.contains("Performance summary"), "{said}");
    let written = read_csv(std::io::BufReader::new(std::fs::File::open(&csv).unwrap())).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(json["finished"], written.finished());
    assert!(written.finished() > 30);
    assert_eq!(json["failed"], 0);
}

#[test]
fn records_that_were_written_are_summed_up_again() {
    let record = Record {
        prompt_tokens: 10,
        generation_tokens: 4,
        ttft: 0.5,
        generation_time: 2.0,
        user_id: 1,
        question_id: 1,
        launch_time: 100.0,
        finish_time: 102.5,
        cached_tokens: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("q.csv");
    let mut file = Vec::new();
    Record::heading(&mut file).unwrap();
    record.write(&mut file).unwrap();
    std::fs::write(&csv, file).unwrap();
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_loadtest-multi-round-qa"))
        .arg("--process-summary")
        .arg(&csv)
        .output()
        .unwrap();
    let said = String::from_utf8(program.stdout).unwrap();
    assert!(said.contains("  Average TTFT: 0.5000s\n"), "{said}");
    assert!(said.contains("(2.50s)"), "{said}");
}
