//! Exports, checked by the auditor's program, which has none of our code.

use std::path::Path;
use std::process::Command;

use super::NAME_BYTES_MAX;
use super::place::{Delete, Place, note, register, sign};
use crate::ledger::Ledger;
use crate::rows::AccountNo;
use keystead_channel::log::export::Line;
use keystead_channel::session::UserId;

on_both_databases! {
    the_auditor_finds_a_real_export_good,
    the_auditor_names_the_line_of_whatever_is_tampered_with,
    an_export_says_which_entries_were_erased,
}

async fn export(ledger: &Ledger, of: Option<(AccountNo, UserId)>) -> String {
    let mut export = ledger.export(of);
    let mut text = String::new();
    while let Some(line) = export.next().await.unwrap() {
        assert!(Line::read(&line).is_some(), "{line}");
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// What the auditor says.
fn audit(folder: &Path, text: &str) -> (bool, String) {
    let file = folder.join("export.txt");
    std::fs::write(&file, text).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/audit.py");
    let output = Command::new("python3")
        .arg(program)
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(failed.is_empty(), "{failed}");
    (output.status.success(), said)
}

async fn filled(place: &Place) -> (Ledger, super::place::Holder) {
    let ledger = place.ledger().await;
    let (one, two) = (register(&ledger, 1).await, register(&ledger, 2).await);
    for _ in 0..3 {
        tokio::join!(sign(&ledger, one, 60), sign(&ledger, two, 90));
        ledger.commit(note("note")).await.unwrap();
    }
    (ledger, one)
}

async fn the_auditor_finds_a_real_export_good(place: &Place) {
    let (ledger, one) = filled(place).await;
    let whole = export(&ledger, None).await;
    let (is_good, said) = audit(place.folder.path(), &whole);
    assert!(is_good, "{said}");
    assert_eq!(said, "good: 455 entries, 0 erased, tree of 455, epoch 0\n");
    let own = export(&ledger, Some((one.no, one.user))).await;
    let (is_good, said) = audit(place.folder.path(), &own);
    assert!(is_good, "{said}");
    assert_eq!(said, "good: 181 entries, 0 erased, tree of 455, epoch 0\n");
}

async fn the_auditor_names_the_line_of_whatever_is_tampered_with(place: &Place) {
    let (ledger, one) = filled(place).await;
    let own = export(&ledger, Some((one.no, one.user))).await;
    let whole = export(&ledger, None).await;
    for (text, path_follows) in [(&own, true), (&whole, false)] {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let check = |at: usize, change: &dyn Fn(&mut Vec<String>), named: &[usize]| {
            let mut changed: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
            change(&mut changed);
            let (is_good, said) = audit(place.folder.path(), &changed.concat());
            assert!(!is_good, "{at}: {said}");
            let is_named = named
                .iter()
                .any(|it| said.starts_with(&format!("bad: line {}: ", it + 1)));
            assert!(is_named, "{at} of {}, {named:?}: {said}", lines.len());
        };
        let end = lines.len() - 1;
        let leaf = (40..).find(|at| lines[*at].starts_with("leaf")).unwrap();
        // A bit of a leaf: its path, or the next entry of its log, or the root.
        let flip = |changed: &mut Vec<String>| flip_leaf(&mut changed[leaf]);
        let named: Vec<usize> = if path_follows {
            vec![leaf + 1]
        } else {
            (leaf..=end).collect()
        };
        check(leaf, &flip, &named);
        // Left out, whole.
        let without = |changed: &mut Vec<String>| {
            changed.drain(leaf..=leaf + usize::from(path_follows));
            let count = changed.len() - 1;
            *changed.last_mut().unwrap() = format!("end {count}\n");
        };
        check(leaf, &without, &[leaf]);
        // Two in the other order.
        let step = 1 + usize::from(path_follows);
        let swapped = |changed: &mut Vec<String>| changed.swap(leaf, leaf + step);
        check(leaf, &swapped, &[leaf]);
        // The end is cut off, or a line stands behind it.
        check(end, &|changed| drop(changed.pop()), &[end]);
        check(
            end,
            &|changed| changed.push("end 1\n".to_owned()),
            &[end + 1],
        );
        check(end, &|changed| changed[end].truncate(4), &[end]);
        // A checkpoint that somebody else signed.
        let note = lines
            .iter()
            .position(|it| it.starts_with("checkpoint"))
            .unwrap();
        let forged = |changed: &mut Vec<String>| forge(&mut changed[note]);
        check(note, &forged, &[note]);
        let another = |changed: &mut Vec<String>| changed[2] = Line::Key([9; 32]).write();
        check(2, &another, &[note]);
    }
}

fn flip_leaf(line: &mut String) {
    let Some(Line::Leaf { index, mut leaf }) = Line::read(line.trim_end()) else {
        panic!("{line}");
    };
    leaf[60] ^= 1;
    *line = Line::Leaf { index, leaf }.write();
}

/// Another size, so that the signature is of another text.
fn forge(line: &mut String) {
    let Some(Line::Checkpoint(mut note)) = Line::read(line.trim_end()) else {
        panic!("{line}");
    };
    let at = note.iter().position(|it| *it == b'\n').unwrap();
    note[at + 1] ^= 1;
    *line = Line::Checkpoint(note).write();
}

async fn an_export_says_which_entries_were_erased(place: &Place) {
    let (ledger, one) = filled(place).await;
    ledger.commit(Delete(one)).await.unwrap();
    ledger.erase_gone(u64::MAX).await.unwrap();
    let whole = export(&ledger, None).await;
    let erased = whole.lines().filter(|it| it.starts_with("erased")).count();
    assert!(erased > 60);
    let (is_good, said) = audit(place.folder.path(), &whole);
    assert!(is_good, "{said}");
}
