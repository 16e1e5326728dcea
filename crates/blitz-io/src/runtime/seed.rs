//! The seed of a runtime's random choices.

use std::fmt;

/// Seeds a runtime's random choices, such as whom a worker without tasks robs first: see [`Builder::rng_seed`].
///
/// [`Builder::rng_seed`]: super::Builder::rng_seed
#[derive(Clone)]
pub struct RngSeed(u64);

impl RngSeed {
    /// A seed made of `bytes`: the same bytes, the same seed.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // FNV-1a: short, the same on every machine, and no secret hangs on it.
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(hash)
    }

    /// A seed that is different each time.
    pub(super) fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(RandomState::new().hash_one(0_u8))
    }

    pub(super) fn value(&self) -> u64 {
        self.0
    }
}

impl From<u64> for RngSeed {
    fn from(seed: u64) -> Self {
        Self(seed)
    }
}

impl fmt::Debug for RngSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RngSeed").field(&self.0).finish()
    }
}
