//! A writer like an ingestor: late, repeating itself, out of order, but careful.

use proto_model::{Batch, Command, Outcome};

use super::fleet::{Fleet, Stream};
use super::make::events;
use super::patient::append;
use super::random::Random;
use crate::seam::IndexWriter;

/// Delivers a fleet's streams. Goes on only from what the store has accepted.
pub(super) struct Ingestor<'a> {
    random: Random,
    fleet: &'a Fleet,
    places: Vec<Place>,
    /// Gaps that the store reported.
    pub(super) gaps: usize,
    /// Messages that the store had already.
    pub(super) duplicates: u32,
    /// Messages of lives that were over.
    pub(super) stale: u32,
}

/// The next message to deliver: indices into the stream.
#[derive(Clone, Copy, Default)]
struct Place {
    life: usize,
    message: usize,
    /// The life's first message was accepted, so that later ones are taken for
    /// its own.
    begun: bool,
}

/// What one command of a batch was made from.
struct Sent {
    stream: usize,
    /// Where to go on if all of it was accepted; `None` for what was sent before.
    then: Option<Place>,
}

impl<'a> Ingestor<'a> {
    pub(super) fn new(seed: u64, fleet: &'a Fleet) -> Self {
        Self {
            random: Random::new(seed),
            fleet,
            places: vec![Place::default(); fleet.streams.len()],
            gaps: 0,
            duplicates: 0,
            stale: 0,
        }
    }

    /// Delivers everything.
    pub(super) async fn run(&mut self, store: &impl IndexWriter) {
        while let Some((batch, sent)) = self.next_batch() {
            let appended = append(store, &batch).await;
            assert_eq!(appended.outcomes.len(), sent.len());
            for (sent, outcome) in sent.iter().zip(&appended.outcomes) {
                self.duplicates += outcome.duplicates;
                self.stale += outcome.stale;
                assert_eq!(outcome.refused, None);
                match outcome.gap {
                    Some(_) => self.fill(store, sent.stream, outcome).await,
                    None => {
                        self.places[sent.stream] = sent.then.unwrap_or(self.places[sent.stream])
                    }
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Some runs of messages, of different streams, so that one outcome does not
    /// decide about the next.
    fn next_batch(&mut self) -> Option<(Batch, Vec<Sent>)> {
        let open = |at: &usize| self.places[*at].life < self.fleet.streams[*at].lives.len();
        let mut open: Vec<usize> = (0..self.places.len()).filter(open).collect();
        let (mut commands, mut all) = (Vec::new(), Vec::new());
        for _ in 0..1 + self.random.index(3) {
            if open.is_empty() {
                break;
            }
            let stream = open.swap_remove(self.random.index(open.len()));
            let (command, then) = self.next_run(stream);
            commands.push(command);
            all.push(Sent { stream, then });
        }
        (!commands.is_empty()).then_some((Batch { commands }, all))
    }

    fn next_run(&mut self, stream: usize) -> (Command, Option<Place>) {
        let Stream { publisher, lives } = &self.fleet.streams[stream];
        let at = self.places[stream];
        let life = &lives[at.life];
        let count = 1 + self.random.index(8);
        if self.random.once_in(6) {
            // Again, of this life or the one before.
            let of = at.life - usize::from(at.life > 0 && self.random.once_in(2));
            let end = if of == at.life {
                at.message
            } else {
                lives[of].len()
            };
            let from = end.saturating_sub(count + self.random.index(8));
            let again = lives[of][from..end.min(from + count)].to_vec();
            return (events(publisher, again), None);
        }
        let mut from = at.message;
        if at.begun && self.random.once_in(6) {
            // Too early: the store must not take it before the rest.
            from = (from + 1 + self.random.index(4)).min(life.len() - 1);
        }
        // Only the first message may begin a life.
        let to = if at.begun {
            (from + count).min(life.len())
        } else {
            1
        };
        let then = Place {
            life: at.life,
            message: to,
            begun: true,
        };
        (
            events(publisher, life[from..to].to_vec()),
            Some(then.wrapped(life.len())),
        )
    }

    /// Goes back to what is missing, or says that it is lost.
    async fn fill(&mut self, store: &impl IndexWriter, stream: usize, outcome: &Outcome) {
        self.gaps += 1;
        let Stream { publisher, lives } = &self.fleet.streams[stream];
        let place = &mut self.places[stream];
        let expected = outcome.gap.expect("there is one").expected;
        let life = &lives[place.life];
        let found = life.partition_point(|message| message.sequence < expected);
        place.message = found;
        if life[found].sequence > expected {
            let gap = Command::Gap {
                publisher: publisher.clone(),
                incarnation: outcome.cursor.map(|cursor| cursor.incarnation),
                next: life[found].sequence,
            };
            append(
                store,
                &Batch {
                    commands: vec![gap],
                },
            )
            .await;
        }
    }
}

impl Place {
    /// Goes on to the next life at the end of one.
    fn wrapped(self, messages: usize) -> Self {
        if self.message < messages {
            return self;
        }
        Self {
            life: self.life + 1,
            ..Self::default()
        }
    }
}
