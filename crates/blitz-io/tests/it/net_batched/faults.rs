//! Sends that the kernel refuses, or takes a part of.

use std::io::ErrorKind;

use blitz_io::io::{AsyncReadExt, AsyncWriteExt};
use blitz_io::runtime::Backend;
use blitz_io::task;
use blitz_sys::completion::faults::{Fault, Plan};
use blitz_sys::completion::{Faults, Opcode};
use blitz_sys::errno::{EAGAIN, ECANCELED, EINTR, EIO};

use super::{as_task, pair, pattern};
use crate::harness::{Flavor, each_case};

/// Sends that are refused for a while, or take a part, go on; one that fails says so.
#[test]
fn sends_meet_faults() {
    each_case(&[Flavor::CurrentThread, Flavor::ThreadPerCore], |case| {
        if case.backend != Backend::IoUring {
            return;
        }
        let mut plan = Plan::none();
        for _ in 0..8 {
            for number in [EAGAIN, EINTR, ECANCELED] {
                plan = plan.then(Opcode::SEND, Fault::Refuse(number));
                plan = plan.then(Opcode::SEND, Fault::Short);
            }
        }
        let mut builder = case.builder();
        let runtime = builder.driver_faults(Faults::Plan(plan.clone())).build();
        as_task(&runtime.unwrap(), async move {
            let (mut stream, mut peer) = pair().await;
            let reader = task::spawn(async move {
                let mut all = vec![0; 100 * 200];
                peer.read_exact(&mut all).await.unwrap();
                (all, peer)
            });
            for round in 0..200 {
                stream.write_all(&pattern(100 * round, 100)).await.unwrap();
                // Some go alone, and some behind others.
                while round % 2 == 0 && stream.unsent().unwrap() != 0 {
                    task::yield_now().await;
                }
            }
            let (all, mut peer) = reader.await.unwrap();
            assert_eq!(all, pattern(0, all.len()), "{case}");
            // A single byte has no half.
            assert!(plan.injected_count() >= 40, "{case}: {:?}", plan.injected());

            plan.add(Opcode::SEND, Fault::Refuse(EIO));
            stream.write_all(b"lost").await.unwrap();
            let failed = stream.shutdown().await.unwrap_err();
            assert_eq!(failed.raw_os_error(), Some(EIO), "{failed}");
            drop(stream);
            // Nobody takes what came for all.
            let ended = peer.read(&mut [0; 8]).await;
            assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
        });
    });
}
