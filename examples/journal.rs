//! A journal: what it says is appended is on the disk, and what a power cut left half written is found and left out.
//!
//! ```text
//! cargo run --release --example journal -- PATH append "first line" "second line"
//! cargo run --release --example journal -- PATH list
//! ```

use blitz_io::fs::{FallocateMode, File, MmapMut, OpenOptions};
use std::error::Error;
use std::io::{self, ErrorKind};

/// A record is its length and a sum of its bytes, four bytes each, and then the bytes.
const HEAD: usize = 8;

#[blitz_io::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [path, verb, lines @ ..] if verb == "append" => append(path, lines).await,
        [path, verb] if verb == "list" => list(path).await,
        _ => Err("usage: journal PATH append LINE... | journal PATH list".into()),
    }
}

async fn append(path: &str, lines: &[String]) -> Result<(), Box<dyn Error>> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .open(path)
        .await?;
    let content = MmapMut::copy_of(&file).await?;
    let end = records(&content)
        .map(|record| record.len() + HEAD)
        .sum::<usize>() as u64;
    if end < content.len() as u64 {
        // Half a record of an earlier try.
        file.set_len(end).await?;
    }
    let parts: Vec<Vec<u8>> = lines
        .iter()
        .flat_map(|line| [head(line.as_bytes()), line.clone().into_bytes()])
        .collect();
    let len = parts.iter().map(Vec::len).sum::<usize>() as u64;
    if len == 0 {
        return Ok(());
    }
    // A full disk says so here, before anything is written.
    match file.fallocate(FallocateMode::KeepSize, end, len).await {
        // A file system without it is full when it is full.
        Err(error) if error.kind() == ErrorKind::Unsupported => {}
        reserved => reserved?,
    }
    write_all(&file, parts, end).await?;
    file.sync_data().await?;
    println!("{} lines, {len} bytes", lines.len());
    Ok(())
}

async fn list(path: &str) -> Result<(), Box<dyn Error>> {
    // A copy: whoever appends meanwhile changes nothing that is read here.
    let content = MmapMut::copy_of(&File::open(path).await?).await?;
    let mut end = 0;
    for record in records(&content) {
        println!("{}", String::from_utf8_lossy(record));
        end += HEAD + record.len();
    }
    if end < content.len() {
        eprintln!("{} bytes at the end are half a record", content.len() - end);
    }
    Ok(())
}

/// Writes `parts`, one after the other, at `at`: as one transfer, and what that did not take by more of them.
async fn write_all(file: &File, parts: Vec<Vec<u8>>, mut at: u64) -> io::Result<()> {
    let (written, parts) = file.write_vectored_at(parts, at).await;
    let mut rest = parts.concat();
    let mut written = written?;
    loop {
        at += written as u64;
        rest.drain(..written);
        if rest.is_empty() {
            return Ok(());
        }
        let result;
        (result, rest) = file.write_at(rest, at).await;
        written = result?;
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
    }
}

fn head(bytes: &[u8]) -> Vec<u8> {
    let numbers = [bytes.len() as u32, sum(bytes)];
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// Tells zeros, and bytes in another order, from what was written.
fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(1, |sum: u32, byte| {
        sum.rotate_left(5)
            .wrapping_mul(31)
            .wrapping_add(u32::from(*byte))
    })
}

/// The whole records at the front of `content`.
fn records(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_at_checked(HEAD)?;
        let number = |at: usize| Some(u32::from_le_bytes(head[at..at + 4].try_into().ok()?));
        let (record, behind) = behind.split_at_checked(number(0)? as usize)?;
        if number(4)? != sum(record) {
            return None;
        }
        rest = behind;
        Some(record)
    })
}
