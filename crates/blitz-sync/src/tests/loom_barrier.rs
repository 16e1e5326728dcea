//! The barrier, explored. Each test is named by what can never happen.

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::Barrier;

/// Both go on, one of them as the last who came, and each sees what the other did before.
#[test]
fn no_one_waits_for_one_who_has_come() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let shared = Arc::new((Barrier::new(2), [(); 2].map(|()| UnsafeCell::new(0))));
        let meets = |shared: &(Barrier, [UnsafeCell<i32>; 2]), mine: usize| {
            // SAFETY: nobody else touches it before the barrier.
            shared.1[mine].with_mut(|value| unsafe { *value = 1 });
            let result = block_on(shared.0.wait());
            // SAFETY: nobody writes it after the barrier; loom objects if that is not seen.
            shared.1[1 - mine].with(|value| assert_eq!(unsafe { *value }, 1));
            result.is_leader()
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || meets(&shared, 1))
        };
        let leads = meets(&shared, 0);
        assert!(leads != other.join().unwrap());
    });
}
