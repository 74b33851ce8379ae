//! The suite of the seams, on one node and on three.

use std::time::Duration;

use indexer_store::conformance::Setup;
use indexer_store_raft::RaftOptions;

use crate::support::{Change, Cluster};

fn change(setup: Setup) -> Change {
    fn short_log(options: &mut RaftOptions) {
        // Snapshots are written all the time.
        options.log_bytes = 1 << 16;
        options.log_share_percent = 0;
        options.log_keep_entries = 4;
        // Freshness is not what is tested here, and a large batch takes a while on
        // a busy machine.
        options.watches.contact_max = Duration::from_secs(60);
    }
    fn short_history(options: &mut RaftOptions) {
        options.history.ring_bytes = 1 << 14;
    }
    match setup {
        Setup::Plain => short_log,
        Setup::ShortHistory => short_history,
    }
}

mod one_node {
    use super::{Cluster, Setup, change};

    async fn make(setup: Setup) -> Cluster {
        Cluster::of(1, change(setup)).await
    }

    indexer_store::conformance_suite!(make);
}

mod three_nodes {
    use super::{Cluster, Setup, change};

    async fn make(setup: Setup) -> Cluster {
        Cluster::of(3, change(setup)).await
    }

    indexer_store::conformance_suite!(make);
}
