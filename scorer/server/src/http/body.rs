//! Request bodies: bounded bytes, then JSON, with every refusal in our shape.

mod token_list;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use proto_api::{Failure, FailureKind, limits};
use serde::de::DeserializeOwned;

/// Longest part of the parser's own message that is passed on.
const DETAIL: usize = 200;

/// A body that was read, and the long list of token ids in it.
pub(super) struct WithTokens<T> {
    /// All of the body, or all but the list.
    pub(super) body: T,
    /// The list, if it was taken out of the body: there it is null.
    pub(super) token_ids: Option<Vec<u32>>,
}

/// Reads a body as JSON, whatever its content type says.
pub(super) fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Failure> {
    parse(&bytes(body)?)
}

/// Reads a body whose member `field` may be a long list of token ids.
pub(super) fn read_with_tokens<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
    field: &str,
) -> Result<WithTokens<T>, Failure> {
    let bytes = bytes(body)?;
    if let Some(list) = token_list::find(&bytes, field) {
        let (before, after) = (&bytes[..list.place.start], &bytes[list.place.end..]);
        let rest = [before, b"null", after].concat();
        if let Ok(body) = serde_json::from_slice(&rest) {
            let token_ids = Some(list.ids);
            return Ok(WithTokens { body, token_ids });
        }
    }
    // What is wrong is said of the whole body, by line and column.
    Ok(WithTokens {
        body: parse(&bytes)?,
        token_ids: None,
    })
}

fn bytes(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Failure> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let text = format!("the body exceeds {} bytes", limits::MESSAGE_BYTES);
            Failure::of_field(FailureKind::TooLarge, "body", text)
        }
        _ => Failure::of_field(FailureKind::InvalidArgument, "body", rejection.body_text()),
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let detail = without_values(&error.to_string());
        let detail: String = detail.chars().take(DETAIL).collect();
        let text = format!("the body is not the JSON that this route takes: {detail}");
        Failure::of_field(FailureKind::InvalidArgument, "body", text)
    })
}

/// The parser's message without the value that it quotes: that may be a prompt or
/// a salt.
fn without_values(message: &str) -> String {
    let quoting = ["invalid type: ", "invalid value: ", "unknown variant "];
    let parts = quoting.iter().find_map(|begin| {
        let rest = message.strip_prefix(begin)?;
        let (value, expected) = rest.split_at(rest.rfind(", expected ")?);
        let kind = value.split(['"', '`']).next().unwrap_or_default();
        Some((begin, kind.trim_end(), expected))
    });
    match parts {
        Some((begin, "", expected)) => format!("{}{expected}", begin.trim_end()),
        Some((begin, kind, expected)) => format!("{begin}{kind}{expected}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Query {
        model: Option<String>,
        token_ids: Option<Vec<u32>>,
        salt: Option<String>,
    }

    fn both_ways(body: Vec<u8>) -> (Result<Query, Failure>, Result<Query, Failure>) {
        let bytes = Bytes::from(body);
        let short = read_with_tokens::<Query>(Ok(bytes.clone()), "token_ids");
        let short = short.map(|read| Query {
            token_ids: read.token_ids.or(read.body.token_ids),
            ..read.body
        });
        (short, read(Ok(bytes)))
    }

    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            3 => prop::collection::vec(any::<u32>(), 0..20)
                .prop_map(|ids| format!("\"token_ids\": {ids:?}")),
            1 => prop::collection::vec(any::<i64>(), 0..4)
                .prop_map(|ids| format!("\"token_ids\":{ids:?}")),
            2 => "[ -~]{0,6}".prop_map(|text| format!("\"model\":{text:?}")),
            1 => Just("\"salt\" : null".to_owned()),
            1 => Just("\"other\":{\"token_ids\":[1]}".to_owned()),
        ];
        let body = prop::collection::vec(part, 0..4)
            .prop_map(|parts| format!("{{{}}}", parts.join(",")).into_bytes());
        // Some are damaged at one place.
        (
            body,
            any::<prop::sample::Index>(),
            prop::option::weighted(0.3, any::<u8>()),
        )
            .prop_map(|(mut body, place, damage)| {
                if let Some(byte) = damage {
                    let place = place.index(body.len());
                    body[place] = byte;
                }
                body
            })
    }

    proptest! {
        #[test]
        fn no_body_means_anything_else(body in bodies()) {
            let text = String::from_utf8_lossy(&body).into_owned();
            let (short, general) = both_ways(body);
            match (short, general) {
                (Ok(short), Ok(general)) => prop_assert_eq!(short, general, "{}", text),
                (Err(short), Err(general)) => prop_assert_eq!(short.message, general.message),
                (short, general) => prop_assert!(false, "{}: {:?}, {:?}", text, short, general),
            }
        }
    }

    #[test]
    fn no_error_quotes_what_was_sent() {
        let bodies = [
            r#"{"token_ids": "my secret, expected \"secret\""}"#,
            r#"{"salt": 5317, "token_ids": [1]}"#,
            r#"{"token_ids": [1, -5317]}"#,
            r#"{"token_ids": [1, 5317.5]}"#,
            r#""my secret""#,
        ];
        for body in bodies {
            let error = read::<Query>(Ok(Bytes::from_static(body.as_bytes()))).unwrap_err();
            let text = error.message;
            assert!(text.contains(", expected "), "{text}");
            assert!(!text.contains("secret") && !text.contains("5317"), "{text}");
        }
        assert_eq!(
            without_values("invalid type: string \"a\", expected a sequence at line 1 column 4"),
            "invalid type: string, expected a sequence at line 1 column 4"
        );
        assert_eq!(
            without_values("unknown variant `a`, expected `b`"),
            "unknown variant, expected `b`"
        );
    }

    #[test]
    fn a_list_is_taken_out_of_the_body() {
        let body = Bytes::from_static(b"{\"model\":\"m\",\"token_ids\":[1,23,456789]}");
        let read = read_with_tokens::<Query>(Ok(body), "token_ids").unwrap();
        assert_eq!(read.token_ids, Some(vec![1, 23, 456_789]));
        assert_eq!(read.body.token_ids, None);
    }
}
