use super::fields::{Fields, Node};
use super::pool::PoolGroup;

/// A `poolRef`: a pool of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolReference {
    pub(crate) name: String,
    /// The group, if it is said; else a pool of any group is meant.
    pub(crate) group: Option<PoolGroup>,
}

impl PoolReference {
    /// Whether a pool of that group and name is meant.
    pub(crate) fn means(&self, group: PoolGroup, name: &str) -> bool {
        self.name == name && self.group.is_none_or(|wanted| wanted == group)
    }
}

impl std::fmt::Display for PoolReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.name)?;
        match self.group {
            Some(group) => write!(f, " of group {}", group.name()),
            None => Ok(()),
        }
    }
}

/// The required `poolRef`.
pub(super) fn pool_reference(spec: &mut Fields<'_>) -> Option<PoolReference> {
    spec.required("poolRef").as_ref().and_then(reference)
}

/// A `poolRef` that may be absent: `Some(None)`. `None`: it is wrong.
pub(super) fn optional_pool_reference(spec: &mut Fields<'_>) -> Option<Option<PoolReference>> {
    match spec.optional("poolRef") {
        None => Some(None),
        Some(node) => reference(&node).map(Some),
    }
}

fn reference(node: &Node<'_>) -> Option<PoolReference> {
    let mut fields = node.object()?;
    let name = fields.required("name").as_ref().and_then(Node::text);
    let kind = match fields.optional("kind") {
        Some(node) => node.choice(&[("InferencePool", ())]),
        None => Some(()),
    };
    let groups = PoolGroup::ALL.map(|group| (group.name(), group));
    let group = match fields.optional("group") {
        Some(node) => node.choice(&groups).map(Some),
        None => Some(None),
    };
    fields.finish();
    kind?;
    Some(PoolReference {
        name: name?.to_owned(),
        group: group?,
    })
}
