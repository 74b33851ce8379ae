//! Health checks by name.

use router_ext_proc::Settings;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::picker::*;

const READINESS: [&str; 4] = [
    "",
    "readiness",
    "inference-extension",
    "envoy.service.ext_proc.v3.ExternalProcessor",
];

async fn client(picker: &Picker) -> HealthClient<Channel> {
    HealthClient::new(connect(format!("http://{}", picker.health)).await)
}

async fn check(client: &mut HealthClient<Channel>, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = client
        .check(request)
        .await
        .map_err(|status| status.code())?;
    Ok(answer.into_inner().status())
}

async fn becomes(client: &mut HealthClient<Channel>, service: &str, expected: ServingStatus) {
    let waiting = async {
        while check(client, service).await != Ok(expected) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the status");
}

#[tokio::test]
async fn readiness_is_said_under_every_name_and_liveness_always() {
    let picker = Picker::start().await;
    let mut client = client(&picker).await;
    for (ready, expected) in [
        (true, ServingStatus::Serving),
        (false, ServingStatus::NotServing),
        (true, ServingStatus::Serving),
    ] {
        picker.ready.send(ready).unwrap();
        for service in READINESS {
            becomes(&mut client, service, expected).await;
        }
        assert_eq!(
            check(&mut client, "liveness").await,
            Ok(ServingStatus::Serving)
        );
    }
}

#[tokio::test]
async fn another_name_is_not_found() {
    let picker = Picker::start().await;
    let mut client = client(&picker).await;
    assert_eq!(check(&mut client, "something").await, Err(Code::NotFound));
}

#[tokio::test]
async fn watchers_see_changes_and_the_drain() {
    let picker = Picker::start().await;
    let mut client = client(&picker).await;
    let request = HealthCheckRequest {
        service: "readiness".to_owned(),
    };
    becomes(&mut client, "readiness", ServingStatus::Serving).await;
    let mut statuses = client.watch(request).await.unwrap().into_inner();
    let mut next = async || statuses.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving);
    picker.ready.send(false).unwrap();
    assert_eq!(next().await, ServingStatus::NotServing);
    picker.ready.send(true).unwrap();
    assert_eq!(next().await, ServingStatus::Serving);
    let _open = picker.call().await;
    picker.shutdown.cancel();
    assert_eq!(next().await, ServingStatus::NotServing);
}

#[tokio::test]
async fn the_ext_proc_port_answers_checks_only_where_switched_on() {
    for on in [false, true] {
        let picker = Picker::with(Settings {
            health_on_ext_proc: on,
            ..settings()
        })
        .await;
        let mut client = HealthClient::new(picker.channel().await);
        let liveness = check(&mut client, "liveness").await;
        let expected = if on {
            Ok(ServingStatus::Serving)
        } else {
            Err(Code::Unimplemented)
        };
        assert_eq!(liveness, expected);
    }
}
