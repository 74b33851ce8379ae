//! Request and response headers: a small multi-map in the order they came.

/// Headers as they came, names in lower case. Values are bytes: HTTP does not
/// promise UTF-8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// Collects headers; names are made lower case.
    pub fn new(pairs: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect(),
        )
    }

    /// What they take in memory, in bytes: names, values, and 64 for each.
    pub(crate) fn bytes(&self) -> usize {
        const ENTRY_BYTES: usize = 64;
        let entry = |(name, value): &(String, Vec<u8>)| name.len() + value.len() + ENTRY_BYTES;
        self.0.iter().map(entry).sum()
    }

    /// The first value of a header, if it is UTF-8. `name` is in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(known, _)| known == name);
        values.find_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Every value of a header.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_slice())
    }
}
