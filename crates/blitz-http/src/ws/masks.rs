//! What cannot be guessed: a client's key, and what its frames are mixed with (RFC 6455 §5.3, §10.3).

use blitz_tls::rustls::crypto::{SecureRandom, aws_lc_rs};
use std::sync::OnceLock;

/// Fills with bytes of the generator that makes the secrets of TLS.
fn fill(bytes: &mut [u8]) {
    static RANDOM: OnceLock<&'static dyn SecureRandom> = OnceLock::new();
    let random = RANDOM.get_or_init(|| aws_lc_rs::default_provider().secure_random);
    random.fill(bytes).expect("the system has random bytes");
}

/// A key for one handshake.
pub(super) fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    fill(&mut nonce);
    nonce
}

/// A mask for each frame; many are drawn at once.
pub(super) fn masks() -> impl FnMut() -> [u8; 4] + Send + Sync + 'static {
    let mut drawn = [[0; 4]; 32];
    let mut used = drawn.len();
    move || {
        if used == drawn.len() {
            fill(drawn.as_flattened_mut());
            used = 0;
        }
        used += 1;
        drawn[used - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::{masks, nonce};
    use std::collections::HashSet;

    #[test]
    fn none_comes_again() {
        assert_ne!(nonce(), nonce());
        let mut next = masks();
        let drawn: HashSet<_> = (0..100).map(|_| next()).collect();
        assert!(drawn.len() > 98, "{drawn:?}");
    }
}
