//! The headers of publishers: where each stands in its own history, without what
//! it holds. Enough to judge which of its messages are new.

use std::collections::{BTreeMap, HashMap};

use indexer_state::{ImagePiece, PublisherImage, Restorer, State, StateLimits};
use proto_model::{Endpoint, Holder, Publisher};

use crate::error::LinkError;
use crate::link::Fields;
use crate::wire::{decode_header, encode_header};

/// The field of an endpoint's hash that holds its version.
const VERSION: &[u8] = b"v";

/// The version of an endpoint that is not there.
const NOTHING: &str = "0";

/// Endpoints remembered; more, and all are forgotten and read again.
const CACHED_MAX: usize = 65_536;

/// The headers of one endpoint's publishers, as they are under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointHeaders {
    /// Changes with every write to the key, and is never used twice.
    pub(crate) version: String,
    pub(crate) ranks: BTreeMap<u32, PublisherImage>,
}

impl Default for EndpointHeaders {
    fn default() -> Self {
        Self {
            version: NOTHING.to_owned(),
            ranks: BTreeMap::new(),
        }
    }
}

impl EndpointHeaders {
    /// Reads the key's fields.
    pub(crate) fn read(fields: Fields) -> Result<Self, LinkError> {
        let form = LinkError::Form {
            what: "a field of an endpoint's headers",
        };
        let mut headers = Self::default();
        for (field, value) in fields {
            if field == VERSION {
                headers.version = String::from_utf8(value).map_err(|_| form.clone())?;
            } else {
                let rank = std::str::from_utf8(&field).ok();
                let rank = rank.and_then(|rank| rank.parse().ok());
                let rank = rank.ok_or_else(|| form.clone())?;
                headers.ranks.insert(rank, decode_header(&value)?);
            }
        }
        Ok(headers)
    }
}

/// What was read of headers, until a commit says that it is not so any more.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    endpoints: HashMap<Endpoint, EndpointHeaders>,
}

impl Headers {
    pub(crate) fn knows(&self, endpoint: &Endpoint) -> bool {
        self.endpoints.contains_key(endpoint)
    }

    pub(crate) fn get(&self, endpoint: &Endpoint) -> Option<&EndpointHeaders> {
        self.endpoints.get(endpoint)
    }

    pub(crate) fn put(&mut self, endpoint: Endpoint, headers: EndpointHeaders) {
        self.endpoints.insert(endpoint, headers);
    }

    pub(crate) fn clear(&mut self) {
        self.endpoints.clear();
    }

    /// Forgets all if there are too many. Only between groups: a group needs
    /// those that it has read.
    pub(crate) fn bound(&mut self) {
        if self.endpoints.len() > CACHED_MAX {
            self.clear();
        }
    }
}

/// What a commit does to one endpoint's key.
#[derive(Debug)]
pub(crate) struct EndpointWrite {
    pub(crate) endpoint: Endpoint,
    /// The version that the batches were judged on.
    pub(crate) version: String,
    /// Whether the key goes away.
    pub(crate) gone: bool,
    /// Ranks and their new headers; `None` where there is none any more.
    pub(crate) fields: Vec<(u32, Option<Vec<u8>>)>,
    /// What the key then holds.
    pub(crate) after: BTreeMap<u32, PublisherImage>,
}

impl EndpointWrite {
    /// From what the key holds to `after`.
    pub(crate) fn new(
        endpoint: Endpoint,
        before: &EndpointHeaders,
        after: BTreeMap<u32, PublisherImage>,
    ) -> Result<Self, LinkError> {
        let mut fields = Vec::new();
        for (rank, image) in &after {
            if before.ranks.get(rank) != Some(image) {
                fields.push((*rank, Some(encode_header(image)?)));
            }
        }
        let gone = |rank: &&u32| !after.contains_key(rank);
        fields.extend(before.ranks.keys().filter(gone).map(|rank| (*rank, None)));
        Ok(Self {
            endpoint,
            version: before.version.clone(),
            gone: after.is_empty() && !before.ranks.is_empty(),
            fields,
            after,
        })
    }

    /// Publishers added, less those removed.
    pub(crate) fn added(&self, before: &EndpointHeaders) -> i64 {
        self.after.len() as i64 - before.ranks.len() as i64
    }

    /// What the key holds once the commit has given it `version`.
    pub(crate) fn committed(self, version: &str) -> (Endpoint, EndpointHeaders) {
        let version = if self.gone {
            NOTHING.to_owned()
        } else if self.fields.is_empty() {
            self.version
        } else {
            version.to_owned()
        };
        let ranks = self.after;
        (self.endpoint, EndpointHeaders { version, ranks })
    }
}

/// A state that knows one publisher and nothing that it holds.
pub(crate) fn state_of(header: &PublisherImage, limits: StateLimits) -> Result<State, LinkError> {
    let image = PublisherImage {
        holder: Holder(1),
        ..header.clone()
    };
    let begin = ImagePiece::Begin {
        next_holder: 2,
        publishers: 1,
    };
    let publisher = ImagePiece::Publisher(Box::new(image));
    let mut restorer = Restorer::new(limits);
    let restored = [begin, publisher, ImagePiece::End]
        .into_iter()
        .try_for_each(|piece| restorer.push(piece))
        .and_then(|()| restorer.finish());
    restored.map_err(|_| LinkError::Form {
        what: "a publisher's header",
    })
}

/// The header of the publisher that a small state knows; `None` if it knows none.
pub(crate) fn header_of(state: &State, publisher: &Publisher) -> Option<PublisherImage> {
    state.cursor(publisher)?;
    let mut pieces = state.image();
    let image = pieces.find_map(|piece| match piece {
        ImagePiece::Publisher(image) => Some(*image),
        _ => None,
    })?;
    Some(PublisherImage {
        holder: Holder(0),
        groups: Vec::new(),
        excluded: Vec::new(),
        blocks: 0,
        parked: 0,
        ..image
    })
}
