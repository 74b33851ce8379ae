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
    // And tables, with room for the next pieces.
    let piece = CachedPiece::OVERHEAD as u64 + 3 + 8;
    assert!((piece..piece + 500).contains(&stats.bytes), "{stats:?}");
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

/// The bytes that are allocated on this thread for what is kept.
fn allocated(fill: impl FnOnce() -> TokenCache) -> (TokenCache, u64) {
    let mut cache = None;
    let made = allocation_counter::measure(|| cache = Some(fill()));
    let bytes = u64::try_from(made.bytes_current).unwrap();
    (cache.unwrap(), bytes)
}

fn fill(cache: &TokenCache, pieces: usize, text: usize, ids: usize) {
    for n in 0..pieces {
        let padding = "x".repeat(text.saturating_sub(6));
        keep(cache, &format!("{n:06}{padding}"), &vec![7; ids]);
    }
}

#[test]
fn what_is_counted_is_at_least_what_is_allocated() {
    const CAPACITY: usize = 4 << 20;
    for (pieces, text, ids) in [
        (60_000, 6, 1),
        (60_000, 6, 0),
        (9_000, 512, 130),
        (60, 400_000, 9),
    ] {
        let (cache, bytes) = allocated(|| {
            let cache = TokenCache::new(CAPACITY);
            fill(&cache, pieces, text, ids);
            cache
        });
        let stats = cache.stats();
        assert!(stats.evictions > 0, "{stats:?}");
        assert!(bytes <= stats.bytes + 4_096, "{bytes} allocated: {stats:?}");
        assert!(stats.bytes <= CAPACITY as u64, "{stats:?}");
    }
}

#[test]
fn large_pieces_after_many_small_ones_are_not_held_in_their_tables() {
    const CAPACITY: usize = 8 << 20;
    let (cache, bytes) = allocated(|| {
        let cache = TokenCache::new(CAPACITY);
        fill(&cache, 100_000, 6, 1);
        fill(&cache, 400, 200_000, 9);
        cache
    });
    let stats = cache.stats();
    assert!(
        bytes <= CAPACITY as u64 + 4_096,
        "{bytes} allocated: {stats:?}"
    );
    // As many as fit, nearly.
    assert!(stats.bytes > CAPACITY as u64 / 2, "{stats:?}");
    // And small ones find room again.
    fill(&cache, 100_000, 7, 1);
    let again = cache.stats();
    assert!(
        again.bytes <= CAPACITY as u64 && again.pieces > 20_000,
        "{again:?}"
    );
}

/// The one right answer for a text in a space.
fn right(model: u64, salt: usize, first: bool, text: &str) -> Vec<u32> {
    let sum = text.bytes().fold(model as u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    let place = u32::try_from(salt).unwrap() * 2 + u32::from(first);
    vec![sum, place, u32::try_from(text.len()).unwrap()]
}

/// What hostile callers would send: all different, of one prefix, large and tiny, and
/// the same text to every model under every salt.
fn hostile(thread: usize, n: usize) -> String {
    match n % 5 {
        0 => format!("{thread} {n} is like no other"),
        1 => format!("{}{}", "the same prefix, ".repeat(40), n % 50),
        2 => "x".repeat(1 + n * 7_919 % 40_000),
        3 => char::from(b'a' + (n % 26) as u8).to_string(),
        _ => "one text".to_owned(),
    }
}

#[test]
fn eight_hostile_threads_get_their_own_pieces_within_the_bound() {
    const CAPACITY: usize = 3 << 20;
    let cache = Arc::new(TokenCache::new(CAPACITY));
    let salts = [None, Some("a"), Some("b")].map(|salt| salt.map(|s| CacheSalt::new(s.to_owned())));
    let models = [cache.number_model(), cache.number_model()];
    let attack = |thread: usize| {
        let mut found = 0;
        for n in 0..6_000 {
            let text = hostile(thread, n);
            let (model, salt, first) = (models[n % 2], n / 2 % 3, n / 6 % 2 == 0);
            let space = cache.space(model, salts[salt].as_ref()).at_start(first);
            let expected = right(model, salt, first, &text);
            match cache.find(space, &text) {
                Some(piece) => {
                    assert_eq!(piece.ids(), expected, "{n}");
                    found += 1;
                }
                None => cache.keep(space, &text, &expected),
            }
            let stats = cache.stats();
            assert!(stats.bytes <= CAPACITY as u64, "{stats:?}");
        }
        found
    };
    let found: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| scope.spawn(move || attack(thread)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    let stats = cache.stats();
    assert!(
        found > 8_000 && stats.evictions > 1_000,
        "{found} {stats:?}"
    );
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
