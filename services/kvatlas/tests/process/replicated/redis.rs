//! The same roles on Redis.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::cluster::{MODEL, engine, last_prompt, recorded, reusable, settled};
use super::role::{Role, free_port, http, ready};
use crate::running::{recordings, wait_for};

/// A Redis server that writes everything down; killed when dropped.
struct Redis {
    child: Option<Child>,
    port: u16,
    folder: TempDir,
}

impl Redis {
    fn absent() -> Self {
        Self {
            child: None,
            port: free_port(),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn start(&mut self) {
        let server = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let child = Command::new(server)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args([
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--save",
                "",
            ])
            .arg("--dir")
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.expect("redis-server is installed (Debian: redis-server)"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn role(&self, args: &[&str]) -> Role {
        let urls = format!("store.redis.urls=[\"redis://127.0.0.1:{}\"]", self.port);
        let backend = ["--set", "store.backend=redis", "--set", &urls];
        Role::start(&[args, &backend].concat())
    }

    fn ingestor(&self) -> Role {
        let bind = format!("tcp://127.0.0.1:{}", free_port());
        let http = format!("127.0.0.1:{}", free_port());
        self.role(&["ingestor", "--bind", &bind, "--http", &http])
    }

    fn scorer(&self) -> Role {
        let model = format!("{MODEL}={}", recordings().join("model").display());
        let (grpc, http) = (
            format!("127.0.0.1:{}", free_port()),
            format!("127.0.0.1:{}", free_port()),
        );
        self.role(&[
            "scorer", "--grpc", &grpc, "--http", &http, "--model", &model,
        ])
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn roles_wait_for_redis_and_outlive_it() {
    let mut redis = Redis::absent();
    // Nobody is there yet: alive, and not ready.
    let (one, two) = (redis.ingestor(), redis.ingestor());
    let scorer = redis.scorer();
    for role in [&one, &two, &scorer] {
        let url = role.at("http");
        assert_eq!(http("GET", &format!("{url}/healthz")).0, 200);
        assert_eq!(http("GET", &format!("{url}/readyz")).0, 503);
    }
    redis.start();
    for role in [&one, &two, &scorer] {
        ready(&role.at("http"));
    }
    let mut publisher = engine(&[&one, &two], "10.1.2.3:8000", &[]);
    publisher.publish(30);
    assert_eq!(settled(&scorer, &publisher)["trust"], "exact");

    redis.kill();
    publisher.publish(20);
    redis.start();
    publisher.publish(recorded() - 50);
    let endpoint = settled(&scorer, &publisher);
    assert_eq!(endpoint["trust"], "exact");
    assert_eq!(endpoint["incarnation"], 1);
    let (_, whole) = last_prompt();
    wait_for("the whole prompt", || {
        (reusable(&scorer) == whole).then_some(())
    });
    let cold = redis.scorer();
    ready(&cold.at("http"));
    assert_eq!(reusable(&cold), whole);
}
