//! What the disk itself takes for a durable write.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use keystead_tests::{About, Result};

use crate::times::{Spread, Times, seconds, since_ms};

/// Appends a page and syncs it, again and again, beside the database.
pub(crate) fn measure(folder: &Path) -> Result<Spread> {
    let path = folder.join("syncs");
    let mut file = File::create(&path).about("a file")?;
    let mut times = Times::default();
    for _ in 0..SYNCS {
        file.write_all(&[7; PAGE_BYTES]).about("a file")?;
        let from = seconds();
        rustix::fs::fdatasync(&file).about("fdatasync")?;
        times.push(since_ms(from));
    }
    std::fs::remove_file(&path).about("a file")?;
    Ok(Spread::of(times))
}

/// Enough for a p99.
const SYNCS: usize = 500;

/// SQLite's page.
const PAGE_BYTES: usize = 4_096;
