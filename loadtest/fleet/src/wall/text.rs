//! Prompts as text that the test model's tokenizer turns into as many tokens as the
//! virtual fleet's prompts have.

/// Words of the project's test model that are one token each after a space, and four
/// bytes with it: text keys of the virtual fleet count four bytes per token, too.
const WORDS: [&str; 32] = [
    " the", " def", " for", " and", " not", " are", " get", " try", " fun", " any", " key", " can",
    " has", " int", " new", " you", " use", " set", " all", " may", " add", " out", " one", " but",
    " end", " max", " its", " run", " was", " off", " top", " two",
];

/// The text of a prompt: as many words, equal where tokens are equal.
pub(super) fn text(prompt: &[u32]) -> String {
    prompt.iter().map(|token| word(*token)).collect()
}

fn word(token: u32) -> &'static str {
    WORDS[token as usize % WORDS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Workload;

    #[test]
    fn texts_share_what_prompts_share_and_no_more() {
        let workload = Workload::published();
        let [a, b, c] = [0, 4, 5].map(|user| text(&workload.prompt(user)));
        assert_eq!(a.len(), 4 * 7_200);
        assert_eq!(a[..24_000], b[..24_000]);
        assert_ne!(a[24_000..24_064], b[24_000..24_064]);
        assert_ne!(a[..64], c[..64]);
    }
}
