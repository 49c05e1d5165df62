//! Chance that is the same on every machine: streams of the cipher `ChaCha`, one for each thing that is decided, and
//! integers only.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(super) struct Dice(ChaCha8Rng);

/// What a stream decides. What one decides does not shift another: more duplicates leave the orders as they are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Time = 1,
    Order,
    Customer,
    Move,
    Loyalty,
    Product,
    Delivery,
    Spoil,
    Shuffle,
}

impl Dice {
    /// Opens the stream that decides about one thing.
    pub(super) fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&index.to_le_bytes());
        key[16] = purpose as u8;
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number from 0 to below `end`; 0 where that is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // The high half of the product: even enough, as `end` is small, and without a loop.
        u64::try_from((u128::from(self.0.next_u64()) * u128::from(end)) >> 64).unwrap_or(0)
    }

    /// A number from `from` to `to`, both included.
    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        from.saturating_add_unsigned(self.below(to.abs_diff(from) + 1))
    }

    /// True in so many of a million cases.
    pub(super) fn chance(&mut self, per_million: u64) -> bool {
        self.below(1_000_000) < per_million
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these. The list must not be empty.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.place(from.len())]
    }

    /// One of these, each as often as its weight says. The list must not be empty.
    pub(super) fn weighted<'a, T>(&mut self, from: &'a [(u64, T)]) -> &'a T {
        let mut at = self.below(from.iter().map(|it| it.0).sum());
        for (weight, it) in from {
            if at < *weight {
                return it;
            }
            at -= weight;
        }
        &from[0].1
    }

    /// A place in a list of this length.
    pub(super) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// An identifier, as RFC 9562 version 4 has it.
    pub(super) fn uuid(&mut self) -> uuid::Uuid {
        let bytes = (u128::from(self.0.next_u64()) << 64 | u128::from(self.0.next_u64())).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_their_own_and_always_the_same() {
        let roll = |seed, purpose, index| Dice::new(seed, purpose, index).below(u64::MAX);
        assert_eq!(roll(7, Purpose::Order, 0), roll(7, Purpose::Order, 0));
        let others = [roll(8, Purpose::Order, 0), roll(7, Purpose::Customer, 0), roll(7, Purpose::Order, 1)];
        assert!(others.iter().all(|it| *it != roll(7, Purpose::Order, 0)));
        assert_eq!(Dice::new(7, Purpose::Order, 0).uuid().get_version_num(), 4);
    }

    #[test]
    fn ranges_are_kept_and_filled() {
        let mut dice = Dice::new(1, Purpose::Order, 0);
        let rolls: std::collections::BTreeSet<i64> = (0..200).map(|_| dice.between(-2, 2)).collect();
        assert_eq!(rolls.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
        assert_eq!(dice.below(0), 0);
        let heads = (0..1000).filter(|_| dice.percent(25)).count();
        assert!((180..320).contains(&heads), "{heads}");
        assert_eq!(*dice.weighted(&[(0, "never"), (5, "always")]), "always");
    }
}
