//! Small fleets: enough to see every rule, quick without optimisation.

use std::path::Path;
use std::time::Duration;

use loadtest_fleet::{
    Comparison, Costs, Fleet, FleetOptions, FleetOutcome, SeedsReport, Stage, Strategy,
    StrategyReport, Workload, by_seed, costs, plot, run, summary,
};

fn stage(rate: u32, seconds: u32) -> Stage {
    Stage { rate, seconds }
}

/// Four engines whose caches hold the fleet's prompts once, but not twice.
fn small() -> FleetOptions {
    FleetOptions {
        engines: 4,
        kv_tokens: 20_480,
        in_flight_limit: Some(60),
        workload: Workload {
            customers: 24,
            users: 4,
            context_tokens: 1_000,
            question_tokens: 200,
            reply_tokens: 40,
            warm_up: stage(16, 6),
            stages: vec![stage(8, 12), stage(40, 8)],
            ..Workload::published()
        },
        ..FleetOptions::default()
    }
}

fn hit_rate(options: &FleetOptions, strategy: Strategy) -> f64 {
    let report = run(options, &[strategy], 1, &|_, _, _, _| {}).unwrap();
    report.strategies[0].summary.hit_rate
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let strategies = [Strategy::Precise, Strategy::PublishedEstimated];
    let of = |seed: u64, threads: usize| {
        let options = FleetOptions { seed, ..small() };
        run(&options, &strategies, threads, &|_, _, _, _| {}).unwrap()
    };
    let one = of(1, 1);
    assert_eq!(one, of(1, 2));
    assert_ne!(one.strategies, of(2, 1).strategies);
}

#[test]
fn every_request_ends_and_tokens_add_up() {
    let options = small();
    let (workload, mut refused) = (&options.workload, 0);
    for strategy in Strategy::OURS.into_iter().chain(Strategy::THEIRS) {
        let fleet = Fleet::new(&options, strategy).unwrap();
        let FleetOutcome { stages, totals, .. } = fleet.run(&|_, _, _| {}).unwrap();
        assert_eq!(totals.requests, 96 + 96 + 320);
        assert_eq!(totals.finished + totals.refused, totals.requests);
        let replies = totals.finished * u64::from(workload.reply_tokens);
        assert_eq!(totals.output_tokens, replies);
        assert_eq!(totals.engine_output_tokens, replies);
        assert_eq!(totals.prompt_tokens, totals.finished * 1_200);
        assert!(totals.cached_tokens < totals.prompt_tokens);
        let sent: Vec<_> = stages.iter().map(|stage| stage.requests).collect();
        assert_eq!(sent, [96, 320]);
        for stage in &stages {
            assert!(stage.ttft.mean > 0.0 && stage.ttft.p50 <= stage.ttft.p99);
            assert!(stage.balance >= 1.0 && stage.hit_rate <= 1.0);
            // No token is faster than an empty step.
            assert!(stage.tpot.p50 >= options.calibration.step);
        }
        refused += totals.refused;
    }
    assert!(refused > 0, "the limit is met by those who route badly");
}

#[test]
fn the_more_is_known_the_more_is_found() {
    let options = small();
    let strategies = [Strategy::Precise, Strategy::Estimated, Strategy::Random];
    let [precise, estimated, random] = strategies.map(|strategy| hit_rate(&options, strategy));
    assert!(precise >= estimated - 0.005, "{precise} {estimated}");
    assert!(estimated > random + 0.1, "{estimated} {random}");
}

#[test]
fn one_by_one_every_prediction_is_what_the_engine_finds() {
    let mut options = small();
    // Caches too small for the fleet's prompts, so that blocks go, too.
    options.kv_tokens = 6_400;
    options.workload.one_by_one = true;
    let fleet = Fleet::new(&options, Strategy::Precise).unwrap();
    let FleetOutcome { stages, totals, .. } = fleet.run(&|_, _, _| {}).unwrap();
    assert_eq!(totals.finished, 512);
    assert_eq!(totals.mispredicted, 0);
    assert!(stages.iter().all(|stage| stage.prediction_error == 0.0));
    assert!(stages[1].hit_rate > 0.3, "{}", stages[1].hit_rate);
    assert!(stages[1].hit_rate < 0.98, "{}", stages[1].hit_rate);
}

/// A burst of one customer, and events that come late: what was just routed must
/// be known without them.
#[test]
fn speculative_routes_close_the_gap_that_late_events_leave() {
    let mut options = small();
    options.event_delay = Duration::from_secs(4);
    options.workload.warm_up = stage(60, 2);
    options.workload.stages = vec![stage(60, 3)];
    let with = hit_rate(&options, Strategy::Precise);
    options.speculation = Duration::ZERO;
    let without = hit_rate(&options, Strategy::Precise);
    assert!(with > without + 0.01, "{with} {without}");
}

#[test]
fn new_questions_leave_only_contexts_to_find() {
    let mut options = small();
    let again = hit_rate(&options, Strategy::Precise);
    options.workload.new_questions = true;
    let new = hit_rate(&options, Strategy::Precise);
    // Of 1,200 tokens, 1,000 are context, 960 of them in whole blocks of their own.
    assert!(
        new <= 960.0 / 1_200.0 + 1e-9 && new < again,
        "{new} {again}"
    );
    // One customer's context is found more often than those of 24.
    options.workload.hot_share = 0.9;
    let hot = hit_rate(&options, Strategy::Random);
    options.workload.hot_share = 0.0;
    let even = hit_rate(&options, Strategy::Random);
    assert!(hot > even + 0.1, "{hot} {even}");
}

#[test]
fn several_pickers_and_another_policy_serve_everybody() {
    let mut options = small();
    options.pickers = 3;
    let of = |options: &FleetOptions| {
        let fleet = Fleet::new(options, Strategy::Precise).unwrap();
        let outcome = fleet.run(&|_, _, _| {}).unwrap();
        (outcome.stages, outcome.totals)
    };
    let (stages, totals) = of(&options);
    assert_eq!(totals.finished + totals.refused, 512);
    assert!(stages[1].hit_rate > 0.9, "{}", stages[1].hit_rate);
    options.policy = vec!["weights.prefix=0".parse().unwrap()];
    let (by_load, _) = of(&options);
    assert!(by_load[1].hit_rate < stages[1].hit_rate - 0.1);
}

#[test]
fn options_that_contradict_each_other_are_refused_by_name() {
    let mut options = small();
    options.engines = 0;
    let said = |options: &FleetOptions| options.validate().unwrap_err().to_string();
    assert_eq!(said(&options), "engines is 0; give 1 to 65000");
    options = small();
    options.workload.stages.clear();
    assert_eq!(said(&options), "stages is 0; give 1 to 1000");
    options = small();
    options.workload.hot_share = 1.5;
    assert_eq!(
        said(&options),
        "hot_share in hundredths is 150; give 0 to 100"
    );
    options = small();
    options.policy = vec!["near_tie=2".parse().unwrap()];
    assert_eq!(said(&options), "the policy is wrong");
    options = small();
    options.kv_tokens = 64;
    assert_eq!(said(&options), "engines cannot be made");
    options = small();
    options.calibration.path.p90 = 1.0;
    assert_eq!(said(&options), "the calibration is wrong");
}

#[test]
fn reports_are_drawn_and_written() {
    let strategies = [Strategy::Precise, Strategy::Random];
    let report = run(&small(), &strategies, 2, &|_, _, _, _| {}).unwrap();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ladder.svg");
    plot(&report, &file).unwrap();
    let drawn = std::fs::read_to_string(&file).unwrap();
    let table = summary(&report);
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    for (place, strategy) in strategies.into_iter().enumerate() {
        assert!(drawn.contains(strategy.name()));
        assert!(table.contains(strategy.name()));
        assert_eq!(json["strategies"][place]["strategy"], strategy.name());
        // Another fleet than the published one.
        assert!(json["strategies"][place]["published"].is_null());
    }
    assert!(drawn.matches("<polyline").count() > 6, "lines and scales");
    let nowhere = plot(&report, &file.join("below a file.svg")).unwrap_err();
    assert!(nowhere.to_string().contains("below a file.svg"));
}

#[test]
fn the_parts_of_the_first_token_s_time_add_up() {
    let report = run(&small(), &Strategy::OURS, 2, &|_, _, _, _| {}).unwrap();
    for of in &report.strategies {
        for stage in &of.stages {
            let (parts, mean) = (&stage.ttft_parts, stage.ttft.mean);
            assert!((parts.sum() - mean).abs() < 1e-6, "{parts:?} {mean}");
            assert!(parts.way > 0.0 && parts.step >= 0.0 && parts.queue >= 0.0);
        }
        let (parts, mean) = (&of.summary.ttft_parts, of.summary.ttft_mean);
        assert!((parts.sum() - mean).abs() < 1e-6, "{parts:?} {mean}");
        assert!(parts.without_waste() < mean);
    }
    let [precise, _, _, random] = &report.strategies[..] else {
        panic!("four strategies")
    };
    let of = |of: &StrategyReport| (of.summary.missed, of.summary.ttft_parts.own_prefill);
    assert!(of(precise).0 < of(random).0 && of(precise).1 < of(random).1);
}

#[test]
fn a_partition_holds_every_context_once() {
    let mut options = small();
    // Room for everything, so that nothing is computed twice on one engine.
    options.kv_tokens = 204_800;
    options.costs = true;
    let outcome = |strategy| {
        let fleet = Fleet::new(&options, strategy).unwrap();
        fleet.run(&|_, _, _| {}).unwrap()
    };
    let parted = outcome(Strategy::Partition);
    assert!(parted.stages.iter().all(|stage| stage.missed == 0.0));
    let index = parted.costs.unwrap().index;
    assert_eq!(index.memberships, index.blocks as u64);
    let spread = outcome(Strategy::LoadOnly);
    assert!(spread.stages[0].missed > 0.0);
}

#[test]
fn costs_are_measured_only_if_asked_and_change_nothing() {
    let mut options = small();
    let of = |options: &FleetOptions, strategy| {
        let report = run(options, &[strategy], 1, &|_, _, _, _| {}).unwrap();
        let table = costs(&report);
        (report.strategies[0].clone(), table)
    };
    let (without, table) = of(&options, Strategy::Precise);
    assert!(without.costs.is_none() && table.lines().count() == 1);
    options.costs = true;
    let (with, table) = of(&options, Strategy::Precise);
    assert_eq!((with.stages, with.totals), (without.stages, without.totals));
    let Costs { index, decisions } = with.costs.unwrap();
    // Four engines of 20,480 tokens in blocks of 64, one of them kept out of use.
    assert!((640..=4 * 319).contains(&index.memberships), "{index:?}");
    assert!(index.bytes_per_membership > 1.0 && index.blocks > 0);
    assert_eq!(decisions.count as u64, with.totals.requests);
    assert!(decisions.lookup_us > 0.0 && decisions.p99_us >= decisions.p50_us);
    assert!(table.contains(&index.memberships.to_string()), "{table}");
    let (random, _) = of(&options, Strategy::Random);
    assert_eq!(random.costs.unwrap().index.memberships, 0);
}

#[test]
fn a_scorer_that_remembers_less_finds_less() {
    let mut options = small();
    let all = hit_rate(&options, Strategy::PublishedEstimated);
    // Two contexts of 63 blocks per engine, where each engine serves six.
    options.published_scorer.remembered = 126;
    let few = hit_rate(&options, Strategy::PublishedEstimated);
    assert!(few < all - 0.02, "{few} {all}");
    options.published_scorer.blocks = 0;
    let said = options.validate().unwrap_err().to_string();
    assert_eq!(said, "published_scorer.blocks is 0; give 1 to 1048576");
}

#[test]
fn seeds_are_summed_up_where_the_load_is_the_published_one() {
    let of = |seed: u64, ratio: f64| {
        let options = FleetOptions { seed, ..small() };
        let mut report = run(&options, &[Strategy::Random], 1, &|_, _, _, _| {}).unwrap();
        assert!(report.strategies[0].published.is_none());
        report.strategies[0].published = Some(Comparison {
            output_tokens_per_second: 1.0,
            output_ratio: 1.0,
            ttft_p90: 1.0,
            ttft_p90_ratio: 1.1,
            ttft_mean: 1.0,
            ttft_mean_ratio: ratio,
            itl_mean: 1.0,
            wait_queue: 1.0,
        });
        report
    };
    let seeds = SeedsReport::of(vec![of(1, 0.8), of(2, 1.0), of(3, 1.14)]);
    let spread = &seeds.strategies[0];
    let mean = spread.ttft_mean_ratio;
    assert_eq!((mean.least, mean.median, mean.most), (0.8, 1.0, 1.14));
    assert_eq!(spread.near, 2);
    let table = by_seed(&seeds);
    assert!(
        table.contains("within 15 % of published: 2 of 3"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 1 + 3 + 3);
    let mut other = seeds.runs;
    other
        .iter_mut()
        .for_each(|run| run.strategies[0].published = None);
    assert!(SeedsReport::of(other).strategies.is_empty());
}
