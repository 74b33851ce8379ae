//! TLS on the ext_proc port.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};
use router_ext_proc::{Settings, TlsSource};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

use super::picker::*;

/// Takes every certificate, as gateways do here, and remembers the last.
#[derive(Debug)]
struct Trusting {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap() = certificate.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The certificate and the ALPN protocol of a handshake.
async fn handshake(picker: &Picker) -> (Vec<u8>, Option<Vec<u8>>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trusting = Arc::new(Trusting {
        provider: Arc::clone(&provider),
        seen: Mutex::default(),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&trusting) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connection = TcpStream::connect(picker.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connected = TlsConnector::from(Arc::new(config))
        .connect(name, connection)
        .await
        .unwrap();
    let protocol = connected.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let certificate = trusting.seen.lock().unwrap().clone();
    (certificate, protocol)
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len())
        .any(|window| window == part.as_bytes())
}

/// A pair for `localhost` with this organization, as PEM texts.
fn pair(organization: &str) -> (String, String) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params
        .distinguished_name
        .push(DnType::OrganizationName, organization);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write(folder: &Path, (certificate, key): &(String, String)) {
    std::fs::write(folder.join("tls.crt"), certificate).unwrap();
    std::fs::write(folder.join("tls.key"), key).unwrap();
}

async fn with_tls(tls: TlsSource) -> Picker {
    Picker::with(Settings {
        tls,
        cert_reload_interval: Duration::from_millis(20),
        ..settings()
    })
    .await
}

async fn trusting(picker: &Picker, certificate: &str) -> Channel {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate));
    let endpoint = Channel::from_shared(format!("https://{}", picker.address)).unwrap();
    let endpoint = endpoint.tls_config(tls.domain_name("localhost")).unwrap();
    endpoint.connect().await.unwrap()
}

#[tokio::test]
async fn the_default_is_a_new_certificate_of_kvatlas_that_speaks_h2() {
    assert_eq!(Settings::default().tls, TlsSource::SelfSigned);
    let mut certificates = Vec::new();
    for _ in 0..2 {
        let picker = with_tls(TlsSource::SelfSigned).await;
        let (certificate, protocol) = handshake(&picker).await;
        assert!(contains(&certificate, "KVAtlas"));
        assert_eq!(protocol.as_deref(), Some(&b"h2"[..]));
        certificates.push(certificate);
    }
    assert_ne!(certificates[0], certificates[1]);
}

#[tokio::test]
async fn a_certificate_of_the_operator_is_served_and_streams_work() {
    let folder = tempfile::tempdir().unwrap();
    let own = pair("Operator");
    write(folder.path(), &own);
    let picker = with_tls(TlsSource::Directory(folder.path().to_owned())).await;
    let channel = trusting(&picker, &own.0).await;
    Call::on(channel).await.routed().await;
}

#[tokio::test]
async fn changed_files_are_taken_up_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &pair("Before"));
    let picker = with_tls(TlsSource::Directory(folder.path().to_owned())).await;
    assert!(contains(&handshake(&picker).await.0, "Before"));

    // A key that does not fit, then no PEM at all, then no file.
    let (other, _) = pair("Misfit");
    std::fs::write(folder.path().join("tls.crt"), other).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(contains(&handshake(&picker).await.0, "Before"));
    std::fs::write(folder.path().join("tls.crt"), "nonsense").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(contains(&handshake(&picker).await.0, "Before"));
    std::fs::remove_file(folder.path().join("tls.crt")).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(contains(&handshake(&picker).await.0, "Before"));

    write(folder.path(), &pair("Behind"));
    let waiting = async { while !contains(&handshake(&picker).await.0, "Behind") {} };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the new certificate");
}

#[tokio::test]
async fn a_folder_without_certificate_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut picker = with_tls(TlsSource::Directory(folder.path().to_owned())).await;
    let result = tokio::time::timeout(PATIENCE, &mut picker.serving)
        .await
        .unwrap();
    let error = result.unwrap().expect_err("a refusal");
    let source = std::error::Error::source(&error).expect("a source");
    assert!(source.to_string().contains("tls.crt"), "{source}");
}

#[tokio::test]
async fn a_silent_connection_holds_nobody_up() {
    let picker = with_tls(TlsSource::SelfSigned).await;
    let connect = |_| TcpStream::connect(picker.address);
    let silent = futures::future::try_join_all((0..20).map(connect))
        .await
        .unwrap();
    assert!(contains(&handshake(&picker).await.0, "KVAtlas"));
    drop(silent);
}
