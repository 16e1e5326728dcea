//! Threads of the process: they ask the resolver, read standard input, wait for children. They belong to no runtime, and outlive
//! the one from which they are started: they run none of its hooks, and are not tied to processors as its workers may be.

use std::cell::RefCell;
use std::io;
use std::thread;

use blitz_sys::cpu;

thread_local! {
    /// Where this thread could run before a runtime tied it.
    static BEFORE: RefCell<Option<Vec<usize>>> = const { RefCell::new(None) };
}

/// Remembers where this thread, which is about to be tied, could run.
pub(crate) fn remember_place(before: Option<Vec<usize>>) {
    // A thread that ends starts no others.
    let _ = BEFORE.try_with(|place| place.replace(before));
}

/// Starts a thread of the process.
pub(crate) fn start_process_thread(
    name: String,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    // A thread begins where the one that starts it is tied to.
    let place = BEFORE.try_with(|place| place.borrow().clone());
    let place = place.ok().flatten();
    let thread = thread::Builder::new().name(name).spawn(move || {
        if let Some(place) = place {
            // If these processors are gone it stays where it is.
            let _ = cpu::set_affinity(&place);
        }
        run();
    });
    thread.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_the_process_is_not_tied_with_the_worker_that_starts_it() {
        let Ok(all) = cpu::affinity() else {
            eprintln!("not tested: threads cannot be tied here");
            return;
        };
        let (say, hear) = std::sync::mpsc::channel();
        let expected = all.clone();
        let tied = thread::spawn(move || {
            remember_place(Some(all.clone()));
            cpu::set_affinity(&all[..1]).unwrap();
            start_process_thread("tested".to_owned(), move || {
                say.send(cpu::affinity().unwrap()).unwrap();
            })
            .unwrap();
        });
        tied.join().unwrap();
        let place = hear.recv_timeout(std::time::Duration::from_secs(60));
        assert_eq!(place.unwrap(), expected);
    }
}
