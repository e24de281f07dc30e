//! Numbers for tests that choose by chance: the seed is printed, and `FLEXDIRECT_SEED` sets it.

use std::hash::{BuildHasher, RandomState};

/// A small generator (xorshift64*): for choices, not for secrets.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// From `FLEXDIRECT_SEED`, else from the system's randomness; says which on stdout.
    ///
    /// # Panics
    /// If the variable is set and no number.
    pub fn from_environment() -> Self {
        let seed = match std::env::var("FLEXDIRECT_SEED") {
            Ok(text) => text.parse().expect("FLEXDIRECT_SEED is a number"),
            Err(_) => RandomState::new().hash_one(0),
        };
        println!("FLEXDIRECT_SEED={seed}");
        Self::new(seed)
    }

    /// From a seed.
    pub fn new(seed: u64) -> Self {
        // Zero is the one state that the generator does not leave.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_values_spread() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..64).map(|_| random.below(8)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        for value in 0..8 {
            assert!(draw(7).contains(&value));
        }
    }
}
