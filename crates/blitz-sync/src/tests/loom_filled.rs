//! A place that is filled once, explored.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::Filled;

/// Whoever finds it full finds the value as it was made.
#[test]
fn no_half_of_a_value_is_found() {
    loom::model(|| {
        let place = Arc::new(Filled::new(None));
        let fills = {
            let place = Arc::clone(&place);
            thread::spawn(move || {
                let cell = UnsafeCell::new(0);
                // SAFETY: nobody else has it yet.
                cell.with_mut(|value| unsafe { *value = 7 });
                // SAFETY: it is empty, and this is the only one who fills it.
                unsafe { place.fill(cell) };
            })
        };
        if let Some(cell) = place.get() {
            // SAFETY: nobody writes it any more; loom objects if that is not seen.
            assert_eq!(cell.with(|value| unsafe { *value }), 7);
        }
        fills.join().unwrap();
    });
}
