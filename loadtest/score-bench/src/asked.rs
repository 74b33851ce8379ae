//! The prompts that are asked, and who holds how much of them.

use std::collections::BTreeMap;

use loadtest_engines::{BLOCK_SIZE, Population, Prompt};

/// Engines that hold one customer's context.
pub(crate) const SHARING: usize = 8;

/// Tails of a customer that an engine holds.
const TAILS: usize = 4;

/// Customers that are asked about.
const ASKED: usize = 128;

/// Whose context is where: every engine serves as many customers, every customer
/// is served by [`SHARING`] engines.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    engines: usize,
    customers: usize,
    context_blocks: usize,
    /// By customer, the longest prompts of its users. The users after those whose
    /// tails are held have not been seen by anybody.
    chains: Vec<Vec<Prompt>>,
}

/// One prompt to ask, with the answer.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) prompt: Prompt,
    /// Matched tokens by engine; engines that hold none are left out.
    pub(crate) held: BTreeMap<usize, u32>,
}

impl Asked {
    pub(crate) fn tokens(&self) -> Vec<u32> {
        let blocks = 0..self.prompt.blocks();
        blocks.flat_map(|block| self.prompt.tokens(block)).collect()
    }
}

impl Placement {
    /// A fleet with about so many memberships, and prompts of so many tokens, five
    /// sixths of which are the customer's context.
    pub(crate) fn new(engines: usize, memberships: usize, tokens: usize) -> Self {
        let sharing = SHARING.min(engines);
        let blocks = tokens / BLOCK_SIZE;
        let tail_blocks = (blocks / 6).max(1);
        let context_blocks = blocks - tail_blocks;
        let per_customer = sharing * (context_blocks + TAILS * tail_blocks);
        let customers = (memberships / per_customer).max(1);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let users = TAILS * sharing + 1;
        let population = Population {
            customers: count(customers),
            users: count(users),
            context_blocks: count(context_blocks),
            tail_blocks: count(tail_blocks),
        };
        let chains: Vec<Prompt> = population.chains().collect();
        Self {
            engines,
            customers,
            context_blocks,
            chains: chains.chunks(users).map(<[Prompt]>::to_vec).collect(),
        }
    }

    fn sharing(&self) -> usize {
        SHARING.min(self.engines)
    }

    /// The `place`th engine of a customer.
    fn engine(&self, customer: usize, place: usize) -> usize {
        (customer * self.sharing() + place) % self.engines
    }

    pub(crate) fn context_blocks(&self) -> usize {
        self.context_blocks
    }

    /// What an engine holds: for each of its customers, the prompts of the users
    /// whose tails it has.
    pub(crate) fn held_by(&self, engine: usize) -> impl Iterator<Item = &[Prompt]> {
        (0..self.customers).flat_map(move |customer| {
            let places = 0..self.sharing();
            let here = places.filter(move |place| self.engine(customer, *place) == engine);
            here.map(move |place| &self.chains[customer][place * TAILS..][..TAILS])
        })
    }

    /// Memberships that the engines hold when all is sent.
    pub(crate) fn memberships(&self) -> u64 {
        let customer = self.sharing()
            * (self.context_blocks + TAILS * (self.chains[0][0].blocks() - self.context_blocks));
        (self.customers * customer) as u64
    }

    /// Prompts to ask: in turns one whose tail an engine holds, and one whose tail
    /// nobody has seen.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let customers = (0..self.customers).take(ASKED);
        customers
            .flat_map(|customer| {
                let place = customer % self.sharing();
                let known = self.ask(customer, place * TAILS, Some(place));
                let new = self.ask(customer, self.sharing() * TAILS, None);
                [known, new]
            })
            .collect()
    }

    fn ask(&self, customer: usize, user: usize, holder: Option<usize>) -> Asked {
        let tokens = |blocks: usize| u32::try_from(blocks * BLOCK_SIZE).unwrap_or(u32::MAX);
        let prompt = self.chains[customer][user];
        let held = (0..self.sharing()).map(|place| {
            let whole = holder == Some(place);
            let blocks = match whole {
                true => prompt.blocks(),
                false => self.context_blocks,
            };
            (self.engine(customer, place), tokens(blocks))
        });
        Asked {
            prompt,
            held: held.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_what_a_walk_through_all_that_is_held_gives() {
        let placement = Placement::new(16, 40_000, 960);
        let (mut found, mut memberships) = (Vec::new(), 0);
        for asked in placement.asked() {
            let mut held = BTreeMap::new();
            for engine in 0..16 {
                let matched = placement.held_by(engine).flatten();
                let shared = |other: &Prompt| {
                    let blocks = (0..asked.prompt.blocks())
                        .take_while(|block| asked.prompt.tokens(*block) == other.tokens(*block));
                    blocks.count()
                };
                let best = matched.map(shared).max().unwrap_or(0);
                if best > 0 {
                    held.insert(engine, u32::try_from(best * BLOCK_SIZE).unwrap());
                }
            }
            assert_eq!(asked.held, held);
            found.push(held);
        }
        assert!(
            found
                .iter()
                .any(|held| held.values().any(|tokens| *tokens == 960))
        );
        for engine in 0..16 {
            for prompts in placement.held_by(engine) {
                let tail = prompts[0].blocks() - placement.context_blocks();
                memberships += (placement.context_blocks() + prompts.len() * tail) as u64;
            }
        }
        assert_eq!(memberships, placement.memberships());
        assert!(memberships.abs_diff(40_000) < 4_000, "{memberships}");
    }
}
