//! What Jinja's lexer and the `generation` extension do to a source before it
//! is parsed.

/// Normalises line ends and replaces `{% generation %}` blocks, which only mark
/// the assistant's text for training, by blocks with the same scope and no
/// effect.
pub(super) fn prepare(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut prepared = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        prepared.push_str(before);
        match generation_tag(tag) {
            Some((replacement, length)) => {
                prepared.push_str(&replacement);
                rest = &tag[length..];
            }
            None => {
                prepared.push_str("{%");
                rest = &tag[2..];
            }
        }
    }
    prepared.push_str(rest);
    prepared
}

/// If `tag` begins with a generation tag: what to put in its place, and its
/// length. Marks for white space control stay.
fn generation_tag(tag: &str) -> Option<(String, usize)> {
    let end = tag.find("%}")?;
    let inner = tag.get(2..end)?;
    let (open, inner) = split_mark(inner);
    let close = if inner.ends_with(['-', '+']) {
        &inner[inner.len() - 1..]
    } else {
        ""
    };
    let keyword = match inner[..inner.len() - close.len()].trim() {
        "generation" => "with",
        "endgeneration" => "endwith",
        _ => return None,
    };
    Some((format!("{{%{open} {keyword} {close}%}}"), end + 2))
}

fn split_mark(inner: &str) -> (&str, &str) {
    if inner.starts_with(['-', '+']) {
        inner.split_at(1)
    } else {
        ("", inner)
    }
}

#[cfg(test)]
mod tests {
    use super::prepare;

    #[test]
    fn generation_tags_lose_their_meaning_and_keep_their_marks() {
        assert_eq!(
            prepare("a{%- generation %}x{% endgeneration -%}b{% if generation %}"),
            "a{%- with %}x{% endwith -%}b{% if generation %}"
        );
        assert_eq!(
            prepare("{%generation%}{%+ endgeneration+%}{%"),
            "{% with %}{%+ endwith +%}{%"
        );
    }

    #[test]
    fn line_ends_are_normalised() {
        assert_eq!(prepare("a\r\nb\rc\n"), "a\nb\nc\n");
    }
}
