//! Certificates of the ext_proc port: made here, or read and read again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::error::TlsError;
use super::settings::{Settings, TlsSource};

/// The certificate in use. Connections keep the one that they began with.
pub(super) struct Certificates {
    current: ArcSwap<ServerConfig>,
    files: Option<Files>,
}

/// Where certificate and key stand.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificates {
    /// As the settings say; `None` without TLS.
    pub(super) async fn load(settings: &Settings) -> Result<Option<Arc<Self>>, TlsError> {
        let (config, files) = match &settings.tls {
            TlsSource::Plaintext => return Ok(None),
            TlsSource::SelfSigned => (self_signed()?, None),
            TlsSource::Directory(folder) => {
                let files = Files::in_folder(folder);
                let contents = files.read().await?;
                (files.parse(&contents)?, Some(files))
            }
        };
        let current = ArcSwap::from_pointee(config);
        Ok(Some(Arc::new(Self { current, files })))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Takes up changed files; while they are of no use, the last good pair stays.
    /// Never ends.
    pub(super) async fn watch(&self, interval: Duration) {
        let Some(files) = &self.files else {
            return std::future::pending().await;
        };
        let mut seen = None;
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match files.read().await {
                Ok(contents) if seen.as_ref() == Some(&contents) => {}
                Ok(contents) => {
                    self.take(files, &contents);
                    seen = Some(contents);
                }
                Err(error) => warn_kept(&error),
            }
        }
    }

    fn take(&self, files: &Files, contents: &Contents) {
        match files.parse(contents) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                tracing::info!(certificate = ?files.certificate, "certificate read");
            }
            Err(error) => warn_kept(&error),
        }
    }
}

fn warn_kept(error: &TlsError) {
    let reason = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, reason, "the certificate in use stays");
}

impl Files {
    fn in_folder(folder: &Path) -> Self {
        Self {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        }
    }

    async fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            certificate: read(&self.certificate).await?,
            key: read(&self.key).await?,
        })
    }

    fn parse(&self, contents: &Contents) -> Result<ServerConfig, TlsError> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&contents.certificate).collect();
        let chain = chain.map_err(|source| TlsError::Pem {
            path: self.certificate.clone(),
            what: "certificate",
            source,
        })?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key);
        let key = key.map_err(|source| TlsError::Pem {
            path: self.key.clone(),
            what: "private key",
            source,
        })?;
        config(chain, key)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path)
        .await
        .map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
}

fn self_signed() -> Result<ServerConfig, TlsError> {
    let mut params =
        CertificateParams::new(["localhost".to_owned()]).map_err(TlsError::SelfSigned)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "KVAtlas");
    let key = KeyPair::generate().map_err(TlsError::SelfSigned)?;
    let certificate = params.self_signed(&key).map_err(TlsError::SelfSigned)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    config(vec![certificate.der().clone()], key)
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    // Named, so that no other provider that is linked in can be chosen.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?;
    let mut config = versions
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
