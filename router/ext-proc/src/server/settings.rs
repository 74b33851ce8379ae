//! What can be set, and what is refused.

use std::path::PathBuf;
use std::time::Duration;

use super::error::SettingsError;
use crate::stream::Rules;

/// How ext_proc is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the certificate comes from, or none.
    pub tls: TlsSource,
    /// How often the files of [`TlsSource::Directory`] are looked at.
    pub cert_reload_interval: Duration,
    /// Answer health checks on the ext_proc port too.
    pub health_on_ext_proc: bool,
    /// Longest body of a request, in bytes; longer ones get 413.
    pub body_bytes_max: usize,
    /// Bytes of all requests that wait for their decision (bodies, headers,
    /// metadata), of messages that are not whole yet, and of response bodies that
    /// the gateway has not taken back; requests beyond get 503. The memory that
    /// bodies take can be up to twice as much while they grow.
    pub buffered_bytes_max: usize,
    /// Longest message of the gateway, in bytes. Above the gateway's
    /// `per_connection_buffer_limit_bytes`; a longer one gets 413, and in a response
    /// ends its stream.
    pub message_bytes_max: usize,
    /// All headers of one message, in bytes, with 64 for each: what they take in
    /// memory. More get 431.
    pub headers_bytes_max: usize,
    /// All metadata and attributes of one message, in bytes; more get 431.
    pub metadata_bytes_max: usize,
    /// Connections at a time, on each port; more are closed at once.
    pub connections_max: usize,
    /// Streams at a time; requests beyond get 503.
    pub streams_max: usize,
    /// Endpoints named per request. Only gateways with `override_host` can use
    /// more than one.
    pub destinations_max: usize,
    /// From a request's last byte to its decision; 503 after that.
    pub decision_timeout: Duration,
    /// Between two parts of a request's body, and between a part sent back and the
    /// next; 503 after that.
    pub body_idle_timeout: Duration,
    /// From a request's headers to its last byte; 503 after that.
    pub body_timeout: Duration,
    /// How often a quiet connection is asked whether it lives.
    pub keepalive_interval: Duration,
    /// A connection that has not answered by then is dead.
    pub keepalive_timeout: Duration,
    /// From the shutdown on, streams are taken as ever for so long.
    pub drain_delay: Duration,
    /// From the shutdown on, open streams have so long to end.
    pub drain_timeout: Duration,
    /// Let `test-epp-endpoint-selection` limit the pick, and tell who served in
    /// `x-conformance-test-served-endpoint`. For conformance tests: a client could
    /// choose its endpoint.
    pub test_endpoint_selection: bool,
}

/// Where the certificate of the ext_proc port comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TlsSource {
    /// Made at each start; gateways do not check it.
    #[default]
    SelfSigned,
    /// `tls.crt` and `tls.key` in this folder; read again when they change.
    Directory(PathBuf),
    /// No TLS.
    Plaintext,
}

impl Default for Settings {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            tls: TlsSource::default(),
            cert_reload_interval: secs(10),
            health_on_ext_proc: false,
            body_bytes_max: 16 << 20,
            buffered_bytes_max: 1 << 30,
            message_bytes_max: 16 << 20,
            headers_bytes_max: 1 << 20,
            metadata_bytes_max: 256 << 10,
            connections_max: 16_384,
            streams_max: 16_384,
            destinations_max: 1,
            decision_timeout: secs(1),
            body_idle_timeout: secs(60),
            body_timeout: secs(300),
            keepalive_interval: secs(30),
            keepalive_timeout: secs(20),
            drain_delay: secs(5),
            drain_timeout: secs(30),
            test_endpoint_selection: false,
        }
    }
}

impl Settings {
    /// Whether the settings go together.
    ///
    /// # Errors
    /// [`SettingsError`] names the first that does not, and what it has to be.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let counts = [
            ("body_bytes_max", self.body_bytes_max),
            ("message_bytes_max", self.message_bytes_max),
            ("headers_bytes_max", self.headers_bytes_max),
            ("metadata_bytes_max", self.metadata_bytes_max),
            ("connections_max", self.connections_max),
            ("streams_max", self.streams_max),
            ("destinations_max", self.destinations_max),
        ];
        let times = [
            ("cert_reload_interval", self.cert_reload_interval),
            ("decision_timeout", self.decision_timeout),
            ("body_idle_timeout", self.body_idle_timeout),
            ("keepalive_interval", self.keepalive_interval),
            ("keepalive_timeout", self.keepalive_timeout),
        ];
        let zero_count = counts.iter().find(|(_, value)| *value == 0);
        let zero_time = times.iter().find(|(_, value)| value.is_zero());
        let zero = zero_count
            .map(|(field, _)| *field)
            .or_else(|| zero_time.map(|(field, _)| *field));
        if let Some(field) = zero {
            return Err(SettingsError::Zero { field });
        }
        if self.buffered_bytes_max < self.body_bytes_max {
            return Err(SettingsError::Buffer {
                buffered: self.buffered_bytes_max,
                body: self.body_bytes_max,
            });
        }
        ordered(
            "body_idle_timeout",
            self.body_idle_timeout,
            "body_timeout",
            self.body_timeout,
        )?;
        ordered(
            "drain_delay",
            self.drain_delay,
            "drain_timeout",
            self.drain_timeout,
        )
    }

    pub(super) fn rules(&self) -> Rules {
        Rules {
            body_bytes_max: self.body_bytes_max,
            destinations_max: self.destinations_max,
            test_selection: self.test_endpoint_selection,
        }
    }
}

fn ordered(
    shorter: &'static str,
    short: Duration,
    longer: &'static str,
    long: Duration,
) -> Result<(), SettingsError> {
    if short <= long {
        return Ok(());
    }
    Err(SettingsError::Order {
        shorter,
        short,
        longer,
        long,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_go_together() {
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn an_error_names_the_field() {
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.validate().unwrap_err().to_string()
        };
        let zero = refused(|settings| settings.decision_timeout = Duration::ZERO);
        assert!(zero.contains("decision_timeout"), "{zero}");
        let buffer = refused(|settings| settings.buffered_bytes_max = 1);
        assert!(buffer.contains("buffered_bytes_max (1)"), "{buffer}");
        let drain = refused(|settings| settings.drain_delay = Duration::from_secs(31));
        assert!(drain.contains("drain_delay (31s)"), "{drain}");
    }
}
