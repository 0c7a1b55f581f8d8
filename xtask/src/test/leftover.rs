//! Programs that the tests have built, started and not ended.

use std::collections::BTreeMap;
use std::path::Path;

/// The processes that run from this folder now, by id, as they were started.
pub(super) fn running(binaries: &Path) -> BTreeMap<u32, String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            // The one thing that can be read of a process that guards its
            // memory; empty when it has ended (proc_pid_cmdline(5)).
            let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let is_ours = is_from(line.split('\0').next()?, binaries);
            is_ours.then(|| (pid, line.trim_end_matches('\0').replace('\0', " ")))
        })
        .collect()
}

fn is_from(program: &str, binaries: &Path) -> bool {
    Path::new(program).parent() == Some(binaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_folder() {
        let folder = Path::new("/a/debug");
        assert!(is_from("/a/debug/keystead", folder));
        for other in ["/a/debug/deps/keystead", "/a/keystead", "keystead", ""] {
            assert!(!is_from(other, folder), "{other}");
        }
        let own = std::env::current_exe().unwrap();
        assert!(running(own.parent().unwrap()).contains_key(&std::process::id()));
    }
}
