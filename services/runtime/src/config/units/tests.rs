use proptest::prelude::*;

use super::*;

#[test]
fn durations_as_written() {
    for (text, millis, printed) in [
        ("500ms", 500, "500ms"),
        ("5s", 5_000, "5s"),
        ("1m", 60_000, "1m"),
        ("90s", 90_000, "1m30s"),
        ("1h 30m", 5_400_000, "1h30m"),
        ("0s", 0, "0s"),
    ] {
        let parsed: HumanDuration = text.parse().unwrap();
        assert_eq!(parsed, HumanDuration::from_millis(millis), "{text}");
        assert_eq!(parsed.to_string(), printed);
    }
}

#[test]
fn sizes_as_written() {
    for (text, bytes, printed) in [
        ("64MiB", 67_108_864, "64MiB"),
        ("64 MiB", 67_108_864, "64MiB"),
        ("1024KiB", 1_048_576, "1MiB"),
        ("100MB", 100_000_000, "100000000B"),
        ("12", 12, "12B"),
        ("0", 0, "0B"),
    ] {
        let parsed: ByteSize = text.parse().unwrap();
        assert_eq!(parsed, ByteSize(bytes), "{text}");
        assert_eq!(parsed.to_string(), printed);
    }
}

#[test]
fn wrong_texts_say_what_is_wrong() {
    for text in ["", "5", "s", "-5s", "1.5s", "5s3"] {
        let error = text.parse::<HumanDuration>();
        assert!(error.is_err(), "{text} gave {error:?}");
    }
    assert_eq!(
        "5 parsecs"
            .parse::<HumanDuration>()
            .unwrap_err()
            .to_string(),
        "unknown unit \"parsecs\"; units are us, ms, s, m, h, d"
    );
    assert_eq!(
        "99999999999999999999d".parse::<HumanDuration>(),
        Err(HumanDurationError::TooLong)
    );
    assert_eq!("".parse::<ByteSize>(), Err(ByteSizeError::Form));
    assert_eq!("1.5MiB".parse::<ByteSize>(), Err(ByteSizeError::Form));
    assert_eq!(
        "20000000TiB".parse::<ByteSize>(),
        Err(ByteSizeError::TooLarge)
    );
    assert!(matches!(
        "5mb".parse::<ByteSize>(),
        Err(ByteSizeError::Unit { .. })
    ));
}

proptest! {
    #[test]
    fn printed_values_read_back(micros in any::<u64>(), bytes in any::<u64>()) {
        let duration = HumanDuration(Duration::from_micros(micros));
        prop_assert_eq!(duration.to_string().parse::<HumanDuration>(), Ok(duration));
        let size = ByteSize(bytes);
        prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,24}") {
        let _ = text.parse::<HumanDuration>();
        let _ = text.parse::<ByteSize>();
    }
}
