//! What can go wrong before and while serving.

use std::path::PathBuf;
use std::time::Duration;

/// Settings that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Nothing would work with zero.
    #[error("{field} is 0: set it above 0")]
    Zero {
        /// The setting.
        field: &'static str,
    },
    /// One body would not fit.
    #[error("buffered_bytes_max ({buffered}) must be at least body_bytes_max ({body})")]
    Buffer {
        /// Bytes for all bodies.
        buffered: usize,
        /// Bytes for one.
        body: usize,
    },
    /// One time contains the other.
    #[error("{shorter} ({short:?}) must not be above {longer} ({long:?})")]
    Order {
        /// The setting that is too large.
        shorter: &'static str,
        /// Its value.
        short: Duration,
        /// The setting that bounds it.
        longer: &'static str,
        /// Its value.
        long: Duration,
    },
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path:?} cannot be read: mount a folder with tls.crt and tls.key")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not PEM, or does not hold what it should.
    #[error("{path:?} holds no {what} in PEM form")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Certificate or private key.
        what: &'static str,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The key does not fit the certificate, or one of them is of no use.
    #[error("the certificate and its key cannot be used together")]
    Pair(#[source] rustls::Error),
    /// No certificate could be made.
    #[error("no self-signed certificate could be made")]
    SelfSigned(#[source] rcgen::Error),
}

/// Why serving ended, or could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// See [`SettingsError`].
    #[error("ext_proc settings cannot be used")]
    Settings(#[from] SettingsError),
    /// See [`TlsError`].
    #[error("TLS on the ext_proc port cannot be set up")]
    Tls(#[from] TlsError),
    /// The ext_proc port.
    #[error("serving ext_proc failed")]
    ExtProc(#[source] tonic::transport::Error),
    /// The health port.
    #[error("serving health checks failed")]
    Health(#[source] tonic::transport::Error),
}
