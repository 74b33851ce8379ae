//! The small vocabulary: enums and names, to the wire and back.

use proto_model::{
    Endpoint, EndpointError, Extras, KeySpace, Medium, Profile, Publisher, Rank, Trust,
};

use crate::{InvalidChange, KeyProfile, ReplicaState, v1};

impl From<Trust> for v1::Trust {
    fn from(trust: Trust) -> Self {
        match trust {
            Trust::Estimated => Self::Estimated,
            Trust::Suspect => Self::Suspect,
            Trust::Partial => Self::Partial,
            Trust::Exact => Self::Exact,
        }
    }
}

impl From<Profile> for v1::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Content => Self::Content,
            Profile::Engine => Self::Engine,
        }
    }
}

impl From<KeyProfile> for v1::Profile {
    fn from(profile: KeyProfile) -> Self {
        match profile {
            KeyProfile::Content => Self::Content,
            KeyProfile::Engine => Self::Engine,
            KeyProfile::Text => Self::Text,
        }
    }
}

impl From<ReplicaState> for v1::ReplicaState {
    fn from(state: ReplicaState) -> Self {
        match state {
            ReplicaState::Starting => Self::Starting,
            ReplicaState::Live => Self::Live,
            ReplicaState::Stale => Self::Stale,
        }
    }
}

impl From<Medium> for v1::Medium {
    fn from(medium: Medium) -> Self {
        match medium {
            Medium::Gpu => Self::Gpu,
            Medium::Cpu => Self::Cpu,
            Medium::Disk => Self::Disk,
            Medium::Remote => Self::Remote,
        }
    }
}

impl From<&Publisher> for v1::PublisherName {
    fn from(publisher: &Publisher) -> Self {
        Self {
            cluster: publisher.endpoint.cluster().to_owned(),
            address: publisher.endpoint.address().to_owned(),
            rank: publisher.rank.0,
        }
    }
}

impl From<&KeySpace> for v1::Space {
    fn from(space: &KeySpace) -> Self {
        Self {
            profile: v1::Profile::from(space.profile).into(),
            model: space.model.clone(),
            lora: space.lora.clone(),
            block_size: space.block_size,
            extras_hidden: space.extras == Extras::Hidden,
            scope: space.scope().0,
        }
    }
}

/// An enum's number that this version does not know.
pub(crate) struct UnknownValue {
    pub(crate) field: &'static str,
    pub(crate) value: i32,
}

impl From<UnknownValue> for InvalidChange {
    fn from(unknown: UnknownValue) -> Self {
        Self::Unknown {
            field: unknown.field,
            value: unknown.value,
        }
    }
}

pub(crate) fn trust(value: i32) -> Result<Trust, UnknownValue> {
    match v1::Trust::try_from(value) {
        Ok(v1::Trust::Estimated) => Ok(Trust::Estimated),
        Ok(v1::Trust::Suspect) => Ok(Trust::Suspect),
        Ok(v1::Trust::Partial) => Ok(Trust::Partial),
        Ok(v1::Trust::Exact) => Ok(Trust::Exact),
        Ok(v1::Trust::Unspecified) | Err(_) => Err(UnknownValue {
            field: "trust",
            value,
        }),
    }
}

pub(crate) fn profile(value: i32) -> Result<Profile, UnknownValue> {
    match v1::Profile::try_from(value) {
        Ok(v1::Profile::Content) => Ok(Profile::Content),
        Ok(v1::Profile::Engine) => Ok(Profile::Engine),
        Ok(v1::Profile::Text | v1::Profile::Unspecified) | Err(_) => Err(UnknownValue {
            field: "profile",
            value,
        }),
    }
}

pub(crate) fn key_profile(value: i32) -> Result<KeyProfile, UnknownValue> {
    match v1::Profile::try_from(value) {
        Ok(v1::Profile::Text) => Ok(KeyProfile::Text),
        _ => profile(value).map(KeyProfile::from),
    }
}

pub(crate) fn state(value: i32) -> Result<ReplicaState, UnknownValue> {
    match v1::ReplicaState::try_from(value) {
        Ok(v1::ReplicaState::Starting) => Ok(ReplicaState::Starting),
        Ok(v1::ReplicaState::Live) => Ok(ReplicaState::Live),
        Ok(v1::ReplicaState::Stale) => Ok(ReplicaState::Stale),
        Ok(v1::ReplicaState::Unspecified) | Err(_) => Err(UnknownValue {
            field: "state",
            value,
        }),
    }
}

pub(crate) fn medium(value: i32) -> Result<Medium, UnknownValue> {
    match v1::Medium::try_from(value) {
        Ok(v1::Medium::Gpu) => Ok(Medium::Gpu),
        Ok(v1::Medium::Cpu) => Ok(Medium::Cpu),
        Ok(v1::Medium::Disk) => Ok(Medium::Disk),
        Ok(v1::Medium::Remote) => Ok(Medium::Remote),
        Ok(v1::Medium::Unspecified) | Err(_) => Err(UnknownValue {
            field: "medium",
            value,
        }),
    }
}

pub(crate) fn publisher(
    cluster: &str,
    address: &str,
    rank: u32,
) -> Result<Publisher, EndpointError> {
    Ok(Publisher {
        endpoint: Endpoint::new(cluster, address)?,
        rank: Rank(rank),
    })
}

pub(crate) fn space(wire: v1::Space) -> Result<KeySpace, InvalidChange> {
    let space = KeySpace {
        profile: profile(wire.profile)?,
        model: wire.model,
        lora: wire.lora,
        block_size: wire.block_size,
        extras: if wire.extras_hidden {
            Extras::Hidden
        } else {
            Extras::Published
        },
    };
    let expected = space.scope().0;
    if wire.scope != expected {
        return Err(InvalidChange::Scope {
            found: wire.scope,
            expected,
        });
    }
    Ok(space)
}
