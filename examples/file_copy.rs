//! Copies a file, several chunks in flight at a time.
//!
//! ```text
//! cargo run --release --example file_copy -- FROM TO
//! ```

use blitz_io::fs::File;
use blitz_io::task::JoinSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

const CHUNK: u64 = 256 * 1024;
const CHUNKS_IN_FLIGHT: usize = 4;

#[blitz_io::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = &args[..] else {
        return Err("usage: file_copy FROM TO".into());
    };
    let begun = Instant::now();
    let source = Arc::new(
        File::open(from)
            .await
            .map_err(|error| format!("cannot open {from}: {error}"))?,
    );
    let length = source.metadata().await?.len();
    let target = Arc::new(
        File::create(to)
            .await
            .map_err(|error| format!("cannot create {to}: {error}"))?,
    );

    let mut copying = JoinSet::new();
    let mut offset = 0;
    while offset < length {
        if copying.len() == CHUNKS_IN_FLIGHT
            && let Some(done) = copying.join_next().await
        {
            done??;
        }
        let size = CHUNK.min(length - offset);
        copying.spawn(copy_chunk(
            Arc::clone(&source),
            Arc::clone(&target),
            offset,
            size as usize,
        ));
        offset += size;
    }
    while let Some(done) = copying.join_next().await {
        done??;
    }
    target.sync_all().await?;
    println!("{length} bytes in {:.1?}", begun.elapsed());
    Ok(())
}

/// Copies `size` bytes at `offset`. The buffer goes into each call and comes back from it.
async fn copy_chunk(
    source: Arc<File>,
    target: Arc<File>,
    mut offset: u64,
    size: usize,
) -> std::io::Result<()> {
    let mut left = size;
    let mut buffer = Vec::with_capacity(size);
    while left > 0 {
        buffer.clear();
        let (count, chunk) = source.read_at(buffer, offset).await;
        if count? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        // A short write is rare; what it left over is read and written again.
        let (written, chunk) = target.write_at(chunk, offset).await;
        let written = written?.min(left);
        offset += written as u64;
        left -= written;
        buffer = chunk;
    }
    Ok(())
}
