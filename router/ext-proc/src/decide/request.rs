//! What is read of a request before anybody is asked.

use router_discovery::{Criticality, PoolView};

use crate::{Asked, Refused, RefusedKind};

use super::json::{self, Named};
use super::model::{self, Resolved};
use super::path::Path;

/// A request, as far as it matters where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: Path,
    /// The model as the client named it; `None` where the body is not read.
    pub(super) named: Option<Named>,
    pub(super) resolved: Resolved,
    /// Bytes of the body.
    pub(super) bytes: usize,
}

impl Request {
    /// Reads path, headers, and of the body the model's name.
    pub(super) fn read(asked: &Asked, view: &PoolView) -> Result<Self, Refused> {
        let body = asked.body.as_deref().filter(|body| !body.is_empty());
        let path = match body {
            // Nothing to read: any endpoint will do.
            None => Path::Unknown,
            Some(_) => Path::of(&asked.path),
        };
        let (path, named) = match (path, body) {
            (Path::Unknown, _) | (_, None) => (Path::Unknown, None),
            (path, Some(body)) if is_encoded(asked) => encoded(path, body, view)?,
            (path, Some(body)) => {
                let named = json::read(body).map_err(|error| refused(error.to_string()))?;
                (path, Some(named))
            }
        };
        let name = named.as_ref().map_or("", |named| named.model.as_str());
        let resolved = model::resolve(view, &asked.headers, name, &asked.request_id);
        Ok(Self {
            path,
            named,
            resolved,
            bytes: body.map_or(0, <[u8]>::len),
        })
    }

    /// The model as the client named it; empty where none was read.
    pub(super) fn model(&self) -> &str {
        self.named.as_ref().map_or("", |named| named.model.as_str())
    }

    /// The model that the engine is asked for; empty where none was read.
    pub(super) fn target(&self) -> &str {
        match self.named {
            Some(_) => &self.resolved.target,
            None => "",
        }
    }

    /// How important its model is.
    pub(super) fn criticality(&self) -> Criticality {
        self.resolved.criticality
    }

    /// The body to send, where it must be another one than came.
    pub(super) fn rewritten(&self, body: &[u8]) -> Option<Vec<u8>> {
        let named = self.named.as_ref()?;
        (named.model != self.resolved.target)
            .then(|| json::with_model(body, &named.at, &self.resolved.target))
    }
}

/// Any encoding but `identity`, in any of the header's values.
fn is_encoded(asked: &Asked) -> bool {
    let values = asked.headers.get_all("content-encoding");
    let mut codings = values.flat_map(|value| value.split(|byte| *byte == b','));
    codings.any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

/// What is read of a body that is said to be encoded. Engines that ignore the
/// header read it as it is, so it must not be a way past an InferenceModel; where
/// there is nothing to get past, it goes by load if it is no JSON.
fn encoded(path: Path, body: &[u8], view: &PoolView) -> Result<(Path, Option<Named>), Refused> {
    if model::matters(view) {
        return Err(refused(
            "the body has a content-encoding, so its model cannot be read, and this pool has \
             InferenceModels that depend on it: send it uncompressed"
                .to_owned(),
        ));
    }
    Ok(json::read(body).map_or((Path::Unknown, None), |named| (path, Some(named))))
}

fn refused(message: String) -> Refused {
    Refused {
        kind: RefusedKind::BadRequest,
        message,
        retry_after: None,
    }
}
