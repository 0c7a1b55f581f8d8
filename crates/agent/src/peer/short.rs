//! Short files, whole or not at all.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// The whole file if it is a plain one of at most `bytes_max` bytes. Opening does not wait, so
/// that a named pipe stops nobody.
pub(super) fn read_short(path: &Path, bytes_max: usize) -> Option<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).ok()?)
        .open(path)
        .ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() {
        return None;
    }
    let limit = u64::try_from(bytes_max).ok()?.saturating_add(1);
    // The system's own files have no size before they are read; most fit a page.
    let expected = usize::try_from(found.len())
        .ok()?
        .saturating_add(1)
        .max(PAGE_BYTES);
    let mut content = Vec::with_capacity(expected.min(bytes_max.saturating_add(1)));
    file.take(limit).read_to_end(&mut content).ok()?;
    (content.len() <= bytes_max).then_some(content)
}

/// The same as text.
pub(super) fn read_text(path: &Path, bytes_max: usize) -> Option<String> {
    String::from_utf8(read_short(path, bytes_max)?).ok()
}

/// What one read(2) brings of most files in `/proc`.
const PAGE_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::processes::tests::Fake;
    use super::*;

    #[test]
    fn a_file_above_the_limit_and_a_folder_are_not_read() {
        let fake = Fake::new("short");
        let folder = fake.folder("work");
        let path = folder.join("a");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_short(&path, 5).as_deref(), Some(&b"12345"[..]));
        assert_eq!(read_short(&path, 4), None);
        assert_eq!(read_short(&folder, 4096), None);
    }
}
