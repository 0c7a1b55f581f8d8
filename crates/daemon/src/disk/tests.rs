use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// Runs the same expectations over both disks.
fn both(check: impl Fn(&mut dyn Disk)) {
    check(&mut MemoryDisk::new());
    let base = tempfile::tempdir().unwrap();
    check(&mut FolderDisk::open(&base.path().join("state")).unwrap());
}

fn text(disk: &dyn Disk, name: &str) -> Option<String> {
    let content = disk.read(name).unwrap();
    content.map(|content| String::from_utf8(content).unwrap())
}

#[test]
fn what_is_written_is_read_and_listed() {
    both(|disk| {
        assert_eq!(text(disk, "a"), None);
        assert_eq!(text(disk, "sub/a"), None);
        disk.replace("a", b"one").unwrap();
        disk.replace("a", b"two").unwrap();
        disk.append("sub/log", b"x", Sync::Now).unwrap();
        disk.append("sub/log", b"yz", Sync::Later).unwrap();
        disk.sync("sub/log").unwrap();
        disk.replace("sub/b", b"").unwrap();
        assert_eq!(text(disk, "a").unwrap(), "two");
        assert_eq!(text(disk, "sub/log").unwrap(), "xyz");
        assert_eq!(disk.list("").unwrap(), ["a"]);
        assert_eq!(disk.list("sub").unwrap(), ["b", "log"]);
        assert!(disk.list("none").unwrap().is_empty());
        disk.truncate("sub/log", 2).unwrap();
        disk.truncate("sub/log", 9).unwrap();
        assert_eq!(text(disk, "sub/log").unwrap(), "xy");
        disk.remove("a").unwrap();
        disk.remove("a").unwrap();
        disk.remove("none/a").unwrap();
        disk.sync("a").unwrap();
        assert_eq!(text(disk, "a"), None);
        let absent = disk.truncate("a", 0).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let long = "n".repeat(300);
    let bad = [
        "",
        "/etc/x",
        "../x",
        "a/../../x",
        "a//b",
        ".",
        "a/.",
        "x\0",
        "a.tmp~",
        &long,
    ];
    both(|disk| {
        for name in bad {
            let refused = |result: io::Result<()>| {
                assert_eq!(
                    result.unwrap_err().kind(),
                    ErrorKind::InvalidInput,
                    "{name:?}"
                );
            };
            refused(disk.read(name).map(drop));
            refused(disk.replace(name, b"x"));
            refused(disk.append(name, b"x", Sync::Now));
            refused(disk.sync(name));
            refused(disk.truncate(name, 0));
            refused(disk.remove(name));
        }
        assert_eq!(disk.list("..").unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn files_are_0600_and_folders_0700() {
    let base = tempfile::tempdir().unwrap();
    let mut disk = FolderDisk::open(base.path()).unwrap();
    disk.replace("sub/a", b"x").unwrap();
    disk.append("log", b"x", Sync::Later).unwrap();
    let mode = |name: &str| {
        let found = fs::metadata(base.path().join(name)).unwrap();
        found.permissions().mode() & 0o777
    };
    assert_eq!(
        (mode("sub"), mode("sub/a"), mode("log")),
        (0o700, 0o600, 0o600)
    );
}

#[test]
fn links_and_fifos_are_not_followed() {
    let base = tempfile::tempdir().unwrap();
    let state = base.path().join("state");
    let mut disk = FolderDisk::open(&state).unwrap();
    let outside = base.path().join("outside");
    fs::write(&outside, "theirs").unwrap();
    symlink(&outside, state.join("link")).unwrap();
    symlink(base.path(), state.join("folder")).unwrap();
    let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, state.join("fifo"), fifo, mode, 0).unwrap();
    for name in ["link", "folder/outside", "fifo"] {
        assert!(disk.read(name).is_err(), "{name}");
        assert!(disk.append(name, b"x", Sync::Now).is_err(), "{name}");
    }
    assert!(disk.replace("folder/outside", b"x").is_err());
    // Replacing a link replaces the link, not what it points to.
    disk.replace("link", b"ours").unwrap();
    assert_eq!(text(&disk, "link").unwrap(), "ours");
    assert_eq!(fs::read_to_string(&outside).unwrap(), "theirs");
    assert_eq!(disk.list("").unwrap(), ["link"]);
}

#[test]
fn a_write_cut_by_a_crash_leaves_the_old_file() {
    let base = tempfile::tempdir().unwrap();
    let mut disk = FolderDisk::open(base.path()).unwrap();
    disk.replace("a", b"old").unwrap();
    // What a crash between write and rename leaves behind.
    fs::write(base.path().join("a.tmp~"), "ne").unwrap();
    assert_eq!(text(&disk, "a").unwrap(), "old");
    assert_eq!(disk.list("").unwrap(), ["a"]);
    disk.replace("a", b"new").unwrap();
    assert_eq!(text(&disk, "a").unwrap(), "new");
}

#[test]
fn a_full_disk_leaves_the_old_file_and_no_half_record() {
    let mut disk = MemoryDisk::new();
    disk.replace("a", b"old").unwrap();
    disk.append("log", b"1234", Sync::Now).unwrap();
    disk.faults.full_above_bytes = Some(8);
    let full = disk.replace("a", b"longer").unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    let full = disk.append("log", b"56", Sync::Later).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(text(&disk, "a").unwrap(), "old");
    assert_eq!(text(&disk, "log").unwrap(), "1234");
    disk.append("log", b"5", Sync::Now).unwrap();
}

#[test]
#[ignore = "needs root"]
fn a_full_file_system_leaves_the_old_file_and_no_half_record() {
    let base = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(base.path())
        .status();
    assert!(mounted.unwrap().success(), "a small file system needs root");
    let outcome = std::panic::catch_unwind(|| {
        let mut disk = FolderDisk::open(&base.path().join("state")).unwrap();
        disk.replace("a", b"old").unwrap();
        disk.append("log", b"1234", Sync::Now).unwrap();
        let big = vec![7; 100_000];
        let full = disk.replace("a", &big).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        assert!(disk.append("log", &big, Sync::Now).is_err());
        assert_eq!(text(&disk, "a").unwrap(), "old");
        assert_eq!(text(&disk, "log").unwrap(), "1234");
        // The half-written temporary file is gone: there is room again.
        disk.append("log", b"56", Sync::Now).unwrap();
    });
    let unmounted = std::process::Command::new("umount")
        .arg(base.path())
        .status();
    assert!(unmounted.unwrap().success());
    outcome.unwrap();
}

#[test]
fn what_was_not_synced_is_lost_in_a_crash() {
    let mut disk = MemoryDisk::new();
    disk.append("log", b"ab", Sync::Now).unwrap();
    disk.append("log", b"cd", Sync::Later).unwrap();
    disk.append("fresh", b"x", Sync::Later).unwrap();
    let mut synced = disk.clone();
    disk.crash();
    assert_eq!(text(&disk, "log").unwrap(), "ab");
    assert_eq!(text(&disk, "fresh").unwrap_or_default(), "");
    synced.sync("log").unwrap();
    synced.crash();
    assert_eq!(text(&synced, "log").unwrap(), "abcd");
}

#[test]
fn planted_faults_fail_and_change_nothing() {
    let mut disk = MemoryDisk::new();
    disk.plant("a", b"12345");
    disk.faults.fail_sync = true;
    assert!(disk.replace("a", b"x").is_err());
    assert!(disk.append("a", b"x", Sync::Now).is_err());
    assert!(disk.sync("a").is_err());
    disk.append("a", b"6", Sync::Later).unwrap();
    assert_eq!(text(&disk, "a").unwrap(), "123456");
    disk.cut("a", 2);
    assert_eq!(text(&disk, "a").unwrap(), "12");
    disk.faults.fail_read = true;
    assert!(disk.read("a").is_err());
    let files: Vec<_> = disk.files().collect();
    assert_eq!(files, [("a", b"12".as_slice())]);
}

#[test]
fn a_file_too_large_to_be_ours_is_not_read() {
    let base = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(base.path()).unwrap();
    let file = fs::File::create(base.path().join("huge")).unwrap();
    file.set_len(FILE_BYTES_MAX + 1).unwrap();
    let refused = disk.read("huge").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::FileTooLarge);
}
