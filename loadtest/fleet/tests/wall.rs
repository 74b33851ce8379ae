//! Both clocks under a short load, with real processes.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use loadtest_fleet::{
    Stage, Strategy, WallOptions, WallPrograms, WallReport, WallRun, wall, wall_table,
};

/// `kvatlas` as `KVATLAS_BINARY` names it, or built as it is now.
fn programs() -> WallPrograms {
    let kvatlas = std::env::var_os("KVATLAS_BINARY").map_or_else(built, PathBuf::from);
    let envoy = std::env::var_os("KVATLAS_ENVOY").map(PathBuf::from);
    WallPrograms::find(Some(&kvatlas), envoy.as_deref(), None).unwrap()
}

fn built() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "services-kvatlas"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(built.success(), "kvatlas does not compile");
    PathBuf::from(env!("CARGO_BIN_EXE_loadtest-fleet")).with_file_name("kvatlas")
}

/// Three engines that hold all prompts together, but not each of them.
fn short() -> WallOptions {
    let stage = |rate, seconds| Stage { rate, seconds };
    WallOptions {
        engines: 3,
        customers: 36,
        shrink: 20,
        faster: 4.0,
        warm_up: stage(20, 9),
        stages: vec![stage(20, 6)],
        // However busy the machine is, the picker waits for scores.
        score: Duration::from_secs(20),
        repeats: 3,
        ..WallOptions::default()
    }
}

async fn of(strategy: Strategy) -> WallRun {
    let told = |_: &str| {};
    wall(&short(), strategy, &programs(), &told).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn precise_routing_finds_what_the_virtual_fleet_finds() {
    let run = of(Strategy::Precise).await;
    assert_eq!(run.measured.stages.len(), 1);
    assert_eq!(run.measured.stages[0].requests, 120);
    assert_eq!(run.measured.summary.refused, 0);
    assert_eq!(run.fallbacks, 0);
    assert!(run.agrees(5.0), "{:+.2} points", run.difference);
    let simulated: Vec<_> = run
        .simulated
        .iter()
        .map(|side| side.summary.hit_rate)
        .collect();
    assert_eq!(simulated.len(), 3);
    assert!(simulated.iter().all(|rate| *rate > 0.9), "{simulated:?}");
    assert!(run.measured.exact > 0.8, "{}", run.measured.exact);
    let chosen: usize = run.reasons.values().sum();
    assert_eq!(chosen, 180 + 120);
    let hits = format!("{:.2}", run.measured.summary.hit_rate * 100.0);
    let report = WallReport::new(short().fleet().unwrap(), vec![run]);
    let table = wall_table(&report);
    assert!(table.contains("36 x 5 users"), "{table}");
    assert!(table.contains(&hits), "{hits} in {table}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["runs"][0]["strategy"], "precise");
}

#[tokio::test(flavor = "multi_thread")]
async fn chance_finds_less_by_both_clocks() {
    let run = of(Strategy::Random).await;
    let sides = run.simulated.iter().chain([&run.measured]);
    let rates: Vec<_> = sides.map(|side| side.summary.hit_rate).collect();
    assert!(
        rates.iter().all(|rate| (0.1..0.8).contains(rate)),
        "{rates:?}"
    );
    assert!(rates[0] != rates[1], "chance is not the same twice");
    // So few requests leave much to chance: 3.5 points are one standard deviation.
    assert!(run.agrees(15.0), "{:+.2} points", run.difference);
    // Nobody was asked, so nobody predicted or chose.
    assert!(run.reasons.is_empty());
    assert!(run.measured.summary.prediction_error > 0.0);
}

#[tokio::test]
async fn models_of_other_systems_cannot_be_started() {
    let refused = wall(&short(), Strategy::PublishedLoad, &programs(), &|_| {}).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.starts_with("strategy is published-load"), "{said}");
}
