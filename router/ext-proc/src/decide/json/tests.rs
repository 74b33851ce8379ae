use serde_json::{Value, json};

use super::*;

fn model(text: &str) -> Result<String, BodyError> {
    read(text.as_bytes()).map(|named| named.model)
}

#[test]
fn the_model_is_found_wherever_it_stands() {
    for text in [
        r#"{"model":"m"}"#,
        r#" { "messages" : [ {"content":"\"model\":\"x\""} , {} , [] ], "model" : "m" } "#,
        r#"{"a":{"model":"x"},"model":"m","b":[{"model":"y"}]}"#,
        r#"{"mod\u0065l":"\u006d","n":-1.5e+3,"t":[true,false,null,0,0.5]}"#,
    ] {
        assert_eq!(model(text), Ok("m".to_owned()), "{text}");
    }
}

#[test]
fn a_new_name_changes_no_other_byte() {
    let body = br#"{ "messages":["\u00e9"],  "model" : "old" ,"x":1.50 }"#;
    let named = read(body).unwrap();
    let changed = with_model(body, &named.at, "new \"one\"");
    let expected = br#"{ "messages":["\u00e9"],  "model" : "new \"one\"" ,"x":1.50 }"#;
    assert_eq!(changed, expected);
    assert_eq!(read(&changed).unwrap().model, "new \"one\"");
}

#[test]
fn what_is_wrong_with_a_model_is_said() {
    assert_eq!(model("{}"), Err(BodyError::ModelMissing));
    assert_eq!(model(r#"{"Model":"m"}"#), Err(BodyError::ModelMissing));
    for text in [
        r#"{"model":1}"#,
        r#"{"model":null}"#,
        r#"{"model":["m"]}"#,
        r#"{"model":"\ud800"}"#,
    ] {
        assert_eq!(model(text), Err(BodyError::ModelNotText), "{text}");
    }
    assert_eq!(model(r#"{"model":""}"#), Err(BodyError::ModelEmpty));
    let twice = model(r#"{"model":"a","mode\u006c":"b"}"#);
    assert_eq!(twice, Err(BodyError::ModelTwice(26)));
    let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(513));
    assert_eq!(model(&long), Err(BodyError::ModelTooLong(513)));
    assert_eq!(model("[]"), Err(BodyError::NotAnObject));
    assert_eq!(model("3"), Err(BodyError::NotAnObject));
}

#[test]
fn depth_is_bounded_and_costs_no_stack() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"a":{open}{close},"model":"m"}}"#)
    };
    assert_eq!(model(&nested(127)), Ok("m".to_owned()));
    assert!(matches!(model(&nested(128)), Err(BodyError::TooDeep(_))));
    assert!(matches!(
        model(&nested(1_000_000)),
        Err(BodyError::TooDeep(_))
    ));
    let objects = r#"{"a":"#.repeat(1_000_000);
    assert!(matches!(model(&objects), Err(BodyError::TooDeep(_))));
}

#[test]
fn numbers_are_bounded() {
    let with = |number: &str| model(&format!(r#"{{"n":{number},"model":"m"}}"#));
    assert!(with("1.7976931348623157e308").is_ok());
    assert!(with(&"9".repeat(300)).is_ok());
    for number in ["1e309", "-1e400", &"9".repeat(400), &"9".repeat(100_000)] {
        assert!(
            matches!(with(number), Err(BodyError::NumberTooLarge(5))),
            "{number:.10}"
        );
    }
}

#[test]
fn what_is_no_json_says_where() {
    for (text, at) in [
        ("", 0),
        ("{", 1),
        (r#"{"a"}"#, 4),
        (r#"{"a":}"#, 5),
        (r#"{"a":1,}"#, 7),
        (r#"{"a":[1,]}"#, 8),
        (r#"{"a":[1}"#, 7),
        (r#"{"a":01}"#, 6),
        (r#"{"a":-}"#, 6),
        (r#"{"a":1.}"#, 7),
        (r#"{"a":tru}"#, 5),
        (r#"{"a":NaN}"#, 5),
        (r#"{"a":"\x"}"#, 7),
        (r#"{"a":"\u12g4"}"#, 10),
        ("{\"a\":\"\n\"}", 6),
        (r#"{"a":"b"#, 7),
        (r#"{"model":"m"} x"#, 14),
        ("{'model':'m'}", 1),
    ] {
        let seen = model(text);
        assert!(
            matches!(seen, Err(BodyError::NotJson { at: seen, .. }) if seen == at),
            "{text}: {seen:?}"
        );
    }
    assert_eq!(read(b"{\"model\":\"\xff\"}"), Err(BodyError::NotUtf8(10)));
}

/// Against the reader that everybody uses: what one takes, the other takes.
#[test]
fn random_documents_are_read_as_serde_json_reads_them() {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let base = json!({
        "messages": [{"role": "user", "content": "a\"b\\c\u{1}\u{e9}"}, {"x": [[], {}, [1, -2.5e-7, true]]}],
        "model": "some/model",
        "stream": null,
    });
    let base = base.to_string().into_bytes();
    let mut agreed = 0;
    for _ in 0..50_000 {
        let mut text = base.clone();
        for _ in 0..=random(2) {
            let place = random(text.len() as u64) as usize;
            match random(3) {
                0 => drop(text.remove(place)),
                1 => text[place] = b"{}[]\",:\\u0e-. \ntfn1"[random(19) as usize],
                _ => text.insert(place, b"{}[]\",:\\u0e-. \ntfn1"[random(19) as usize]),
            }
        }
        let theirs: Option<Value> = serde_json::from_slice(&text).ok();
        let form = matches!(
            read(&text),
            Err(BodyError::NotJson { .. } | BodyError::NotUtf8(_) | BodyError::NumberTooLarge(_))
        );
        // Half of a surrogate pair, and a name that stands twice, are JSON.
        let shown = String::from_utf8_lossy(&text);
        if theirs.is_some() {
            assert!(!form, "{shown}");
        } else if !shown.contains("\\u") {
            assert!(form, "{shown}");
        }
        if let (Some(theirs), Ok(named)) = (theirs, read(&text)) {
            assert_eq!(theirs["model"], named.model, "{shown}");
            agreed += 1;
        }
    }
    assert!(agreed > 1000, "{agreed}");
}
