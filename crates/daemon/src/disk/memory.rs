//! A disk in memory, for simulations: it can be full, fail to sync, cut a file
//! and lose what was not synced.

use std::collections::BTreeMap;
use std::io;

use super::{Disk, Sync, folders, parts};

/// Files in memory. A clone is a snapshot.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    files: BTreeMap<String, File>,
    /// What goes wrong; change it at any time.
    pub faults: Faults,
}

/// Planted faults.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Bytes that all files may have together; more is `StorageFull`.
    pub full_above_bytes: Option<usize>,
    /// Every sync fails: `append` with [`Sync::Now`], `replace` and `sync`.
    pub fail_sync: bool,
    /// Every read fails.
    pub fail_read: bool,
    /// No file can be removed.
    pub fail_remove: bool,
}

#[derive(Clone, Debug, Default)]
struct File {
    content: Vec<u8>,
    /// How much of it survives [`MemoryDisk::crash`].
    durable_bytes: usize,
}

impl MemoryDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The power goes: what was appended and not synced is gone.
    pub fn crash(&mut self) {
        for file in self.files.values_mut() {
            file.content.truncate(file.durable_bytes);
        }
        self.files
            .retain(|_, file| file.durable_bytes > 0 || file.content.is_empty());
    }

    /// Cuts a file to `len_bytes`, as a broken disk does; nothing else notices.
    pub fn cut(&mut self, name: &str, len_bytes: usize) {
        if let Some(file) = self.files.get_mut(name) {
            file.content.truncate(len_bytes);
            file.durable_bytes = file.durable_bytes.min(len_bytes);
        }
    }

    /// Puts a file there as someone else would have.
    pub fn plant(&mut self, name: &str, content: &[u8]) {
        let file = File {
            content: content.to_vec(),
            durable_bytes: content.len(),
        };
        self.files.insert(name.to_owned(), file);
    }

    /// Every file with its content, for a test that greps for secrets.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(name, file)| (name.as_str(), file.content.as_slice()))
    }

    fn check_room(&self, replaced_bytes: usize, added_bytes: usize) -> io::Result<()> {
        let used_bytes: usize = self.files.values().map(|file| file.content.len()).sum();
        let after = used_bytes
            .saturating_sub(replaced_bytes)
            .saturating_add(added_bytes);
        match self.faults.full_above_bytes {
            Some(limit) if after > limit => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn check_sync(&self) -> io::Result<()> {
        if self.faults.fail_sync {
            Err(io::Error::other("planted: fsync failed"))
        } else {
            Ok(())
        }
    }
}

impl Disk for MemoryDisk {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        parts(name)?;
        if self.faults.fail_read {
            return Err(io::Error::other("planted: read failed"));
        }
        Ok(self.files.get(name).map(|file| file.content.clone()))
    }

    fn replace(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        parts(name)?;
        let replaced = self.files.get(name).map_or(0, |file| file.content.len());
        // The real one holds both while it writes; the new one alone is kinder
        // to tests that fill the disk byte by byte.
        self.check_room(replaced, content.len())?;
        self.check_sync()?;
        self.plant(name, content);
        Ok(())
    }

    fn append(&mut self, name: &str, record: &[u8], sync: Sync) -> io::Result<()> {
        parts(name)?;
        self.check_room(0, record.len())?;
        if sync == Sync::Now {
            self.check_sync()?;
        }
        let file = self.files.entry(name.to_owned()).or_default();
        file.content.extend_from_slice(record);
        if sync == Sync::Now {
            file.durable_bytes = file.content.len();
        }
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        parts(name)?;
        self.check_sync()?;
        if let Some(file) = self.files.get_mut(name) {
            file.durable_bytes = file.content.len();
        }
        Ok(())
    }

    fn truncate(&mut self, name: &str, len_bytes: u64) -> io::Result<()> {
        parts(name)?;
        let file = self.files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        file.content
            .truncate(usize::try_from(len_bytes).unwrap_or(usize::MAX));
        file.durable_bytes = file.content.len();
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        parts(name)?;
        if self.faults.fail_remove {
            return Err(io::Error::other("planted: remove failed"));
        }
        self.files.remove(name);
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        folders(folder)?;
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let names = self
            .files
            .keys()
            .filter_map(|name| name.strip_prefix(&prefix));
        Ok(names
            .filter(|rest| !rest.contains('/'))
            .map(str::to_owned)
            .collect())
    }
}
