//! Engines that store, evict, clear and restart; writers that lose, repeat and delay
//! what engines send; an oracle that knows what each holds. One seed gives one run.
//!
//! Invariants, for every run and after every command:
//!
//! - **I8** once anything of a life was applied, nothing of an earlier life is
//!   applied, and every key that readers see belongs to that life.
//! - **I10** when all is delivered: an `exact` publisher shows what its engine
//!   holds, a `partial` one nothing that the engine does not hold. Blocks whose
//!   parent the engine has evicted may be parked instead, and are counted: no
//!   prompt can hit them.
//! - **I2** two writers that deliver everything come to what one comes to.
//!
//! Left out on purpose: a new life first seen at the sequence expected of the old
//! one. Without a stream id nothing tells the two apart, so there the first
//! message of a life always reaches the state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use indexer_state::{State, StateLimits};
use proto_model::*;

use crate::support::*;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }
}

/// A message and the life that it belongs to.
type Sent = (u64, Message);

struct Engine {
    number: u32,
    life: u64,
    clock: u64,
    sequence: u64,
    next_hash: u64,
    /// Hash and chain of local hashes, one per physical copy.
    copies: Vec<(u64, Vec<u64>)>,
    /// Every key that was ever stored, per life.
    ever: BTreeMap<u64, BTreeSet<BlockKey>>,
    /// What the replay socket still has.
    buffer: VecDeque<Message>,
    with_stream: bool,
}

impl Engine {
    fn new(number: u32) -> Self {
        Self {
            number,
            life: 1,
            clock: 10_000_000,
            sequence: 0,
            next_hash: 0,
            copies: Vec::new(),
            ever: BTreeMap::new(),
            buffer: VecDeque::new(),
            with_stream: number % 2 == 1,
        }
    }

    fn keys(&self) -> BTreeSet<(Medium, BlockKey)> {
        self.copies
            .iter()
            .map(|(_, chain)| (Medium::Gpu, key(chain)))
            .collect()
    }

    /// The keys that a prompt could hit: those whose whole prefix is held.
    fn usable(&self) -> BTreeSet<(Medium, BlockKey)> {
        let held = self.keys();
        let hit = |chain: &[u64]| {
            (1..=chain.len()).all(|length| held.contains(&(Medium::Gpu, key(&chain[..length]))))
        };
        let chains = self.copies.iter().filter(|(_, chain)| hit(chain));
        chains.map(|(_, chain)| (Medium::Gpu, key(chain))).collect()
    }

    /// Local hashes name the life, so that a key shows which one it is of.
    fn local(&self, hash: u64) -> u64 {
        self.life << 32 | hash
    }

    fn step(&mut self, random: &mut Random) -> Sent {
        self.clock += 1_000 + random.next() % 100_000;
        let change = match random.below(20) {
            0 => {
                self.copies.clear();
                Change::Cleared { medium: None }
            }
            1..8 if !self.copies.is_empty() => {
                let (hash, _) = self.copies.swap_remove(random.below(self.copies.len()));
                removed(&[hash])
            }
            8..10 if !self.copies.is_empty() => self.store_again(random),
            _ => self.store(random),
        };
        self.send(vec![change], random.percent(5))
    }

    fn store(&mut self, random: &mut Random) -> Change {
        let parent = match self.copies.len() {
            0 => None,
            count => random
                .percent(70)
                .then(|| self.copies[random.below(count)].clone()),
        };
        let mut chain = parent
            .as_ref()
            .map_or(Vec::new(), |(_, chain)| chain.clone());
        let mut blocks = Vec::new();
        for _ in 0..=random.below(3) {
            self.next_hash += 1;
            let (hash, local) = (self.next_hash, self.local(self.next_hash));
            chain.push(local);
            self.ever.entry(self.life).or_default().insert(key(&chain));
            self.copies.push((hash, chain.clone()));
            blocks.push((hash, local));
        }
        stored(parent.map(|(hash, _)| hash), &blocks)
    }

    /// A second physical copy of a block, announced without what came before it
    /// being stored again.
    fn store_again(&mut self, random: &mut Random) -> Change {
        let (hash, chain) = self.copies[random.below(self.copies.len())].clone();
        let local = *chain.last().expect("a chain has a block");
        let parent = chain.len().checked_sub(2).map(|at| chain[at] & 0xffff_ffff);
        self.copies.push((hash, chain));
        stored(parent, &[(hash, local)])
    }

    fn send(&mut self, changes: Vec<Change>, clock_steps_back: bool) -> Sent {
        let clock = if clock_steps_back {
            self.clock - 50_000
        } else {
            self.clock
        };
        let stream = self.with_stream.then(|| {
            StreamId((u128::from(self.number) << 64 | u128::from(self.life)).to_le_bytes())
        });
        let message = Message {
            stream,
            ..message(self.sequence, clock, changes)
        };
        self.sequence += 1;
        self.buffer.push_back(message.clone());
        if self.buffer.len() > 12 {
            self.buffer.pop_front();
        }
        (self.life, message)
    }

    fn restart(&mut self, random: &mut Random) -> Sent {
        self.life += 1;
        self.clock += 3_000_000 + random.next() % 60_000_000;
        (self.sequence, self.next_hash) = (0, 0);
        self.copies.clear();
        self.buffer.clear();
        self.send(Vec::new(), false)
    }
}

struct World {
    random: Random,
    state: State,
    replica: Replica,
    engines: Vec<Engine>,
    /// Per writer and engine: what is on its way.
    ways: Vec<Vec<VecDeque<Sent>>>,
    /// The newest life of which something was applied.
    lives: Vec<u64>,
}

impl World {
    fn new(seed: u64, engines: u32, writers: usize) -> Self {
        Self {
            random: Random(seed),
            state: State::new(StateLimits::default()),
            replica: Replica::default(),
            engines: (0..engines).map(Engine::new).collect(),
            ways: vec![vec![VecDeque::new(); engines as usize]; writers],
            lives: vec![0; engines as usize],
        }
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        let mut deltas = Vec::new();
        let outcome = self.state.apply(command, &mut deltas);
        deltas.iter().for_each(|delta| self.replica.apply(delta));
        outcome
    }

    /// A writer delivers messages of one life, and mends gaps as an ingestor does:
    /// by replay, and with a `Gap` where the replay does not reach back.
    fn deliver(&mut self, at: usize, life: u64, messages: Vec<Message>) {
        let number = self.engines[at].number;
        let outcome = self.apply(&events(number, messages));
        self.check_life(at, life, &outcome);
        let Some(gap) = outcome.gap else { return };
        let replay: Vec<Message> = self.engines[at].buffer.iter().cloned().collect();
        let life = self.engines[at].life;
        let Some(oldest) = replay.first().map(|message| message.sequence) else {
            return;
        };
        let outcome = self.apply(&events(number, replay.clone()));
        self.check_life(at, life, &outcome);
        if outcome
            .gap
            .is_some_and(|again| again.found == oldest && oldest > gap.expected)
        {
            let incarnation = outcome.cursor.map(|cursor| cursor.incarnation);
            self.apply(&Command::Gap {
                publisher: publisher(number),
                incarnation,
                next: oldest,
            });
            let outcome = self.apply(&events(number, replay));
            self.check_life(at, life, &outcome);
        }
    }

    fn check_life(&mut self, at: usize, life: u64, outcome: &Outcome) {
        let newest = &mut self.lives[at];
        if outcome.applied > 0 || outcome.restarted {
            assert!(
                life >= *newest,
                "I8: life {life} was applied after life {newest}"
            );
            *newest = life;
        }
        let of_life = self.engines[at]
            .ever
            .get(newest)
            .cloned()
            .unwrap_or_default();
        for (_, key) in self.replica.held(&publisher(self.engines[at].number)) {
            assert!(
                of_life.contains(&key),
                "I8: a key of another life than {newest}"
            );
        }
    }

    fn step(&mut self, loss: u64) {
        let at = self.random.below(self.engines.len());
        if self.random.percent(2) {
            let (life, first) = self.engines[at].restart(&mut self.random);
            if !self.engines[at].with_stream {
                self.deliver(at, life, vec![first.clone()]);
            }
            self.send(at, (life, first), loss);
        } else {
            let sent = self.engines[at].step(&mut self.random);
            self.send(at, sent, loss);
        }
        let writer = self.random.below(self.ways.len());
        let from = self.random.below(self.engines.len());
        self.receive(writer, from);
    }

    fn send(&mut self, at: usize, sent: Sent, loss: u64) {
        for way in &mut self.ways {
            if !self.random.percent(loss) {
                way[at].push_back(sent.clone());
            }
            if self.random.percent(loss) {
                way[at].push_back(sent.clone());
            }
        }
    }

    fn receive(&mut self, writer: usize, at: usize) {
        let count = 1 + self.random.below(4);
        let way = &mut self.ways[writer][at];
        let Some((life, _)) = way.front() else { return };
        let life = *life;
        let same = way
            .iter()
            .take(count)
            .take_while(|(of, _)| *of == life)
            .count();
        let messages = way.drain(..same).map(|(_, message)| message).collect();
        self.deliver(at, life, messages);
    }

    /// Everything arrives, then one last message of each engine.
    fn settle(&mut self) {
        for at in 0..self.engines.len() {
            self.engines[at].clock += 1_000_000;
            let sent = self.engines[at].send(Vec::new(), false);
            self.send(at, sent, 0);
            for writer in 0..self.ways.len() {
                while !self.ways[writer][at].is_empty() {
                    self.receive(writer, at);
                }
            }
        }
    }

    /// Checks I10 and says how many publishers were of each trust.
    fn check_truth(&self) -> BTreeMap<Trust, usize> {
        let mut seen = BTreeMap::new();
        for engine in &self.engines {
            let publisher = publisher(engine.number);
            let (truth, shown) = (engine.keys(), self.replica.held(&publisher));
            let trust = self.state.cursor(&publisher).expect("known").trust;
            *seen.entry(trust).or_default() += 1;
            match trust {
                Trust::Exact => {
                    assert!(
                        shown.is_subset(&truth),
                        "{publisher} is exact and shows too much"
                    );
                    let whole = engine.usable().is_subset(&shown);
                    assert!(whole, "{publisher} is exact, not whole");
                    let parked = self.replica.status[&publisher].parked;
                    assert!(
                        parked > 0 || shown == truth,
                        "{publisher} has nothing parked"
                    );
                }
                Trust::Partial => assert!(shown.is_subset(&truth), "{publisher} is partial"),
                Trust::Suspect | Trust::Estimated => {}
            }
        }
        seen
    }
}

#[test]
fn whatever_writers_lose_the_state_says_what_it_cannot_know() {
    let mut trusts = BTreeMap::<Trust, usize>::new();
    for seed in 0..120 {
        let mut world = World::new(seed, 4, 1 + seed as usize % 3);
        (0..400).for_each(|_| world.step([0, 2, 20, 60][seed as usize / 3 % 4]));
        world.settle();
        for (trust, count) in world.check_truth() {
            *trusts.entry(trust).or_default() += count;
        }
    }
    assert!(trusts[&Trust::Exact] > 100, "{trusts:?}");
    assert!(trusts[&Trust::Suspect] > 10, "{trusts:?}");
}

#[test]
fn two_writers_that_deliver_everything_are_one() {
    for seed in 0..60 {
        let mut world = World::new(seed, 3, 2);
        let mut one = World::new(seed, 3, 1);
        let mut sent = Vec::new();
        for _ in 0..300 {
            let at = world.random.below(3);
            let restarts = world.random.percent(2);
            let (engine, random) = (&mut world.engines[at], &mut world.random);
            let message = match restarts {
                true => engine.restart(random),
                false => engine.step(random),
            };
            if message.1.sequence == 0 && !world.engines[at].with_stream {
                world.deliver(at, message.0, vec![message.1.clone()]);
            }
            world.send(at, message.clone(), 0);
            sent.push((at, message));
            let (writer, from) = (world.random.below(2), world.random.below(3));
            world.receive(writer, from);
        }
        world.settle();
        for (engine, original) in one.engines.iter_mut().zip(&world.engines) {
            engine.ever.clone_from(&original.ever);
        }
        for (at, (life, message)) in sent {
            one.deliver(at, life, vec![message]);
        }
        for engine in &world.engines {
            let publisher = publisher(engine.number);
            let (two, one) = (world.replica.held(&publisher), one.replica.held(&publisher));
            assert_eq!(two, one, "seed {seed}");
            assert!(two.is_subset(&engine.keys()), "seed {seed}");
            assert!(engine.usable().is_subset(&two), "seed {seed}");
        }
    }
}
