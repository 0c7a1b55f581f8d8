//! Slots for secrets on pages of their own, so that one `mlock` serves
//! hundreds of them.
//!
//! **Invariant:** a bit of a chunk's map is set exactly while one [`Locked`]
//! owns the granule, and a granule whose bit is clear holds zeroes.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{ffi, memory};

/// Secret bytes in locked memory where the system allows it, wiped on drop.
///
/// Without `Clone`, `Debug` and `PartialEq`, as everything that holds a
/// secret.
pub struct Locked {
    bytes: NonNull<u8>,
    len: usize,
    place: Place,
    locked: bool,
}

/// Where the bytes of a [`Locked`] lie.
enum Place {
    /// Nowhere: no bytes.
    Nothing,
    /// In the slab: which chunk and which granules.
    Slot { chunk: usize, slot: Slot },
    /// On pages that serve this one alone.
    Pages(Layout),
}

// SAFETY: a `Locked` is the only owner of its bytes, and gives references out
// by the rules of its own borrow, as `Box<[u8]>` does.
unsafe impl Send for Locked {}
// SAFETY: as above; `&Locked` gives only `&[u8]`.
unsafe impl Sync for Locked {}

impl Locked {
    /// `len` bytes, all zero.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        if len == 0 {
            let (bytes, place) = (NonNull::dangling(), Place::Nothing);
            return Self {
                bytes,
                len,
                place,
                locked: true,
            };
        }
        if len > SLOT_BYTES_MAX {
            return Self::on_own_pages(len);
        }
        let mask = Slot::mask_for(len);
        let mut slab = slab();
        let (chunk, slot) = slab.take(mask);
        let (bytes, locked) = slab.address(chunk, &slot);
        Self {
            bytes,
            len,
            place: Place::Slot { chunk, slot },
            locked,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `bytes` points to `len` initialised bytes that this value
        // alone owns until it is dropped (dangling and 0 for none).
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }

    /// The bytes, to be filled in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`; `&mut self` makes the borrow exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.bytes.as_ptr(), self.len) }
    }

    /// Whether the system keeps these bytes out of swap. Where its limit
    /// (`ulimit -l`) is reached they are ordinary memory, left out of core
    /// dumps and wiped all the same.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    fn on_own_pages(len: usize) -> Self {
        let layout = pages(len);
        let bytes = allocate(layout);
        let locked = lock(bytes, layout.size());
        Self {
            bytes,
            len,
            place: Place::Pages(layout),
            locked,
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        memory::wipe(self.as_mut_slice());
        match &self.place {
            Place::Nothing => {}
            Place::Slot { chunk, slot } => slab().give_back(*chunk, slot),
            Place::Pages(layout) => {
                // SAFETY: the pages were allocated with this layout by
                // `on_own_pages`, and nothing borrows them any more. Unlocking
                // pages that could not be locked does nothing.
                unsafe {
                    ffi::sodium_munlock(self.bytes.as_ptr().cast::<c_void>(), layout.size());
                    dealloc(self.bytes.as_ptr(), *layout);
                }
            }
        }
    }
}

/// Adjacent granules of a chunk: a power of two of them, aligned to their
/// number, so that a slot never crosses a word of the map.
struct Slot {
    word: usize,
    shift: u32,
    mask: u64,
}

impl Slot {
    /// The map's bits of a slot for `len` bytes (1 to [`SLOT_BYTES_MAX`]),
    /// shifted to the lowest place.
    fn mask_for(len: usize) -> u64 {
        let granules = len.div_ceil(GRANULE_BYTES).next_power_of_two();
        u64::MAX >> (u64::BITS as usize - granules.min(WORD_GRANULES))
    }

    /// First free slot of `mask`'s size in `word` of the map.
    fn find(word: usize, used: u64, mask: u64) -> Option<Self> {
        if used == u64::MAX {
            return None;
        }
        let free = |shift: &u32| used & (mask << shift) == 0;
        let shift = (0..u64::BITS)
            .step_by(mask.count_ones() as usize)
            .find(free)?;
        Some(Self { word, shift, mask })
    }

    fn bits(&self) -> u64 {
        self.mask << self.shift
    }

    fn offset_bytes(&self) -> usize {
        (self.word * WORD_GRANULES + self.shift as usize) * GRANULE_BYTES
    }
}

/// A few pages, and which granules of them are taken.
struct Chunk {
    base: NonNull<u8>,
    used: [u64; CHUNK_WORDS],
    locked: bool,
}

impl Chunk {
    fn new() -> Self {
        let layout = pages(CHUNK_BYTES);
        let base = allocate(layout);
        Self {
            base,
            used: [0; CHUNK_WORDS],
            locked: lock(base, CHUNK_BYTES),
        }
    }

    fn take(&mut self, mask: u64) -> Option<Slot> {
        for (word, used) in self.used.iter_mut().enumerate() {
            if let Some(slot) = Slot::find(word, *used, mask) {
                *used |= slot.bits();
                return Some(slot);
            }
        }
        None
    }
}

/// All chunks, in the order of their making: locked ones first, for they are
/// made while the system still allows it.
///
/// Chunks are kept until the process ends: what a burst of handshakes took
/// serves the next.
struct Slab {
    chunks: Vec<Chunk>,
}

// SAFETY: the pointers of the chunks are to memory that the slab owns; they
// are only touched under its mutex, or through the one `Locked` that a slot
// was given to.
unsafe impl Send for Slab {}

impl Slab {
    fn take(&mut self, mask: u64) -> (usize, Slot) {
        loop {
            for (index, chunk) in self.chunks.iter_mut().enumerate() {
                if let Some(slot) = chunk.take(mask) {
                    return (index, slot);
                }
            }
            self.chunks.push(Chunk::new());
        }
    }

    fn address(&self, chunk: usize, slot: &Slot) -> (NonNull<u8>, bool) {
        let chunk = self.chunk(chunk);
        // SAFETY: a slot lies within its chunk, by the bounds of `Slot::find`.
        let bytes = unsafe { chunk.base.add(slot.offset_bytes()) };
        (bytes, chunk.locked)
    }

    fn chunk(&self, index: usize) -> &Chunk {
        // Chunks are never taken away, so that an index stays good.
        #[expect(clippy::indexing_slicing, reason = "index given by `take`")]
        &self.chunks[index]
    }

    fn give_back(&mut self, chunk: usize, slot: &Slot) {
        if let Some(used) = self
            .chunks
            .get_mut(chunk)
            .and_then(|chunk| chunk.used.get_mut(slot.word))
        {
            *used &= !slot.bits();
        }
    }
}

fn slab() -> MutexGuard<'static, Slab> {
    static SLAB: Mutex<Slab> = Mutex::new(Slab { chunks: Vec::new() });
    // Nothing under the lock leaves the map half written.
    SLAB.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The layout of at least `len` bytes of pages that nothing else shares.
fn pages(len: usize) -> Layout {
    let size = len.next_multiple_of(PAGE_BYTES);
    match Layout::from_size_align(size, PAGE_BYTES) {
        Ok(layout) => layout,
        // Only lengths near the address space's end come here.
        Err(_) => handle_alloc_error(Layout::new::<u8>()),
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: every layout comes from `pages` for a length that is not 0.
    let bytes = unsafe { alloc_zeroed(layout) };
    NonNull::new(bytes).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Keeps pages out of core dumps, and out of swap if the system allows it.
fn lock(bytes: NonNull<u8>, size: usize) -> bool {
    crate::start();
    // SAFETY: the range was just allocated, whole pages long; libsodium first
    // advises MADV_DONTDUMP, then locks, and changes no byte.
    let status = unsafe { ffi::sodium_mlock(bytes.as_ptr().cast::<c_void>(), size) };
    status == 0
}

/// Smallest slot: one key. Also the alignment of every slot.
const GRANULE_BYTES: usize = 32;

/// Granules that one word of a chunk's map stands for.
const WORD_GRANULES: usize = 64;

/// Bytes locked at once. Why: 512 keys a system call, and the smallest usual
/// limit for locked memory (64 KiB) still holds four.
const CHUNK_BYTES: usize = 16 * 1024;

/// Words of a chunk's map.
const CHUNK_WORDS: usize = CHUNK_BYTES / GRANULE_BYTES / WORD_GRANULES;

/// Longest secret in the slab; longer ones have pages of their own. Why: one
/// word of the map.
const SLOT_BYTES_MAX: usize = GRANULE_BYTES * WORD_GRANULES;

/// Alignment of what is locked. Why: the largest usual page (arm64); a
/// multiple of all smaller ones.
const PAGE_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_zeroed_and_writable() {
        for len in [
            0, 1, 31, 32, 33, 64, 100, 128, 2047, 2048, 2049, 16_384, 70_000,
        ] {
            let mut secret = Locked::zeroed(len);
            assert_eq!(secret.as_slice(), vec![0; len]);
            secret.as_mut_slice().fill(0xa5);
            assert_eq!(secret.as_slice(), vec![0xa5; len]);
        }
    }

    #[test]
    fn neighbours_never_overlap() {
        let lens = [32, 1, 64, 2048, 33, 500, 32, 1024, 96];
        let mut secrets: Vec<Locked> = Vec::new();
        for round in 0..200_usize {
            let len = lens[round % lens.len()];
            let mut secret = Locked::zeroed(len);
            assert!(secret.as_slice().iter().all(|byte| *byte == 0), "not wiped");
            secret.as_mut_slice().fill(u8::try_from(round).unwrap());
            secrets.push(secret);
            if round % 3 == 0 {
                secrets.swap_remove(round / 5 % secrets.len());
            }
        }
        for secret in &secrets {
            let first = secret.as_slice()[0];
            assert!(secret.as_slice().iter().all(|byte| *byte == first));
        }
    }

    #[test]
    fn slots_of_one_chunk_are_all_given_out_once() {
        for (len, slots) in [(32, 512), (33, 256), (2048, 8)] {
            let mut chunk = Chunk::new();
            let mut offsets = Vec::new();
            while let Some(slot) = chunk.take(Slot::mask_for(len)) {
                offsets.push(slot.offset_bytes());
            }
            offsets.sort_unstable();
            offsets.dedup();
            assert_eq!(offsets.len(), slots);
            assert!(offsets.iter().all(|offset| offset + len <= CHUNK_BYTES));
        }
    }

    #[test]
    fn a_dropped_secret_is_wiped_where_it_lay() {
        let mut chunk = 0;
        let mut offset = 0;
        {
            let mut secret = Locked::zeroed(2000);
            secret.as_mut_slice().fill(0x5a);
            if let Place::Slot { chunk: at, slot } = &secret.place {
                (chunk, offset) = (*at, slot.offset_bytes());
            }
            let slab = slab();
            // SAFETY: within the chunk, which lives as long as the process.
            let seen = unsafe { *slab.chunk(chunk).base.add(offset).as_ptr() };
            assert_eq!(seen, 0x5a);
        }
        let slab = slab();
        // SAFETY: as above. Another test may have written there since, but
        // none writes this byte.
        let seen = unsafe { *slab.chunk(chunk).base.add(offset).as_ptr() };
        assert_ne!(seen, 0x5a);
    }

    #[test]
    fn threads_share_the_slab() {
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                scope.spawn(move || {
                    for _ in 0..2000 {
                        let mut secret = Locked::zeroed(48);
                        secret.as_mut_slice().fill(thread);
                        assert!(secret.as_slice().iter().all(|byte| *byte == thread));
                    }
                });
            }
        });
    }

    #[test]
    fn a_few_secrets_are_locked() {
        // 64 KiB are allowed on every usual system.
        assert!(Locked::zeroed(32).is_locked());
    }
}
