//! What is read from metrics, whatever their form.

use super::super::LoadMistake;
use super::super::text::{Reader, Reading};
use super::engine::vllm;

fn read(text: impl AsRef<[u8]>) -> Result<Reading, LoadMistake> {
    let mut reader = Reader::default();
    reader.push(text.as_ref());
    reader.finish()
}

/// Three ordinary lines, of which one is replaced by something else.
fn with(metric: &str, line: &[u8]) -> Result<Reading, LoadMistake> {
    let mut text = line.to_vec();
    for (name, value) in [
        ("vllm:num_requests_waiting", "3"),
        ("vllm:num_requests_running", "4"),
        ("vllm:kv_cache_usage_perc", "0.5"),
    ] {
        if name != metric {
            text.extend_from_slice(format!("\n{name} {value}").as_bytes());
        }
    }
    read(text)
}

#[test]
fn vllm_as_it_is_today() {
    let expected = Reading {
        waiting: 3,
        running: 17,
        kv_usage: 0.25,
        block_size: Some(64),
        num_blocks: Some(4802),
    };
    assert_eq!(read(vllm(3, 17, 0.25)).unwrap(), expected);
}

#[test]
fn cut_anywhere_it_reads_the_same() {
    let text = vllm(3, 17, 0.25);
    let whole = read(&text).unwrap();
    for cut in 0..text.len() {
        let mut reader = Reader::default();
        reader.push(&text.as_bytes()[..cut]);
        reader.push(&text.as_bytes()[cut..]);
        assert_eq!(reader.finish().unwrap(), whole, "cut at {cut}");
    }
    let mut reader = Reader::default();
    text.bytes().for_each(|byte| reader.push(&[byte]));
    assert_eq!(reader.finish().unwrap(), whole);
}

#[test]
fn the_older_name_of_kv_usage_counts_where_the_newer_is_missing() {
    let older = "vllm:num_requests_waiting 1\nvllm:num_requests_running 2\n\
                 vllm:gpu_cache_usage_perc{model_name=\"m\"} 0.75\n";
    assert_eq!(read(older).unwrap().kv_usage, 0.75);
    let both = format!("{older}vllm:kv_cache_usage_perc 0.5\n");
    assert_eq!(read(both).unwrap().kv_usage, 0.5);
}

#[test]
fn sglang_by_its_own_names_and_priorities_not_twice() {
    let text = "sglang:num_running_reqs{tp_rank=\"0\"} 9.0\r\n\
                sglang:num_queue_reqs{tp_rank=\"0\",priority=\"\"} 5.0\r\n\
                sglang:num_queue_reqs{tp_rank=\"0\",priority=\"1\"} 2.0\r\n\
                sglang:num_queue_reqs{tp_rank=\"0\",priority=\"2\"} 3.0\r\n\
                sglang:num_running_reqs_offline_batch{tp_rank=\"0\"} 70\r\n\
                sglang:token_usage{tp_rank=\"0\"} 0.28 1700000000000\r\n";
    let reading = read(text).unwrap();
    assert_eq!((reading.waiting, reading.running), (5, 9));
    assert_eq!((reading.kv_usage, reading.block_size), (0.28, None));
}

#[test]
fn ranks_are_added_up_and_their_caches_averaged() {
    let ranks: String = (0..4)
        .map(|rank| {
            vllm(rank, 10 * rank, f64::from(rank) / 4.0).replace("\"0\"", &format!("\"{rank}\""))
        })
        .collect();
    let expected = Reading {
        waiting: 6,
        running: 60,
        kv_usage: 0.375,
        block_size: Some(64),
        num_blocks: Some(4 * 4802),
    };
    assert_eq!(read(&ranks).unwrap(), expected);
    let mixed = format!("{ranks}{}", vllm(0, 0, 0.0).replace("\"64\"", "\"16\""));
    assert_eq!(read(mixed).unwrap().block_size, None);
}

#[test]
fn what_is_missing_is_named() {
    for metric in ["vllm:num_requests_waiting", "vllm:num_requests_running"] {
        let Err(LoadMistake::Missing { metric: named }) = with(metric, b"") else {
            panic!("{metric} is not missed");
        };
        assert_eq!(named, metric);
    }
    for text in [
        "",
        "<html>Grafana</html>",
        "{\"status\":\"ok\"}",
        "vllm:num_requests_waiting_by_reason 3",
    ] {
        assert!(
            matches!(read(text), Err(LoadMistake::Missing { .. })),
            "{text}"
        );
    }
}

#[test]
fn values_that_are_no_numbers_in_range_are_refused() {
    let metric = "vllm:num_requests_waiting";
    for value in [
        "NaN",
        "-1",
        "+Inf",
        "1e400",
        "",
        "{",
        "{engine=\"0\" 3",
        "x3",
        "\u{fffd}",
    ] {
        let line = format!("{metric} {value}");
        let outcome = with(metric, line.as_bytes());
        assert!(
            matches!(outcome, Err(LoadMistake::Value { metric: named }) if named == metric),
            "{value}: {outcome:?}"
        );
    }
    let invalid = [metric.as_bytes(), b" \xff\xfe3"].concat();
    assert!(matches!(
        with(metric, &invalid),
        Err(LoadMistake::Value { .. })
    ));
    let usage = "vllm:kv_cache_usage_perc";
    let outcome = with(usage, format!("{usage} 57.0").as_bytes());
    assert!(
        matches!(outcome, Err(LoadMistake::Value { .. })),
        "{outcome:?}"
    );
}

#[test]
fn values_at_the_edge_are_taken_for_the_edge() {
    let metric = "vllm:num_requests_waiting";
    let many = with(metric, format!("{metric} 1e300").as_bytes()).unwrap();
    assert_eq!(many.waiting, u32::MAX);
    let usage = "vllm:kv_cache_usage_perc";
    let full = with(usage, format!("{usage} 1.0000001").as_bytes()).unwrap();
    assert_eq!(full.kv_usage, 1.0);
}

#[test]
fn a_huge_line_is_skipped_and_the_next_one_read() {
    let mut reader = Reader::default();
    reader.push(b"vllm:num_requests_waiting{model_name=\"");
    for _ in 0..1_000 {
        reader.push(&[b'x'; 1_000]);
    }
    reader.push(b"\"} 9\n");
    reader.push(vllm(3, 17, 0.25).as_bytes());
    assert_eq!(reader.finish().unwrap().waiting, 3);
}
