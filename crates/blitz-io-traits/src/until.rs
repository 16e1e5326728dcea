//! Reading up to a byte: the loop below `read_until`, `read_line`, `Lines` and `Split`.

use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::AsyncBufRead;
use crate::faults::is_interrupted;

/// Reads up to and with `byte` or to the end, appends to `buf`, counts in `read`, and returns the count.
pub(crate) fn poll_read_until<R: AsyncBufRead + ?Sized>(
    mut reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    byte: u8,
    buf: &mut Vec<u8>,
    read: &mut usize,
) -> Poll<io::Result<usize>> {
    loop {
        let (done, used) = match ready!(reader.as_mut().poll_fill_buf(cx)) {
            Ok(available) => match find(byte, available) {
                Some(at) => {
                    buf.extend_from_slice(&available[..=at]);
                    (true, at + 1)
                }
                None => {
                    buf.extend_from_slice(available);
                    (available.is_empty(), available.len())
                }
            },
            Err(err) if is_interrupted(&err) => continue,
            Err(err) => return Poll::Ready(Err(err)),
        };
        reader.as_mut().consume(used);
        *read += used;
        if done {
            return Poll::Ready(Ok(mem::take(read)));
        }
    }
}

/// How many bytes are compared before one branch; a multiple of every vector register's length.
const BLOCK: usize = 32;

/// Returns where `byte` stands first.
fn find(byte: u8, haystack: &[u8]) -> Option<usize> {
    let (blocks, rest) = haystack.as_chunks::<BLOCK>();
    for (i, block) in blocks.iter().enumerate() {
        // No early exit in here, so that the compiler compares whole registers.
        if block.iter().fold(false, |hit, &b| hit | (b == byte)) {
            return position(byte, block).map(|at| i * BLOCK + at);
        }
    }
    position(byte, rest).map(|at| blocks.len() * BLOCK + at)
}

fn position(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&b| b == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_first_one_at_every_place() {
        for len in 0..100 {
            let mut bytes = vec![0; len];
            assert_eq!(find(7, &bytes), None);
            for at in (0..len).rev() {
                bytes[at] = 7;
                assert_eq!(find(7, &bytes), Some(at));
            }
        }
    }
}
