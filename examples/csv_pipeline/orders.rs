//! Orders as CSV, without any runtime: made up, cut between rows, summed up by region and product.

use csv_core::{ReadRecordResult, Reader};
use std::collections::HashMap;
use std::io::Write;

/// Made-up rows come in blocks of so many.
pub(crate) const ROWS_IN_BLOCK: u64 = 10_000;

/// The first line of a file of orders.
pub(crate) const HEADER: &[u8] = b"id,region,product,quantity,price_cents,note\n";

const REGIONS: [&str; 8] = [
    "north", "south", "east", "west", "islands", "coast", "hills", "valley",
];
/// The last ones hold what CSV has to quote.
const NOTES: [&str; 5] = [
    "",
    "gift",
    "call first",
    "\"fragile, this side up\"",
    "\"said \"\"soon\"\",\nnot later\"",
];
const PRODUCTS: u64 = 40;
const COLUMNS: usize = 6;

/// The rows of one block, the same at each call.
pub(crate) fn block(number: u64) -> Vec<u8> {
    let mut random = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut rows = Vec::with_capacity(ROWS_IN_BLOCK as usize * 64);
    for id in number * ROWS_IN_BLOCK..(number + 1) * ROWS_IN_BLOCK {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let region = REGIONS[random as usize % REGIONS.len()];
        let product = (random >> 8) % PRODUCTS;
        let (quantity, cents) = (1 + (random >> 20) % 9, 100 + (random >> 24) % 100_000);
        let note = NOTES[(random >> 44) as usize % NOTES.len()];
        writeln!(
            rows,
            "{id},{region},product-{product:02},{quantity},{cents},{note}"
        )
        .expect("a vector grows");
    }
    rows
}

/// Where the last whole row of `bytes` ends, which begin with a row; 0 if none does. A line end between quotes ends no row.
pub(crate) fn whole_rows(bytes: &[u8]) -> usize {
    let mut quoted = memchr::memchr_iter(b'"', bytes).count() % 2 == 1;
    for at in memchr::memrchr2_iter(b'\n', b'"', bytes) {
        if bytes[at] == b'"' {
            quoted = !quoted;
        } else if !quoted {
            return at + 1;
        }
    }
    0
}

/// What is known of one product in one region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    orders: u64,
    pieces: u64,
    cents: u64,
    largest_cents: u64,
}

/// The sums of all rows seen so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// By region and product, a zero byte between.
    sums: HashMap<Vec<u8>, Sum>,
    pub(crate) rows: u64,
    /// Rows that are no orders: too many or too few columns, or no numbers where they belong.
    pub(crate) bad_rows: u64,
}

impl Totals {
    /// Sums up `bytes`, which are whole rows.
    pub(crate) fn of_rows(mut bytes: &[u8]) -> Self {
        let mut totals = Self::default();
        let mut reader = Reader::new();
        let (mut fields, mut ends) = (vec![0; 1024], [0; COLUMNS + 1]);
        let (mut filled, mut columns) = (0, 0);
        let mut too_many = false;
        let mut key = Vec::new();
        loop {
            let room = if columns < ends.len() { columns } else { 0 };
            let (result, read, wrote, ended) =
                reader.read_record(bytes, &mut fields[filled..], &mut ends[room..]);
            bytes = &bytes[read..];
            filled += wrote;
            columns = room + ended;
            match result {
                // Asked once more without input, it gives the last row, if that has no line end.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => fields.resize(fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => (too_many, columns) = (true, 0),
                ReadRecordResult::Record => {
                    let ends = &ends[..columns];
                    totals.rows += 1;
                    if too_many || totals.add(&fields, ends, &mut key).is_none() {
                        totals.bad_rows += 1;
                    }
                    (filled, columns, too_many) = (0, 0, false);
                }
                ReadRecordResult::End => return totals,
            }
        }
    }

    /// Adds one row; `None` if it is no order.
    fn add(&mut self, fields: &[u8], ends: &[usize], key: &mut Vec<u8>) -> Option<()> {
        let &[id, region, product, quantity, price, _note] = ends else {
            return None;
        };
        let (pieces, price) = (
            number(&fields[product..quantity])?,
            number(&fields[quantity..price])?,
        );
        let cents = pieces.checked_mul(price)?;
        key.clear();
        key.extend_from_slice(&fields[id..region]);
        key.push(0);
        key.extend_from_slice(&fields[region..product]);
        let sum = match self.sums.get_mut(key) {
            Some(sum) => sum,
            None => self.sums.entry(key.clone()).or_default(),
        };
        sum.orders += 1;
        sum.pieces += pieces;
        sum.cents += cents;
        sum.largest_cents = sum.largest_cents.max(cents);
        Some(())
    }

    /// Takes up what another piece gave.
    pub(crate) fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.bad_rows += other.bad_rows;
        for (key, more) in other.sums {
            let sum = self.sums.entry(key).or_default();
            sum.orders += more.orders;
            sum.pieces += more.pieces;
            sum.cents += more.cents;
            sum.largest_cents = sum.largest_cents.max(more.largest_cents);
        }
    }

    /// What all orders were worth.
    pub(crate) fn cents(&self) -> u64 {
        self.sums.values().map(|sum| sum.cents).sum()
    }

    /// The sums as CSV, sorted. (The made-up names need no quotes.)
    pub(crate) fn to_csv(&self) -> Vec<u8> {
        let mut sorted: Vec<_> = self.sums.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        let mut rows = b"region,product,orders,pieces,cents,largest_cents\n".to_vec();
        for (key, sum) in sorted {
            rows.extend(key.iter().map(|&byte| if byte == 0 { b',' } else { byte }));
            let (orders, pieces, cents, largest) =
                (sum.orders, sum.pieces, sum.cents, sum.largest_cents);
            writeln!(rows, ",{orders},{pieces},{cents},{largest}").expect("a vector grows");
        }
        rows
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The most memory that this process has had at once, in KiB, where the system tells.
pub(crate) fn peak_rss_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
