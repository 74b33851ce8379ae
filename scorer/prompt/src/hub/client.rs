//! One GET at a time, redirects followed by hand: the first answer's headers
//! name the commit, and the token must not follow to another host.

use std::io::{self, Read as _};

use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body, Proxy};

use super::{HubConfig, HubError};

const MAX_REDIRECTS: usize = 5;

pub(super) struct Client {
    agent: Agent,
    endpoint: Uri,
    token: Option<String>,
}

/// A file as it came.
pub(super) struct Fetched {
    pub(super) content: Vec<u8>,
    /// The commit that it belongs to, if the hub says so.
    pub(super) commit: Option<String>,
    /// The SHA-256 of a large file, in hex, if the hub says so.
    pub(super) sha256: Option<String>,
}

impl Client {
    pub(super) fn new(config: &HubConfig) -> Result<Self, HubError> {
        let bad = |reason: String| HubError::Endpoint {
            endpoint: without_credentials(&config.endpoint),
            reason,
        };
        let endpoint: Uri = config
            .endpoint
            .trim_end_matches('/')
            .parse()
            .map_err(|_| bad("no address".to_owned()))?;
        if !matches!(endpoint.scheme_str(), Some("http" | "https")) || endpoint.host().is_none() {
            return Err(bad("it needs http or https and a host".to_owned()));
        }
        let proxy = config
            .proxy
            .as_deref()
            .map(Proxy::new)
            .transpose()
            .map_err(|error| bad(error.to_string()))?;
        let settings = Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(proxy)
            .user_agent(concat!("kvatlas/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: settings.new_agent(),
            endpoint,
            token: config.token.clone(),
        })
    }

    /// The file at `path` below the endpoint; nothing if the hub has none.
    pub(super) fn get(&self, path: &str, limit: u64) -> Result<Option<Fetched>, HubError> {
        let base = self.endpoint.to_string();
        let mut url = format!("{}{path}", base.trim_end_matches('/'));
        let (mut commit, mut sha256) = (None, None);
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(&url)?;
            let headers = response.headers();
            commit = commit.or_else(|| text(headers, "x-repo-commit"));
            sha256 =
                sha256.or_else(|| text(headers, "x-linked-etag").and_then(|etag| digest(&etag)));
            match response.status().as_u16() {
                200 => {
                    let content = read(response, &url, limit)?;
                    return Ok(Some(Fetched {
                        content,
                        commit,
                        sha256,
                    }));
                }
                301 | 302 | 303 | 307 | 308 => url = self.follow(&url, headers)?,
                404 => return Ok(None),
                status @ (401 | 403) => {
                    return Err(HubError::Denied {
                        url: shown(&url),
                        status,
                    });
                }
                status => {
                    return Err(HubError::Status {
                        url: shown(&url),
                        status,
                    });
                }
            }
        }
        Err(HubError::Redirect {
            url: shown(&url),
            reason: "too many redirects",
        })
    }

    fn send(&self, url: &str) -> Result<Response<Body>, HubError> {
        let mut request = self.agent.get(url);
        let own = url
            .parse::<Uri>()
            .is_ok_and(|uri| same_origin(&uri, &self.endpoint));
        if let Some(token) = self.token.as_deref().filter(|_| own) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|source| HubError::Transfer {
            url: shown(url),
            source: Box::new(source),
        })
    }

    fn follow(&self, url: &str, headers: &HeaderMap) -> Result<String, HubError> {
        let refuse = |reason| HubError::Redirect {
            url: shown(url),
            reason,
        };
        let location = text(headers, "location").ok_or_else(|| refuse("no address given"))?;
        let from: Uri = url.parse().map_err(|_| refuse("no address given"))?;
        let (scheme, authority) = (from.scheme_str().unwrap_or("https"), from.authority());
        let target = match (
            location.starts_with("//"),
            location.starts_with('/'),
            authority,
        ) {
            (true, _, _) => format!("{scheme}:{location}"),
            (false, true, Some(authority)) => format!("{scheme}://{authority}{location}"),
            _ => location,
        };
        let to: Uri = target.parse().map_err(|_| refuse("not an address"))?;
        match (scheme, to.scheme_str()) {
            ("https", Some("https")) | ("http", Some("http" | "https")) => Ok(target),
            ("https", Some("http")) => Err(refuse("from https to http")),
            _ => Err(refuse("neither http nor https")),
        }
    }
}

fn same_origin(a: &Uri, b: &Uri) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_u16() == b.port_u16()
}

fn read(response: Response<Body>, url: &str, limit: u64) -> Result<Vec<u8>, HubError> {
    let announced =
        text(response.headers(), "content-length").and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(HubError::TooLarge {
            url: shown(url),
            limit,
        });
    }
    let mut content = Vec::new();
    let mut reader = response.into_body().into_reader().take(limit + 1);
    reader
        .read_to_end(&mut content)
        .map_err(|error| broken(url, error))?;
    let length = content.len() as u64;
    if length > limit {
        return Err(HubError::TooLarge {
            url: shown(url),
            limit,
        });
    }
    match announced {
        Some(announced) if announced != length => {
            let reason = format!("{length} of {announced} bytes");
            Err(HubError::Damaged {
                url: shown(url),
                reason,
            })
        }
        _ => Ok(content),
    }
}

fn broken(url: &str, error: io::Error) -> HubError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return HubError::Damaged {
            url: shown(url),
            reason: "it ends too early".to_owned(),
        };
    }
    HubError::Transfer {
        url: shown(url),
        source: Box::new(ureq::Error::Io(error)),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

/// The digest in the entity tag of a large file; other files have other tags.
fn digest(etag: &str) -> Option<String> {
    let digest = etag
        .trim_start_matches("W/")
        .trim_matches('"')
        .to_ascii_lowercase();
    (digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digest)
}

/// An address for messages: signed addresses carry secrets in their query.
fn shown(url: &str) -> String {
    without_credentials(url.split('?').next().unwrap_or_default())
}

/// An address without the user name and password before its host.
pub(super) fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}{}", &url[..scheme + 3], &url[at + 1..])
        }
        _ => url.to_owned(),
    }
}
