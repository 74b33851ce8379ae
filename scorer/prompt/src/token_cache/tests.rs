use std::sync::Arc;

use super::{CachedPiece, TokenCache};
use proto_model::CacheSalt;

fn ids(cache: &TokenCache, text: &str) -> Option<Vec<u32>> {
    let piece = cache.find(cache.space(0, None), text);
    piece.map(|piece| piece.ids().to_vec())
}

fn keep(cache: &TokenCache, text: &str, ids: &[u32]) {
    cache.keep(cache.space(0, None), text, ids);
}

#[test]
fn a_piece_is_found_by_its_whole_text() {
    let cache = TokenCache::new(1 << 20);
    keep(&cache, "one", &[1, 2]);
    assert_eq!(ids(&cache, "one"), Some(vec![1, 2]));
    assert_eq!(ids(&cache, "on"), None);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.pieces), (1, 1, 1));
    assert_eq!(stats.bytes, CachedPiece::OVERHEAD as u64 + 3 + 8);
}

#[test]
fn what_has_the_same_hash_is_not_mistaken_for_it() {
    let cache = TokenCache::new(1 << 20);
    let space = cache.space(0, None);
    let hash = cache.hash(space, "asked");
    let other = CachedPiece {
        space,
        text: "other".into(),
        ids: [7].into(),
    };
    cache.shard(hash).keep(hash, other);
    assert_eq!(ids(&cache, "asked"), None);
    keep(&cache, "asked", &[8]);
    assert_eq!(ids(&cache, "asked"), Some(vec![8]));
    assert_eq!(cache.stats().pieces, 1);
}

#[test]
fn models_salts_and_places_have_pieces_of_their_own() {
    let cache = TokenCache::new(1 << 20);
    let salts = [None, Some(""), Some("a"), Some("b")].map(|salt| {
        let salt = salt.map(|salt| CacheSalt::new(salt.to_owned()));
        cache.space(cache.number_model(), salt.as_ref())
    });
    let spaces: Vec<_> = salts
        .into_iter()
        .flat_map(|space| [space, space.at_start(true)])
        .collect();
    for (id, space) in (0..).zip(&spaces) {
        assert!(cache.find(*space, "text").is_none());
        cache.keep(*space, "text", &[id]);
    }
    for (id, space) in (0..).zip(&spaces) {
        assert_eq!(cache.find(*space, "text").unwrap().ids(), [id]);
    }
}

#[test]
fn the_bound_holds_whatever_comes() {
    for capacity in [0, 1, 300, 4_000, 100_000, 5 << 20] {
        let cache = TokenCache::new(capacity);
        for n in 0..20_000_usize {
            let text = format!("{n} {}", "x".repeat(n * 7 % 997));
            keep(&cache, &text, &vec![0; n % 211]);
            if n % 100 == 0 {
                assert!(cache.stats().bytes <= capacity as u64);
            }
        }
        let stats = cache.stats();
        assert!(stats.bytes <= capacity as u64, "{stats:?}");
        assert!(
            capacity < 4_000 || stats.bytes > capacity as u64 / 2,
            "{stats:?}"
        );
        assert!(
            capacity == 5 << 20 || capacity == 0 || stats.pieces < 400,
            "{stats:?}"
        );
    }
}

#[test]
fn what_is_used_stays_when_much_goes_by() {
    let cache = TokenCache::new(64 << 10);
    keep(&cache, "used", &[1]);
    for n in 0..10_000 {
        keep(&cache, &format!("passing {n}"), &[2; 16]);
        assert_eq!(ids(&cache, "used"), Some(vec![1]), "after {n}");
    }
    assert!(cache.stats().evictions > 9_000);
    assert_eq!(ids(&cache, "passing 1"), None);
}

#[test]
fn a_piece_larger_than_half_a_shard_evicts_nothing() {
    let cache = TokenCache::new(8 << 10);
    keep(&cache, "small", &[1]);
    keep(&cache, &"x".repeat(5 << 10), &[2]);
    assert_eq!(ids(&cache, "small"), Some(vec![1]));
    assert_eq!(cache.stats().evictions, 0);
}

#[test]
fn threads_find_what_was_kept_or_nothing() {
    let cache = Arc::new(TokenCache::new(20_000));
    let threads = (0..8_u32).map(|seed| {
        let cache = Arc::clone(&cache);
        std::thread::spawn(move || {
            let mut found = 0_u32;
            for n in 0..20_000_u32 {
                let n = n.wrapping_mul(2_654_435_761).wrapping_add(seed) % 97;
                let text = format!("piece {n}");
                match ids(&cache, &text) {
                    Some(ids) => {
                        assert_eq!(ids, vec![n; n as usize]);
                        found += 1;
                    }
                    None => keep(&cache, &text, &vec![n; n as usize]),
                }
            }
            found
        })
    });
    let threads: Vec<_> = threads.collect();
    let found: u32 = threads.into_iter().map(|t| t.join().unwrap()).sum();
    assert!(found > 0);
    assert!(cache.stats().bytes <= 20_000);
}

#[test]
fn debug_output_has_no_text() {
    let cache = TokenCache::new(1 << 20);
    keep(&cache, "a secret", &[424_242]);
    let text = format!("{cache:?}");
    assert!(
        !text.contains("secret") && !text.contains("424242"),
        "{text}"
    );
}
