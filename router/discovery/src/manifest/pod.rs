//! What a pod says of itself: its address, and whether it is ready.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::fields::Node;

/// A pod as a picker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodAddress {
    /// Its first address; `None` while it has none, and after it has ended.
    pub(crate) ip: Option<IpAddr>,
    /// Ready, and not on its way out.
    pub(crate) ready: bool,
    pub(crate) labels: BTreeMap<String, String>,
}

/// What a pod without a `Ready` condition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The API server always says: unready.
    Told,
    /// A file that somebody wrote may say nothing: ready.
    Assumed,
}

/// Reads what matters of a pod.
pub(crate) fn pod_address(pod: &Pod, readiness: Readiness) -> PodAddress {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    let ended = matches!(phase, Some("Succeeded" | "Failed"));
    let ip = status
        .and_then(|status| status.pod_ip.as_deref())
        .and_then(|ip| ip.parse().ok())
        .map(|ip: IpAddr| ip.to_canonical())
        .filter(|_| !ended);
    let condition = status
        .and_then(|status| status.conditions.as_deref())
        .and_then(|conditions| conditions.iter().find(|c| c.type_ == "Ready"))
        .map(|condition| condition.status == "True");
    let ready = condition.unwrap_or(readiness == Readiness::Assumed);
    let leaving = pod.metadata.deletion_timestamp.is_some();
    PodAddress {
        ip,
        ready: ready && !leaving && !ended,
        labels: pod.metadata.labels.clone().unwrap_or_default(),
    }
}

/// A pod of a file, with the fields that matter checked by name.
pub(super) fn file_pod(node: &Node<'_>, namespace: &str) -> Option<Pod> {
    let ip = node.value.pointer("/status/podIP").and_then(Value::as_str);
    if ip.is_some_and(|ip| ip.parse::<IpAddr>().is_err()) {
        node.wrong("status.podIP is not an address; accepted: an IPv4 or IPv6 address");
        return None;
    }
    match serde_json::from_value::<Pod>(node.value.clone()) {
        Ok(pod) if pod.metadata.name.as_deref().unwrap_or_default().is_empty() => {
            node.wrong("metadata.name is missing");
            None
        }
        Ok(mut pod) => {
            pod.metadata
                .namespace
                .get_or_insert_with(|| namespace.to_owned());
            Some(pod)
        }
        Err(error) => {
            node.wrong(format!("not a pod: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        let pod = json!({"metadata": {"name": "p"}, "status": {"podIP": "::ffff:10.0.0.1"}});
        let pod = serde_json::from_value(pod).expect("a pod");
        let found = pod_address(&pod, Readiness::Told);
        assert_eq!(found.ip, Some(IpAddr::from([10, 0, 0, 1])));
    }
}
