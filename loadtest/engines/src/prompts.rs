//! A fleet's prompts: customers with a long context each, users with a tail.

use rand::Rng;
use rand::rngs::SmallRng;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Tokens per block of the simulated engines.
pub const BLOCK_SIZE: usize = 16;

/// Which prompt: enough to rebuild its tokens and hashes at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prompt {
    customer: u32,
    user: u32,
    context_blocks: u32,
    tail_blocks: u32,
}

/// The population that prompts are drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Population {
    /// Customers; low numbers are asked for more often.
    pub customers: u32,
    /// Users of each customer.
    pub users: u32,
    /// Blocks of a customer's context.
    pub context_blocks: u32,
    /// Blocks of a user's tail, at most.
    pub tail_blocks: u32,
}

impl Population {
    /// Draws a prompt; popularity falls off like 1/rank.
    ///
    /// # Panics
    /// If there are no customers, users or tails.
    pub fn draw(&self, random: &mut SmallRng) -> Prompt {
        let spread = f64::from(self.customers).powf(random.random::<f64>());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below customers"
        )]
        let customer = (spread as u32).min(self.customers) - 1;
        Prompt {
            customer,
            user: random.random_range(0..self.users),
            context_blocks: self.context_blocks,
            tail_blocks: random.random_range(1..=self.tail_blocks),
        }
    }
}

impl Population {
    /// The longest prompt of every customer and user: each other one is a prefix of
    /// one of these.
    pub fn chains(&self) -> impl Iterator<Item = Prompt> {
        let all = *self;
        (0..all.customers).flat_map(move |customer| {
            (0..all.users).map(move |user| Prompt {
                customer,
                user,
                context_blocks: all.context_blocks,
                tail_blocks: all.tail_blocks,
            })
        })
    }
}

impl Prompt {
    /// A prompt that no population draws: equal numbers give equal prompts.
    #[must_use]
    pub fn unique(number: u32, blocks: u32) -> Self {
        Self {
            customer: u32::MAX,
            user: number,
            context_blocks: 0,
            tail_blocks: blocks,
        }
    }

    /// Blocks of the prompt.
    #[must_use]
    pub fn blocks(&self) -> usize {
        (self.context_blocks + self.tail_blocks) as usize
    }

    /// The token ids of one block.
    #[must_use]
    pub fn tokens(&self, block: usize) -> [u32; BLOCK_SIZE] {
        let own = block >= self.context_blocks as usize;
        let user = if own { self.user.wrapping_add(1) } else { 0 };
        let seed = u64::from(self.customer) << 32 | u64::from(user);
        let first = xxh3_64_with_seed(&(block as u64).to_le_bytes(), seed);
        std::array::from_fn(|index| {
            let shifted = first.rotate_left(u32::try_from(index).unwrap_or(0) * 4);
            u32::try_from(shifted % 150_000).unwrap_or(0)
        })
    }

    /// The engine's hash of every block, chained as an engine chains them.
    pub fn hashes(&self, out: &mut Vec<u64>) {
        out.clear();
        let mut parent = 0_u64;
        for block in 0..self.blocks() {
            let mut bytes = [0_u8; BLOCK_SIZE * 4];
            for (slot, token) in bytes.chunks_exact_mut(4).zip(self.tokens(block)) {
                slot.copy_from_slice(&token.to_be_bytes());
            }
            parent = xxh3_64_with_seed(&bytes, parent);
            out.push(parent);
        }
    }
}
