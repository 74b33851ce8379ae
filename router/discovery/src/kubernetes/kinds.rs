use kube::core::{ApiResource, GroupVersionKind};

use crate::manifest::PoolGroup;

/// A kind of objects that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Pool(PoolGroup),
    Policy,
    Model,
    Objective,
    Pod,
}

/// A resource that is listed and watched, as RBAC names it. Pods are also got
/// one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedResource {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The plural.
    pub resource: &'static str,
}

const WATCHED: [Kind; 6] = [
    Kind::Pool(PoolGroup::Stable),
    Kind::Pool(PoolGroup::Experimental),
    Kind::Policy,
    Kind::Model,
    Kind::Objective,
    Kind::Pod,
];

/// Everything that a picker reads from Kubernetes, for which it needs the verbs
/// `get`, `list` and `watch`.
#[must_use]
pub fn watched_resources() -> Vec<WatchedResource> {
    let resource = |kind: Kind| WatchedResource {
        group: kind.group(),
        resource: kind.plural(),
    };
    WATCHED.into_iter().map(resource).collect()
}

impl Kind {
    /// Kinds that are followed whatever the pool says.
    pub(super) fn followed(group: Option<PoolGroup>) -> Vec<Self> {
        let wanted = |kind: &Self| match kind {
            Self::Pool(found) => group.is_none_or(|group| group == *found),
            Self::Pod => false,
            _ => true,
        };
        WATCHED.into_iter().filter(wanted).collect()
    }

    /// Without it nobody knows which endpoints there are.
    pub(super) fn decides_endpoints(self) -> bool {
        matches!(self, Self::Pool(_) | Self::Pod)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pool(_) => "InferencePool",
            Self::Policy => "InferenceTrafficPolicy",
            Self::Model => "InferenceModel",
            Self::Objective => "InferenceObjective",
            Self::Pod => "Pod",
        }
    }

    pub(super) fn group(self) -> &'static str {
        match self {
            Self::Pool(group) => group.name(),
            Self::Policy => "inferenceextension.alibabacloud.com",
            Self::Model | Self::Objective => PoolGroup::Experimental.name(),
            Self::Pod => "",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Pool(PoolGroup::Stable) | Self::Pod => "v1",
            Self::Policy => "v1alpha1",
            Self::Pool(PoolGroup::Experimental) | Self::Model | Self::Objective => "v1alpha2",
        }
    }

    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Pool(_) => "inferencepools",
            Self::Policy => "inferencetrafficpolicies",
            Self::Model => "inferencemodels",
            Self::Objective => "inferenceobjectives",
            Self::Pod => "pods",
        }
    }

    pub(super) fn resource(self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group(), self.version(), self.name());
        ApiResource::from_gvk_with_plural(&kind, self.plural())
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.group() {
            "" => f.write_str(self.plural()),
            group => write!(f, "{}.{group}", self.plural()),
        }
    }
}
