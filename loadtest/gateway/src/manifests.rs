//! Manifests as users have them, with the engines of a test as endpoints.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// The pool's name in every manifest of the suite.
const POOL: &str = "qwen-inference-pool";

/// What a picker is told of its pool.
#[derive(Debug, Clone)]
pub struct Manifests {
    /// Ready endpoints.
    pub endpoints: Vec<SocketAddr>,
    /// How endpoints are picked.
    pub mode: Mode,
    /// InferenceModels.
    pub models: Vec<Model>,
}

/// How endpoints are picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// An InferenceTrafficPolicy asks for `tracking`.
    Tracking,
    /// An annotation of the pool asks for `PREFIX_CACHE`.
    Estimation,
    /// Nothing is asked for.
    Load,
}

/// An InferenceModel.
#[derive(Debug, Clone)]
pub struct Model {
    /// `modelName`.
    pub name: &'static str,
    /// `criticality`.
    pub criticality: &'static str,
    /// The one target; none: as named.
    pub target: Option<&'static str>,
}

impl Manifests {
    /// These endpoints, picked in this way, and no InferenceModel.
    #[must_use]
    pub fn new(endpoints: &[SocketAddr], mode: Mode) -> Self {
        Self {
            endpoints: endpoints.to_vec(),
            mode,
            models: Vec::new(),
        }
    }

    /// As one YAML file.
    #[must_use]
    pub fn yaml(&self) -> String {
        let mut text = self.pool();
        if self.mode == Mode::Tracking {
            text.push_str(POLICY);
        }
        for model in &self.models {
            text.push_str(&model.yaml());
        }
        text.push_str("---\napiVersion: kvatlas/v1\nkind: KVAtlasEndpoints\n");
        text.push_str("metadata: {name: engines}\nspec:\n  endpoints:\n");
        if self.endpoints.is_empty() {
            text.truncate(text.len() - 1);
            text.push_str(" []\n");
        }
        for (index, address) in self.endpoints.iter().enumerate() {
            let _ = writeln!(
                text,
                "    - {{name: qwen3-{index}, address: \"{address}\", labels: {{app: qwen3}}}}"
            );
        }
        text
    }

    fn pool(&self) -> String {
        let annotation = match self.mode {
            Mode::Estimation => {
                "\n  annotations: {inference.networking.x-k8s.io/routing-strategy: \"PREFIX_CACHE\"}"
            }
            Mode::Tracking | Mode::Load => "",
        };
        format!(
            "apiVersion: inference.networking.x-k8s.io/v1alpha2\n\
             kind: InferencePool\n\
             metadata:\n  name: {POOL}{annotation}\n\
             spec: {{targetPortNumber: 8000, selector: {{app: qwen3}}}}\n"
        )
    }
}

impl Model {
    fn yaml(&self) -> String {
        let Self {
            name, criticality, ..
        } = self;
        let target = self.target.unwrap_or(name);
        let resource: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .collect();
        format!(
            "---\n\
             apiVersion: inference.networking.x-k8s.io/v1alpha2\n\
             kind: InferenceModel\n\
             metadata: {{name: {resource}}}\n\
             spec:\n  \
               modelName: {name}\n  \
               criticality: {criticality}\n  \
               poolRef: {{group: inference.networking.x-k8s.io, kind: InferencePool, name: {POOL}}}\n  \
               targetModels: [{{name: {target}, weight: 100}}]\n"
        )
    }
}

const POLICY: &str = "---
apiVersion: inferenceextension.alibabacloud.com/v1alpha1
kind: InferenceTrafficPolicy
metadata: {name: inference-policy}
spec:
  poolRef: {name: qwen-inference-pool}
  profile:
    single:
      trafficPolicy:
        prefixCache:
          mode: tracking
          trackingConfig:
            indexerConfig:
              tokenProcessorConfig:
                blockSize: 64
                hashSeed: 42
                model: Qwen/Qwen3-32B
";
