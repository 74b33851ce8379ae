//! Names, and how many publishers have each.

use std::collections::BTreeMap;

/// Names that somebody has. An empty name is none.
#[derive(Debug, Default)]
pub(super) struct Counted(BTreeMap<String, usize>);

impl Counted {
    pub(super) fn add(&mut self, name: &str) {
        match self.0.get_mut(name) {
            Some(count) => *count += 1,
            None if name.is_empty() => {}
            None => {
                self.0.insert(name.to_owned(), 1);
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        let Some(count) = self.0.get_mut(name) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.0.remove(name);
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The name, if all have the same.
    pub(super) fn only(&self) -> Option<&str> {
        let mut names = self.names();
        names.next().filter(|_| names.next().is_none())
    }
}
