//! Mutual TLS on the store's port.

use std::path::Path;
use std::process::Command;

use super::cluster::{Cluster, engine, settled};
use super::role::{Role, free_port, http, ready};
use crate::running::{run, text, wait_for};

fn openssl(folder: &Path, args: &str) {
    let output = Command::new("openssl")
        .args(args.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    assert!(
        output.status.success(),
        "openssl {args}: {}",
        text(&output.stderr)
    );
}

/// An authority and one certificate of it, for this machine.
fn certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"),
    );
    openssl(
        folder,
        &format!("req {key} -keyout key.pem -out request.pem -subj /CN=node"),
    );
    let names =
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n";
    std::fs::write(folder.join("names"), names).expect("a file");
    openssl(
        folder,
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile names",
    );
}

fn settings(folder: &Path) -> Vec<String> {
    [
        ("certificate", "cert.pem"),
        ("key", "key.pem"),
        ("ca", "ca.pem"),
    ]
    .iter()
    .flat_map(|(key, file)| {
        let path = folder.join(file);
        [
            "--set".to_owned(),
            format!("store.tls.{key}={}", path.display()),
        ]
    })
    .collect()
}

#[test]
fn only_who_has_a_certificate_of_the_authority_takes_part() {
    let (ours, theirs) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    certificates(ours.path());
    certificates(theirs.path());
    let settings_of = |folder: &tempfile::TempDir| settings(folder.path());
    let own = settings_of(&ours);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let cluster = Cluster::with(&own);
    let (ingestor, scorer) = (cluster.ingestor(&[]), cluster.scorer(&[]));
    ready(&ingestor.at("http"));
    ready(&scorer.at("http"));
    let mut publisher = engine(&[&ingestor], "10.1.2.3:8000", &[]);
    publisher.publish(10);
    assert_eq!(settled(&scorer, &publisher)["trust"], "exact");

    let at = &cluster.nodes[0].address;
    let status = ["store", "status", "--at", at];
    assert!(run(&[&status[..], &own].concat()).status.success());
    let stranger = settings_of(&theirs);
    let stranger: Vec<&str> = stranger.iter().map(String::as_str).collect();
    for strange in [&[][..], &stranger] {
        let output = run(&[&status[..], strange].concat());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    }

    // Who comes without TLS is told what is wrong, and does not get in.
    let (bind, http_at) = (
        format!("tcp://127.0.0.1:{}", free_port()),
        format!("127.0.0.1:{}", free_port()),
    );
    let plain = [
        "ingestor", "--bind", &bind, "--http", &http_at, "--store", at,
    ];
    let plain = Role::start(&plain);
    let url = format!("{}/readyz", plain.at("http"));
    let said = wait_for("words about TLS", || {
        let (status, said) = http("GET", &url);
        assert_ne!(status, 200, "{said}");
        said.contains("last:").then_some(said)
    });
    assert!(said.contains("TLS expected"), "{said}");
}
