//! One scorer on several stores: who holds what, under which name, and how far
//! each store is known.

use crate::common::several::{Several, named};
use crate::common::{publisher, tokens};
use proto_api::{FailureKind, Input, ReplicaState, ScoreQuery};
use proto_model::{Revision, Trust};

fn all(text: &[(&str, u32)]) -> Vec<(String, u32)> {
    let rows = text.iter();
    rows.map(|(name, tokens)| ((*name).to_owned(), *tokens))
        .collect()
}

/// Both stores call their clusters `default`, and use one address.
async fn labelled() -> (Several, Vec<u32>) {
    let several = Several::new([Some("east"), Some("west")]).await;
    let prompt = tokens(1, 17);
    let same = publisher("10.0.0.1:8000", 0);
    several.publish(0, &same, &prompt).await;
    several.publish(1, &same, &prompt[..8]).await;
    let other = publisher("10.0.0.2:8000", 0);
    several.publish(1, &other, &prompt[..12]).await;
    (several, prompt)
}

#[tokio::test]
async fn answers_merge_what_all_stores_hold_under_their_labels() {
    let (several, prompt) = labelled().await;
    let answer = several.score(&prompt, &[]).await;
    assert_eq!(
        named(&answer),
        all(&[
            ("east/10.0.0.1:8000#0", 16),
            ("west/10.0.0.2:8000#0", 12),
            ("west/10.0.0.1:8000#0", 8),
        ])
    );
    assert!(answer.endpoints.iter().all(|of| of.trust == Trust::Exact));
    assert_eq!(answer.warnings, [""; 0]);
}

#[tokio::test]
async fn every_store_stands_in_the_answer_by_itself() {
    let (several, prompt) = labelled().await;
    let answer = several.score(&prompt, &[]).await;
    assert_eq!(answer.revision, Revision(0), "revisions of two stores");
    assert_eq!(answer.state, ReplicaState::Live);
    let stores = answer.stores.iter();
    let stores: Vec<_> = stores
        .map(|store| (&store.cluster[..], store.revision, store.state))
        .collect();
    let at = |number: usize| several.worlds[number].store.revision();
    assert_eq!(
        stores,
        [
            ("east", at(0), ReplicaState::Live),
            ("west", at(1), ReplicaState::Live)
        ]
    );
    let oldest = answer.stores.iter().map(|store| store.age_ms).max();
    assert_eq!(Some(answer.age_ms), oldest);
    let single = several.worlds[0].score_tokens("m", prompt).await;
    assert_eq!((single.revision, single.stores), (at(0), Vec::new()));
}

#[tokio::test]
async fn candidates_are_told_apart_by_label() {
    let (several, prompt) = labelled().await;
    let answer = several.score(&prompt, &["west/10.0.0.1:8000"]).await;
    assert_eq!(named(&answer), all(&[("west/10.0.0.1:8000#0", 8)]));
    let answer = several
        .score(&prompt, &["10.0.0.1:8000", "default/10.0.0.2"])
        .await;
    assert_eq!(
        named(&answer),
        all(&[("east/10.0.0.1:8000#0", 16), ("west/10.0.0.1:8000#0", 8)])
    );
    assert_eq!(
        answer.unknown_candidates,
        ["default/10.0.0.2"],
        "the label replaces the cluster of the endpoint's own name"
    );
}

#[tokio::test]
async fn without_labels_names_are_as_they_are() {
    let several = Several::new([None, None]).await;
    let prompt = tokens(1, 9);
    several
        .publish(0, &publisher("a/10.0.0.1", 0), &prompt)
        .await;
    several
        .publish(1, &publisher("b/10.0.0.1", 0), &prompt[..4])
        .await;
    let answer = several.score(&prompt, &[]).await;
    assert_eq!(
        named(&answer),
        all(&[("a/10.0.0.1#0", 8), ("b/10.0.0.1#0", 4)])
    );
    let stores: Vec<_> = answer
        .stores
        .iter()
        .map(|store| &store.cluster[..])
        .collect();
    assert_eq!(stores, ["store-1", "store-2"]);
    assert_eq!(answer.warnings, [""; 0]);
}

#[tokio::test]
async fn of_a_name_that_two_stores_list_the_least_is_told() {
    let several = Several::new([None, None]).await;
    let prompt = tokens(1, 17);
    let same = publisher("10.0.0.1:8000", 0);
    several.publish(0, &same, &prompt).await;
    several.publish(1, &same, &prompt[..8]).await;
    let alone = publisher("10.0.0.2:8000", 0);
    several.publish(1, &alone, &prompt[..12]).await;
    let answer = several.score(&prompt, &[]).await;
    let expected = [
        ("default/10.0.0.2:8000#0", 12),
        ("default/10.0.0.1:8000#0", 8),
    ];
    assert_eq!(named(&answer), all(&expected), "never 16, never 24");
    let trust: Vec<_> = answer.endpoints.iter().map(|of| of.trust).collect();
    assert_eq!(trust, [Trust::Exact, Trust::Suspect]);
    assert!(
        answer.warnings[0].contains("default/10.0.0.1:8000#0"),
        "{:?}",
        answer.warnings
    );

    // One of them holds nothing of this prompt, and so has no row of its own.
    let other = tokens(2, 9);
    several.publish(0, &same, &other).await;
    let answer = several.score(&other, &[]).await;
    assert_eq!(named(&answer), all(&[("default/10.0.0.1:8000#0", 0)]));
}

#[tokio::test]
async fn clusters_under_one_label_are_not_mixed_up_either() {
    let several = Several::new([Some("east"), Some("west")]).await;
    let prompt = tokens(1, 17);
    several
        .publish(0, &publisher("a/10.0.0.1", 0), &prompt)
        .await;
    several
        .publish(0, &publisher("b/10.0.0.1", 0), &prompt[..8])
        .await;
    let answer = several.score(&prompt, &[]).await;
    assert_eq!(named(&answer), all(&[("east/10.0.0.1#0", 8)]));
    assert_eq!(answer.endpoints[0].trust, Trust::Suspect);
}

#[tokio::test]
async fn one_store_gone_leaves_the_others_answers_right() {
    let (several, prompt) = labelled().await;
    several.worlds[0].store.close().await;
    let east = several.replicas.first();
    while east.state() != ReplicaState::Stale {
        tokio::task::yield_now().await;
    }
    several
        .publish(1, &publisher("10.0.0.3:8000", 0), &prompt)
        .await;
    let answer = several.score(&prompt, &[]).await;
    let expected = [
        ("east/10.0.0.1:8000#0", 16),
        ("west/10.0.0.3:8000#0", 16),
        ("west/10.0.0.2:8000#0", 12),
        ("west/10.0.0.1:8000#0", 8),
    ];
    assert_eq!(named(&answer), all(&expected));
    assert_eq!(answer.state, ReplicaState::Stale);
    let states: Vec<_> = answer.stores.iter().map(|store| store.state).collect();
    assert_eq!(states, [ReplicaState::Stale, ReplicaState::Live]);
    let [warning] = &answer.warnings[..] else {
        panic!("one warning: {:?}", answer.warnings)
    };
    assert!(
        warning.contains("east") && !warning.contains("west"),
        "{warning}"
    );
}

#[tokio::test]
async fn there_are_answers_as_soon_as_one_store_is_loaded() {
    let several = Several::unfollowed([Some("east"), Some("west")]).await;
    let prompt = tokens(1, 9);
    let space = crate::common::space("m", None, 4);
    let stored = crate::common::stored(&space, &prompt, proto_model::Medium::Gpu);
    let west = &several.worlds[1];
    west.publish(&publisher("10.0.0.1", 0), &space, vec![stored])
        .await;

    let query = ScoreQuery::new("m", Input::Tokens(prompt.clone()));
    let failure = several.ask(query).await.expect_err("nothing is loaded");
    assert_eq!(failure.kind, FailureKind::Unavailable);

    several.follow(1);
    let replicas: Vec<_> = several.replicas.iter().collect();
    replicas[1].reached(Revision(0)).await;
    let answer = several.score(&prompt, &[]).await;
    assert_eq!(named(&answer), all(&[("west/10.0.0.1#0", 8)]));
    assert_eq!(answer.state, ReplicaState::Stale);
    assert_eq!(answer.stores[0].state, ReplicaState::Starting);
    assert_eq!(answer.stores[0].revision, Revision(0));
    assert!(
        answer.warnings[0].contains("east is not loaded"),
        "{:?}",
        answer.warnings
    );
    assert!(!replicas[0].is_complete() && !replicas[0].is_followed());

    several.follow(0);
    several.replicas.complete().await;
    let answer = several.score(&prompt, &[]).await;
    assert_eq!(
        (answer.state, answer.warnings),
        (ReplicaState::Live, Vec::new())
    );
}
