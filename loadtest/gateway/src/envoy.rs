//! A real Envoy: found, configured, started, and killed when dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use loadtest_engines::{Process, Program, free_ports};
use tokio::time::Instant;

use crate::{Client, LIMIT, Log, get};

const GATEWAY: &str = include_str!("../../../testdata/envoy/gateway.yaml");
const ORIGINAL_DST: &str = include_str!("../../../testdata/envoy/pool-original-dst.yaml");
const OVERRIDE_HOST: &str = include_str!("../../../testdata/envoy/pool-override-host.yaml");

/// Where `./test.sh --prepare` puts it, below the folder of build results.
const INSTALLED: &str = "peers/bin/python";

/// The Envoy program.
#[derive(Debug, Clone)]
pub struct EnvoyBinary(PathBuf);

/// How Envoy finds the endpoint that the picker named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The header alone; Envoy knows no endpoints.
    OriginalDst,
    /// Among the endpoints it knows; a list is tried in order.
    OverrideHost,
}

/// How the listener without a picker chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// One engine after the other.
    InTurn,
    /// Any engine.
    Random,
}

/// What an Envoy is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How endpoints are found.
    pub pool: Pool,
    /// Every endpoint, for `OverrideHost` and the plain listener.
    pub engines: Vec<SocketAddr>,
    /// How the plain listener chooses.
    pub plain: Plain,
    /// What the virtual host `subset.test` hints at.
    pub subset: Vec<SocketAddr>,
    /// The picker's port for ext_proc.
    pub picker_port: u16,
    /// The authority that the picker's certificate must come from; none: any.
    pub picker_authority: Option<PathBuf>,
    /// Whether Envoy makes request ids before the picker sees the request.
    pub makes_request_ids: bool,
    /// Worker threads.
    pub concurrency: u32,
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    inference: SocketAddr,
    plain: SocketAddr,
    admin: SocketAddr,
    access_log: Log,
}

impl EnvoyBinary {
    /// The given one; or the one below the folder that programs are built into, or
    /// below the project's `target`; or the one on the path.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(given: Option<&Path>) -> Result<Self> {
        if let Some(given) = given {
            let path = given.canonicalize();
            let path = path.with_context(|| format!("no Envoy at {}", given.display()))?;
            return Ok(Self(path));
        }
        let program = std::env::current_exe()?;
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        let places = program.ancestors().chain([built.as_path()]);
        let installed = places.into_iter().find_map(installed_below);
        let search = std::env::var_os("PATH").unwrap_or_default();
        let on_path = || {
            let places = std::env::split_paths(&search).map(|folder| folder.join("envoy"));
            places.into_iter().find(|place| place.is_file())
        };
        installed.or_else(on_path).map(Self).context(
            "no Envoy: run ./test.sh --prepare, or name one in KVATLAS_ENVOY or with --envoy",
        )
    }
}

/// The package's own binary: its launcher in `bin` would be another process.
fn installed_below(folder: &Path) -> Option<PathBuf> {
    let python = folder.join(INSTALLED);
    let libraries = python.parent()?.parent()?.join("lib");
    let versions = std::fs::read_dir(libraries).ok()?;
    let places = versions.filter_map(Result::ok).map(|version| {
        let packages = version.path().join("site-packages");
        packages.join("envoy/_bin/envoy")
    });
    places.into_iter().find(|place| place.is_file())
}

impl Setup {
    /// The usual one, for these engines and this picker.
    #[must_use]
    pub fn new(pool: Pool, engines: Vec<SocketAddr>, picker_port: u16) -> Self {
        Self {
            pool,
            subset: engines.clone(),
            engines,
            plain: Plain::InTurn,
            picker_port,
            picker_authority: None,
            makes_request_ids: true,
            concurrency: 1,
        }
    }

    fn rendered(&self, ports: [u16; 3], access_log: &Path) -> Result<String> {
        let [inference, plain_port, admin] = ports.map(|port| port.to_string());
        let engines: Vec<_> = self.engines.iter().map(host).collect();
        let subset = self.subset.iter().map(|engine| format!("\"{engine}\""));
        let subset: Vec<_> = subset.collect();
        let trust = self.picker_authority.as_ref().map(|authority| {
            let file = authority.display();
            format!("validation_context: {{trusted_ca: {{filename: \"{file}\"}}}}")
        });
        let pool = match self.pool {
            Pool::OriginalDst => ORIGINAL_DST,
            Pool::OverrideHost => OVERRIDE_HOST,
        };
        let plain = match self.plain {
            Plain::InTurn => "ROUND_ROBIN",
            Plain::Random => "RANDOM",
        };
        let values = [
            ("POOL", pool.trim_end().to_owned()),
            ("INFERENCE_PORT", inference),
            ("PLAIN_PORT", plain_port),
            ("PLAIN_POLICY", plain.to_owned()),
            ("ADMIN_PORT", admin),
            ("PICKER_PORT", self.picker_port.to_string()),
            ("PICKER_TRUST", trust.unwrap_or_default()),
            ("MAKES_REQUEST_IDS", self.makes_request_ids.to_string()),
            ("ACCESS_LOG", access_log.display().to_string()),
            ("ENGINES", engines.join(", ")),
            ("SUBSET", subset.join(", ")),
        ];
        filled(GATEWAY, &values)
    }
}

fn host(engine: &SocketAddr) -> String {
    let (ip, port) = (engine.ip(), engine.port());
    format!(
        "{{endpoint: {{address: {{socket_address: {{address: \"{ip}\", port_value: {port}}}}}}}}}"
    )
}

/// Replaces `@NAME@`; a value may hold names too, if they come later in the list.
fn filled(template: &str, values: &[(&str, String)]) -> Result<String> {
    let mut text = template.to_owned();
    for (name, value) in values {
        let place = format!("@{name}@");
        if !text.contains(&place) && *name != "PICKER_TRUST" {
            bail!("the template has no {place}");
        }
        text = text.replace(&place, value);
    }
    let is_place =
        |text: &&str| !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    if let Some(place) = text.split('@').skip(1).find(is_place) {
        bail!("nothing to put in place of @{place}@");
    }
    Ok(text)
}

impl Envoy {
    /// Starts one; its files go into `folder`. On return it answers.
    ///
    /// # Errors
    /// If it ends, or does not answer within [`LIMIT`].
    pub async fn start(binary: &EnvoyBinary, setup: &Setup, folder: &Path) -> Result<Self> {
        let ports: [u16; 3] = free_ports().await?;
        let access_log = folder.join("access.log");
        let configuration = folder.join("envoy.yaml");
        std::fs::write(&configuration, setup.rendered(ports, &access_log)?)?;
        let program = Program {
            name: "envoy".to_owned(),
            binary: binary.0.clone(),
            args: [
                "--config-path",
                &configuration.display().to_string(),
                "--disable-hot-restart",
                "--concurrency",
                &setup.concurrency.to_string(),
                "--log-level",
                "warning",
                "--file-flush-interval-msec",
                "50",
            ]
            .map(str::to_owned)
            .to_vec(),
            variables: Vec::new(),
            log: Some(folder.join("envoy.log")),
        };
        let [inference, plain, admin] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut envoy = Self {
            process: program.start()?,
            inference,
            plain,
            admin,
            access_log: Log::at(access_log),
        };
        envoy.wait_until_live(&folder.join("envoy.log")).await?;
        Ok(envoy)
    }

    /// The listener that asks the picker.
    #[must_use]
    pub fn inference(&self) -> SocketAddr {
        self.inference
    }

    /// The listener that asks nobody.
    #[must_use]
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Its access log: `test` (the header `x-test`), `status`, `details`, `upstream`,
    /// `attempts`, `metadata`, `request_id`.
    #[must_use]
    pub fn access_log(&self) -> &Log {
        &self.access_log
    }

    /// The system's number of its process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// One of its own figures, such as `cluster.picker.membership_healthy`.
    ///
    /// # Errors
    /// If it has none of that name.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        let path = format!("/stats?filter=^{name}$");
        let answer = Client::once(self.admin, get("admin", &path)).await?;
        let text = answer.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let value = value.and_then(|value| value.strip_prefix(": "));
        Ok(value
            .with_context(|| format!("no {name}"))?
            .trim()
            .parse()?)
    }

    /// Returns when Envoy holds the picker for healthy.
    ///
    /// # Errors
    /// If it does not within [`LIMIT`].
    pub async fn picker_is_healthy(&self) -> Result<()> {
        crate::eventually("a healthy picker", async || {
            let healthy = self.stat("cluster.picker.membership_healthy").await?;
            Ok((healthy == 1).then_some(()))
        })
        .await
    }

    async fn wait_until_live(&mut self, log: &Path) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.process.ended() {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("envoy ended with {status}:\n{said}");
            }
            let ready = Client::once(self.admin, get("admin", "/ready")).await;
            if ready.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("envoy is not ready after {LIMIT:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_template_is_filled() {
        let engines = vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()];
        for pool in [Pool::OriginalDst, Pool::OverrideHost] {
            let mut setup = Setup::new(pool, engines.clone(), 9002);
            setup.plain = Plain::Random;
            let text = setup.rendered([1, 2, 3], Path::new("/a")).unwrap();
            assert!(text.contains("port_value: 9002"), "{text}");
            assert!(text.contains("address: \"::1\""), "{text}");
            assert!(text.contains("lb_policy: RANDOM"), "{text}");
            assert!(!text.contains("@P"), "{text}");
        }
    }

    #[test]
    fn a_place_without_a_value_is_an_error() {
        let values = [("A", "1".to_owned())];
        assert_eq!(filled("x @A@", &values).unwrap(), "x 1");
        assert!(filled("x @A@ @B@", &values).is_err());
        assert!(filled("nothing", &values).is_err());
    }
}
